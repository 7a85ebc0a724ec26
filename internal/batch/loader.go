package batch

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"vicreg/internal/augment"
	"vicreg/internal/imagefile"
	"vicreg/internal/tensor"
)

// Batch is n images of one step.
type Batch struct {
	Epoch, Step int              // from 0; steps count within the epoch
	Items       []int            // n indices into the data set
	Views       []*tensor.Tensor // each n × size × size × c, normalised
}

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("batch: the loader is closed")

// Loader makes batches ahead of time. One goroutine calls Next.
type Loader struct {
	source *Source
	size   int
	norm   *augment.Norm

	// make fills a row of every view. It runs on several goroutines at once.
	make func(w *worker, b *slot, row int) error

	free    chan *slot // to be filled
	work    chan job
	order   chan *slot // filled or being filled, as they are due
	stop    chan struct{}
	stopped sync.Once
	wg      sync.WaitGroup

	current *slot // lent to the caller of Next
	waited  time.Duration

	mu  sync.Mutex    // guards bad
	bad map[int]error // items that turned bad while loading
}

// slot is the memory of a batch.
type slot struct {
	Batch
	wanted []int // items, before bad ones are replaced
	left   atomic.Int64
	ready  chan struct{}
	errs   []error // of each row
}

type job struct {
	slot *slot
	row  int
}

func (s *Source) loader(size int, mean, std []float64) *Loader {
	if s.channels == 0 {
		panic("batch: the number of channels is not known; scan first")
	}
	if len(mean) != s.channels {
		panic(fmt.Sprintf("batch: %d means for %d channels", len(mean), s.channels))
	}
	return &Loader{source: s, size: size, norm: augment.NewNorm(mean, std), stop: make(chan struct{}), bad: map[int]error{}}
}

// start starts the goroutines that make the batches of plan.
func (l *Loader) start(batch, views, workers, ahead int, plan func(yield func(epoch, step int, items []int) bool)) {
	workers = workersOr(workers)
	values := l.size * l.size * l.source.channels
	if ahead <= 0 {
		ahead = 2
		if 4*batch*views*values > 64<<20 {
			ahead = 1
		}
	}
	slots := ahead + 1 // and the one lent to the caller of Next
	l.free = make(chan *slot, slots)
	l.order = make(chan *slot, slots)
	l.work = make(chan job, 2*workers)
	for range slots {
		b := &slot{ready: make(chan struct{}, 1), errs: make([]error, batch)}
		b.Items = make([]int, batch)
		for range views {
			b.Views = append(b.Views, tensor.New(batch, l.size, l.size, l.source.channels))
		}
		l.free <- b
	}

	l.wg.Go(func() { // hands out the work
		defer close(l.work)
		defer close(l.order)
		plan(func(epoch, step int, items []int) bool {
			var b *slot
			select {
			case b = <-l.free:
			case <-l.stop:
				return false
			}
			b.prepare(epoch, step, items, values)
			l.order <- b // has room for every slot
			for row := range items {
				select {
				case l.work <- job{b, row}:
				case <-l.stop:
					return false
				}
			}
			return true
		})
	})
	for range workers {
		l.wg.Go(func() {
			w := worker{pcg: new(rand.PCG)}
			w.rand = rand.New(w.pcg)
			for j := range l.work {
				if !l.isStopped() {
					j.slot.errs[j.row] = l.make(&w, j.slot, j.row)
				}
				if j.slot.left.Add(-1) == 0 {
					j.slot.ready <- struct{}{}
				}
				runtime.Gosched() // computing goes first
			}
		})
	}
}

// prepare sets b up for n items, at most as many as it was made for.
func (b *slot) prepare(epoch, step int, items []int, values int) {
	n := len(items)
	b.Epoch, b.Step, b.wanted = epoch, step, items
	b.Items, b.errs = b.Items[:n], b.errs[:n]
	for _, v := range b.Views {
		v.Shape[0] = n
		v.Data = v.Data[:n*values]
	}
	b.left.Store(int64(n))
}

func (l *Loader) isStopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// worker is the memory of one goroutine.
type worker struct {
	pcg     *rand.PCG
	rand    *rand.Rand
	scratch augment.Scratch
	middle  imagefile.Image
}

// row returns the place of a row in view v, size × size × c.
func (b *slot) row(v, row int) []float32 {
	t := b.Views[v]
	values := len(t.Data) / t.Shape[0]
	return t.Data[row*values : (row+1)*values]
}

// Next returns the next batch, which is the caller's until the next call. After
// the last it returns io.EOF.
func (l *Loader) Next() (*Batch, error) {
	if l.current != nil {
		l.free <- l.current
		l.current = nil
	}
	start := time.Now()
	defer func() { l.waited += time.Since(start) }()
	if l.isStopped() {
		return nil, ErrClosed
	}
	var b *slot
	select {
	case b = <-l.order:
		if b == nil {
			if l.isStopped() {
				return nil, ErrClosed
			}
			return nil, io.EOF
		}
	case <-l.stop:
		return nil, ErrClosed
	}
	select {
	case <-b.ready:
	case <-l.stop:
		return nil, ErrClosed
	}
	if l.isStopped() { // the batch may be unfinished
		return nil, ErrClosed
	}
	for _, err := range b.errs {
		if err != nil { // of the first row, whichever failed first
			l.Close()
			return nil, err
		}
	}
	l.current = b
	return &b.Batch, nil
}

// Waited returns how long calls of Next have taken together: time that the
// caller could not compute.
func (l *Loader) Waited() time.Duration { return l.waited }

// Close stops the goroutines and waits for them. It may be called at any time,
// by any goroutine, more than once; a call of Next that waits returns ErrClosed.
func (l *Loader) Close() {
	l.stopped.Do(func() { close(l.stop) })
	l.wg.Wait()
}
