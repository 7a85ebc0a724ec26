// Package local is a group for tests: its ranks are goroutines of one process. It is
// strict: a rank that calls another operation than the others, or other lengths, or none
// for too long, makes all of them fail.
package local

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"vicreg/internal/group"
)

// Patience is how long ranks wait for one another.
const Patience = 2 * time.Minute

// Run calls do once for each of n ranks, each on a goroutine of its own, and returns what
// went wrong, by rank; nil where nothing did.
func Run(n int, do func(g group.Group) error) []error { return run(n, Patience, do) }

func run(n int, patience time.Duration, do func(g group.Group) error) []error {
	w := &world{size: n, patience: patience, calls: make([]call, n), done: make(chan struct{})}
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			defer w.leave(i)
			errs[i] = guarded(func() error { return do(&rank{w, i}) })
		})
	}
	all.Wait()
	return errs
}

// Exercise tries every operation of a group. It is for tests of groups, whose ranks all
// call it.
func Exercise(g group.Group) error {
	n, r := g.Size(), float32(g.Rank())
	for round := range 3 {
		x := []float32{1, r, 1e8 - 2e8*float32(g.Rank()%2)}
		g.Sum(x[:1], nil, x[1:])
		all := float32(n * (n - 1) / 2)
		if x[0] != float32(n) || x[1] != all {
			return fmt.Errorf("round %d: sum %v", round, x)
		}
		wide := []float64{float64(r)}
		g.SumWide(wide)
		if wide[0] != float64(all) {
			return fmt.Errorf("wide sum %v", wide)
		}
		to := make([]float32, 2*n)
		g.Gather(to, []float32{r, -r})
		inside := make([]float32, 2*n)
		part := inside[2*g.Rank() : 2*g.Rank()+2]
		part[0], part[1] = r, -r
		g.Gather(inside, part)
		for i := range n {
			if to[2*i] != float32(i) || to[2*i+1] != -float32(i) {
				return fmt.Errorf("gathered %v", to)
			}
		}
		if !slices.Equal(inside, to) {
			return fmt.Errorf("gathered %v where it lies, else %v", inside, to)
		}
		for i, b := range g.GatherBytes(make([]byte, 3*g.Rank())) {
			if len(b) != 3*i {
				return fmt.Errorf("%d bytes of rank %d", len(b), i)
			}
		}
		b := []byte{byte(g.Rank())}
		g.Broadcast(b, n-1)
		if b[0] != byte(n-1) {
			return fmt.Errorf("broadcast %v", b)
		}
		g.Sum()
		g.Barrier()
	}
	return nil
}

// First returns the first error that is not of a rank which failed because of another;
// nil if there is none.
func First(errs []error) error {
	var follows error
	for _, err := range errs {
		if err != nil && !errors.As(err, new(group.Failure)) && !errors.As(err, new(*group.Other)) {
			return err
		}
		if follows == nil {
			follows = err
		}
	}
	return follows
}

// guarded makes an error of a panic.
func guarded(do func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case group.Failure:
			err = r
		default:
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return do()
}

// world is what the ranks share: one operation at a time, which is done when the last of
// them has called it.
type world struct {
	size     int
	patience time.Duration

	mu    sync.Mutex
	calls []call // by rank, of the operation under way
	asked *call  // by the first of them, or nil
	here  int    // how many have called it
	left  bool   // a rank has ended
	done  chan struct{}
	fault *group.Failure
}

// call is what a rank asks for.
type call struct {
	operation  string
	length     int // that must be the same everywhere, or -1
	root       int
	narrow, to []float32
	wide       []float64
	bytes      []byte
	all        [][]byte
}

// rank is one of the group.
type rank struct {
	*world
	number int
}

func (r *rank) Rank() int { return r.number }
func (r *rank) Size() int { return r.size }

func (r *rank) Local() (rank, size int) { return r.number, r.size }

func (r *rank) Sum(arrays ...[]float32) {
	x := slices.Concat(arrays...)
	r.meet(&call{operation: "Sum", length: len(x), narrow: x})
	for _, a := range arrays {
		x = x[copy(a, x):]
	}
}

func (r *rank) SumWide(x []float64) {
	r.meet(&call{operation: "SumWide", length: len(x), wide: x})
}

func (r *rank) Gather(to, from []float32) {
	group.Check("Gather", len(to) == r.size*len(from))
	r.meet(&call{operation: "Gather", length: len(from), narrow: from, to: to})
}

func (r *rank) GatherBytes(from []byte) [][]byte {
	c := &call{operation: "GatherBytes", length: -1, bytes: from}
	r.meet(c)
	return c.all
}

func (r *rank) Broadcast(x []byte, root int) {
	r.meet(&call{operation: "Broadcast", length: len(x), root: root, bytes: x})
}

func (r *rank) Barrier() { r.meet(&call{operation: "Barrier"}) }

// meet waits for the other ranks and does what all have called.
func (r *rank) meet(c *call) {
	w := r.world
	w.mu.Lock()
	if w.left {
		w.fail(-1, errors.New("a rank has ended, the others go on"))
	}
	w.stop()
	if w.asked == nil {
		w.asked = c
	}
	if !same(w.asked, c) {
		w.fail(r.number, fmt.Errorf("rank %d calls %s of %d, another rank %s of %d", r.number, c.operation, c.length,
			w.asked.operation, w.asked.length))
		w.stop()
	}
	w.calls[r.number] = *c
	w.here++
	done := w.done
	if w.here == w.size {
		w.compute()
		w.here, w.asked, w.done = 0, nil, make(chan struct{})
		c.all = w.calls[r.number].all
		w.mu.Unlock()
		close(done)
		return
	}
	w.mu.Unlock()
	wait := time.NewTimer(w.patience)
	defer wait.Stop()
	select {
	case <-done:
	case <-wait.C:
		w.mu.Lock()
		w.fail(-1, fmt.Errorf("rank %d waits at %s for other ranks", r.number, c.operation))
		w.mu.Unlock()
	}
	w.mu.Lock()
	w.stop()
	c.all = w.calls[r.number].all
	w.mu.Unlock()
}

func same(a, b *call) bool {
	return a.operation == b.operation && a.length == b.length && a.root == b.root
}

// compute does an operation that all have called. GatherBytes leaves its results in calls,
// until all call the next.
func (w *world) compute() {
	calls := slices.Clone(w.calls)
	clear(w.calls)
	switch calls[0].operation {
	case "Sum":
		sum(calls, func(c *call) []float32 { return c.narrow })
	case "SumWide":
		sum(calls, func(c *call) []float64 { return c.wide })
	case "Gather":
		for i := range calls {
			for from := range calls {
				copy(calls[i].to[from*calls[from].length:], calls[from].narrow)
			}
		}
	case "GatherBytes":
		for i := range calls {
			for from := range calls {
				w.calls[i].all = append(w.calls[i].all, slices.Clone(calls[from].bytes))
			}
		}
	case "Broadcast":
		for i := range calls {
			copy(calls[i].bytes, calls[calls[0].root].bytes)
		}
	}
}

// sum adds operands in the order of the ranks.
func sum[T float32 | float64](calls []call, of func(*call) []T) {
	total := slices.Clone(of(&calls[0]))
	for i := 1; i < len(calls); i++ {
		for j, v := range of(&calls[i]) {
			total[j] += v
		}
	}
	for i := range calls {
		copy(of(&calls[i]), total)
	}
}

// fail makes all ranks fail. The caller holds mu.
func (w *world) fail(rank int, err error) {
	if w.fault != nil {
		return
	}
	w.fault = &group.Failure{Rank: rank, Err: err}
	close(w.done)
}

// stop panics if the group has failed; else the caller goes on to hold mu.
func (w *world) stop() {
	if w.fault != nil {
		w.mu.Unlock()
		panic(*w.fault)
	}
}

// leave says that a rank has ended. Those that wait for it fail.
func (w *world) leave(rank int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = true
	if w.here > 0 {
		w.fail(rank, fmt.Errorf("rank %d has ended, and others wait for it at %s", rank, w.asked.operation))
	}
}
