// Package parallel is the worker pool every kernel runs on.
//
// Call [For] with a number of pieces that depends on the shape of the work,
// never on the number of workers: then the same bits come out for any number
// of workers, because each piece is computed by one worker from start to end.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// job is one call of For, handed to every worker of the pool.
type job struct {
	body func(worker, piece int)
	next atomic.Int64
	n    int64
	busy atomic.Int64 // workers that have taken the job and are not done
	done sync.WaitGroup

	panicked atomic.Pointer[any]
}

func (j *job) run(worker int) {
	defer func() {
		if r := recover(); r != nil {
			raised := r // only a panic allocates
			j.panicked.CompareAndSwap(nil, &raised)
			j.next.Store(j.n) // no worker starts another piece
		}
	}()
	for {
		piece := j.next.Add(1) - 1
		if piece >= j.n {
			return
		}
		j.body(worker, int(piece))
	}
}

// A helper is a worker other than the caller. Kernels follow one another within
// microseconds, but waking a sleeping thread takes tens of them. So a helper that has
// nothing to do watches for the next job for a while before it sleeps.
type helper struct {
	state atomic.Int32
	wake  chan struct{} // closed to end the helper
}

// States of a helper. The caller turns idle or asleep into posted, and back if the
// helper came too late for the job. The helper makes all other changes.
const (
	idle int32 = iota
	posted
	asleep
)

// patience is how long a helper, or a caller that waits for one, watches before it
// sleeps.
const patience = 100 * time.Microsecond

// lookOut watches for a while until done returns true, and lets others run meanwhile.
func lookOut(done func() bool) bool {
	for start := time.Now(); ; {
		for range 50 {
			if done() {
				return true
			}
		}
		if time.Since(start) > patience {
			return false
		}
		runtime.Gosched()
	}
}

func (h *helper) work(worker int) {
	isPosted := func() bool { return h.state.Load() == posted }
	for {
		if !lookOut(isPosted) && h.state.CompareAndSwap(idle, asleep) {
			if _, ok := <-h.wake; !ok {
				return
			}
		}
		if h.state.CompareAndSwap(posted, idle) {
			current.run(worker)
			current.done.Done()
			current.busy.Add(-1)
		}
	}
}

// post offers the helper a job.
func (h *helper) post() {
	if h.state.Swap(posted) == asleep {
		h.wake <- struct{}{}
	}
}

var (
	mu       sync.Mutex // held for the length of a For: the pool runs one job at a time
	workers  int
	helpers  []*helper // the caller is worker 0
	current  job
	noneBusy = func() bool { return current.busy.Load() == 0 }
)

// SetWorkers sets the number of workers, 0 for GOMAXPROCS. The results of
// kernels do not depend on it.
func SetWorkers(n int) {
	mu.Lock()
	defer mu.Unlock()
	setWorkers(n)
}

func setWorkers(n int) {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	if n == workers {
		return
	}
	for _, h := range helpers {
		close(h.wake)
	}
	workers, helpers = n, make([]*helper, n-1)
	for i := range helpers {
		h := &helper{wake: make(chan struct{}, 1)}
		helpers[i] = h
		go h.work(i + 1)
	}
}

// Workers returns the number of workers a For may use; the worker numbers it
// hands out lie in [0, Workers()).
func Workers() int {
	mu.Lock()
	defer mu.Unlock()
	if workers == 0 {
		setWorkers(0)
	}
	return workers
}

// For calls body(worker, piece) for every piece in [0, n) and returns when all
// have returned. A worker runs one piece at a time, so worker can index scratch
// memory. Pieces start in order. body must not call For. A panic in body is
// raised again in the caller.
func For(n int, body func(worker, piece int)) {
	mu.Lock()
	defer mu.Unlock()
	if workers == 0 {
		setWorkers(0)
	}
	if recorder != nil {
		recorder.loop(n, body)
		return
	}
	run(n, body)
}

func run(n int, body func(worker, piece int)) {
	if workers == 1 || n <= 1 {
		for i := range n {
			body(0, i)
		}
		return
	}
	j := &current
	j.body, j.n = body, int64(n)
	j.next.Store(0)
	j.panicked.Store(nil)
	some := helpers[:min(workers, n)-1]
	j.busy.Store(int64(len(some)))
	j.done.Add(len(some))
	for _, h := range some {
		h.post()
	}
	j.run(0)
	for _, h := range some {
		if h.state.CompareAndSwap(posted, idle) { // it has not begun
			j.busy.Add(-1)
			j.done.Done()
		}
	}
	lookOut(noneBusy)
	j.done.Wait()
	j.body = nil
	if r := j.panicked.Load(); r != nil {
		panic(*r)
	}
}

// Range splits [0, n) into pieces of at most size and calls body with the
// bounds of each. The split depends on n and size alone.
func Range(n, size int, body func(worker, lo, hi int)) {
	For((n+size-1)/size, func(worker, piece int) {
		lo := piece * size
		body(worker, lo, min(lo+size, n))
	})
}
