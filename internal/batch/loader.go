package batch

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"vicreg/internal/augment"
	"vicreg/internal/dataset"
	"vicreg/internal/rng"
	"vicreg/internal/tensor"
)

// Batch is n items of one step.
type Batch struct {
	Epoch, Step int              // from 0; steps count within the epoch
	Items       []int            // n indices into the data set
	Views       []*tensor.Tensor // each n × the shape of its rows; images are size × size × c, normalised
}

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("batch: the loader is closed")

// Rows makes the rows of batches from the items of a data set. [Source.Train] and
// [Source.Plain] do so for images. Other kinds of data fill in a Rows of their own and
// call [Rows.Train] or [Rows.Plain].
type Rows struct {
	Data   string                // name of the data set, for errors
	Kind   string                // what its items are, as "images"
	Items  int                   // how many it has
	Name   func(item int) string // of one
	Shapes [][]int               // of a row of each view: the tensors are batch × shape

	// Runs are items that are read at once, and Room how many bytes of them should be in
	// use at a time; nil: each item is reached alone.
	Runs []dataset.Run
	Room int64

	Batch   int
	Workers int      // goroutines; 0: one for each processor
	Ahead   int      // batches to have ready; 0: 2, or 1 if they are large
	Most    *float64 // the share of the items that may be bad; nil: a tenth
	Memory  Memory   // that views are made in; nil: Go's

	// Make fills a row of every view. It runs on several goroutines at once. An
	// error names the file and the reason; training goes on with the next item.
	Make func(w *Worker, r *Row) error
}

// Memory is where views are made: that of a device which takes them up while it computes.
// See package device, whose Ahead says what each method does.
type Memory interface {
	Hold(n int) []float32
	Drop(x []float32)
	Send(x []float32) error
	Reuse(x []float32)
}

// Row is one to be made.
type Row struct {
	Views [][]float32 // where to: the row of each view
	Item  int         // what of
	Epoch int
	Due   int // the item whose turn it is: Item, unless that one is bad
}

// Loader makes batches ahead of time. One goroutine calls Next.
type Loader struct {
	rows Rows

	// place fills a row of a slot: it chooses the item and calls rows.Make.
	place func(w *Worker, b *slot, row int) error

	free    chan *slot // to be filled
	work    chan job
	order   chan *slot // filled or being filled, as they are due
	stop    chan struct{}
	stopped sync.Once
	wg      sync.WaitGroup

	slots   []*slot
	current *slot // lent to the caller of Next

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
	unsent error
}

type job struct {
	slot *slot
	row  int
}

func newLoader(r Rows) *Loader {
	if r.Batch < 1 || len(r.Shapes) == 0 {
		panic(fmt.Sprintf("batch: %d %s of %d views", r.Batch, r.Kind, len(r.Shapes)))
	}
	return &Loader{rows: r, stop: make(chan struct{}), bad: map[int]error{}}
}

// start starts the goroutines that make the batches of plan, of at most batch
// rows.
func (l *Loader) start(batch int, plan func(yield func(epoch, step int, items []int) bool)) {
	workers := workersOr(l.rows.Workers)
	values := 0
	for _, shape := range l.rows.Shapes {
		values += tensor.Count(shape)
	}
	ahead := l.rows.Ahead
	if ahead <= 0 {
		ahead = 2
		if 4*batch*values > 64<<20 && l.rows.Memory == nil {
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
		for _, shape := range l.rows.Shapes {
			b.Views = append(b.Views, l.view(append([]int{batch}, shape...)))
		}
		l.slots = append(l.slots, b)
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
			b.prepare(epoch, step, items)
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
			w := Worker{pcg: new(rand.PCG)}
			w.Rand = rand.New(w.pcg)
			for j := range l.work {
				if !l.isStopped() {
					j.slot.errs[j.row] = l.place(&w, j.slot, j.row)
				}
				if j.slot.left.Add(-1) == 0 {
					l.send(j.slot)
					j.slot.ready <- struct{}{}
				}
				runtime.Gosched() // computing goes first
			}
		})
	}
}

// prepare sets b up for n items, at most as many as it was made for.
func (b *slot) prepare(epoch, step int, items []int) {
	n := len(items)
	b.Epoch, b.Step, b.wanted = epoch, step, items
	b.Items, b.errs = b.Items[:n], b.errs[:n]
	for _, v := range b.Views {
		values := tensor.Count(v.Shape[1:])
		v.Shape[0] = n
		v.Data = v.Data[:n*values]
	}
	b.left.Store(int64(n))
}

// view returns room for a view.
func (l *Loader) view(shape []int) *tensor.Tensor {
	if l.rows.Memory == nil {
		return tensor.New(shape...)
	}
	return tensor.From(l.rows.Memory.Hold(tensor.Count(shape)), shape...)
}

// send sends a batch that is ready ahead.
func (l *Loader) send(b *slot) {
	if l.rows.Memory == nil || l.isStopped() {
		return
	}
	b.unsent = nil
	for _, v := range b.Views {
		if b.unsent == nil {
			b.unsent = l.rows.Memory.Send(v.Data)
		}
	}
}

func (l *Loader) isStopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// Worker is the memory of one goroutine that makes rows.
type Worker struct {
	Rand   *rand.Rand // what chance a row has, once Seed has set it
	Memory any        // whatever else [Rows].Make wants to keep

	pcg     *rand.PCG
	row     Row
	scratch augment.Scratch
	packed  []byte // pixels of the image at hand
	part    part
}

// Seed sets Rand to the start of the stream of the keys (package rng).
func (w *Worker) Seed(keys ...uint64) { rng.Seed(w.pcg, keys...) }

// fill makes row i of b from an item.
func (l *Loader) fill(w *Worker, b *slot, i, item, due int) error {
	w.row.Item, w.row.Epoch, w.row.Due = item, b.Epoch, due
	w.row.Views = w.row.Views[:0]
	for _, v := range b.Views {
		values := tensor.Count(v.Shape[1:])
		w.row.Views = append(w.row.Views, v.Data[i*values:(i+1)*values])
	}
	return l.rows.Make(w, &w.row)
}

// Next returns the next batch, which is the caller's until the next call. After
// the last it returns io.EOF.
func (l *Loader) Next() (*Batch, error) {
	if l.current != nil {
		if l.rows.Memory != nil {
			for _, v := range l.current.Views {
				l.rows.Memory.Reuse(v.Data)
			}
		}
		l.free <- l.current
		l.current = nil
	}
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
	if b.unsent != nil {
		l.Close()
		return nil, b.unsent
	}
	l.current = b
	return &b.Batch, nil
}

// Close stops the goroutines and waits for them. It may be called at any time,
// by any goroutine, more than once; a call of Next that waits returns ErrClosed.
func (l *Loader) Close() {
	l.stopped.Do(func() { close(l.stop) })
	l.wg.Wait()
}

// Done is Close, once, by who calls Next and needs no batch any more.
func (l *Loader) Done() {
	l.Close()
	if l.rows.Memory != nil {
		for _, b := range l.slots {
			for _, v := range b.Views {
				l.rows.Memory.Drop(v.Data)
			}
		}
	}
	l.slots = nil
}
