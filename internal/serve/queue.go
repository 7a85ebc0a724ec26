package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// queue takes prepared images through a model, one batch after the other. Images that
// wait go together, as many as do not change the bits of each: that is tried out when
// the queue begins, since the order in which a product sums may depend on how many there
// are, and does not depend on what they are.
type queue struct {
	embedder
	merge []int // images that may go together, the most first, 1 last
	jobs  chan *job
	quit  chan struct{} // closed: no more is taken
	ended chan struct{}

	batches, images atomic.Int64 // so far
}

// embedder is what a queue needs of a model.
type embedder interface {
	Values() int
	Prepared(ctx context.Context, values []float32) ([]float32, error)
}

// job is an image that waits.
type job struct {
	ctx      context.Context
	values   []float32
	features []float32
	err      error
	done     chan struct{}
}

// together is how many images go through the network at once at most. More hardly save
// time.
const together = 8

func newQueue(m embedder) (*queue, error) {
	q := &queue{embedder: m, jobs: make(chan *job, together), quit: make(chan struct{}), ended: make(chan struct{})}
	if err := q.try(); err != nil {
		return nil, err
	}
	go q.run()
	return q, nil
}

// try finds out how many images may go together.
func (q *queue) try() error {
	ctx := context.Background()
	r := rand.New(rand.NewPCG(1, 2))
	n := q.Values()
	noise := make([]float32, together*n)
	for i := range noise {
		noise[i] = float32(r.NormFloat64())
	}
	var alone []float32
	for x := range slices.Chunk(noise, n) {
		y, err := q.Prepared(ctx, x)
		if err != nil {
			return err
		}
		alone = append(alone, y...)
	}
	q.merge = []int{1}
	for k := 2; k <= together; k *= 2 {
		var all []float32
		for x := range slices.Chunk(noise, k*n) {
			y, err := q.Prepared(ctx, x)
			if err != nil {
				return nil // too many for the memory there is
			}
			all = append(all, y...)
		}
		if slices.Equal(all, alone) {
			q.merge = slices.Insert(q.merge, 0, k)
		}
	}
	return nil
}

// embed waits for the features of a prepared image. It calls taken when the image has
// its place in the queue.
func (q *queue) embed(ctx context.Context, values []float32, taken func()) ([]float32, error) {
	j := &job{ctx: ctx, values: values, done: make(chan struct{})}
	select {
	case q.jobs <- j:
		taken()
	case <-ctx.Done():
		taken()
		return nil, ctx.Err()
	case <-q.quit:
		taken()
		return nil, errInternal
	}
	select {
	case <-j.done:
		return j.features, j.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-q.quit:
		return nil, errInternal
	}
}

func (q *queue) close() {
	close(q.quit)
	<-q.ended
}

func (q *queue) run() {
	defer close(q.ended)
	var waiting []*job
	for {
		if len(waiting) == 0 {
			select {
			case j := <-q.jobs:
				waiting = append(waiting, j)
			case <-q.quit:
				return
			}
		}
		for more := true; more && len(waiting) < q.merge[0]; {
			select {
			case j := <-q.jobs:
				waiting = append(waiting, j)
			default:
				more = false
			}
		}
		waiting = slices.DeleteFunc(waiting, func(j *job) bool { return j.ctx.Err() != nil }) // nobody waits for it
		for _, k := range q.merge {
			if k <= len(waiting) {
				q.together(waiting[:k])
				waiting = slices.Delete(waiting, 0, k)
				break
			}
		}
	}
}

// together takes images through the network.
func (q *queue) together(jobs []*job) {
	values := jobs[0].values
	if len(jobs) > 1 {
		values = nil
		for _, j := range jobs {
			values = append(values, j.values...)
		}
	}
	y, err := q.safely(values)
	if err != nil && len(jobs) > 1 { // the fault of one of them
		for _, j := range jobs {
			q.together([]*job{j})
		}
		return
	}
	q.batches.Add(1)
	q.images.Add(int64(len(jobs)))
	for i, j := range jobs {
		if j.err = err; err == nil {
			d := len(y) / len(jobs)
			j.features = y[i*d : (i+1)*d : (i+1)*d]
		}
		close(j.done)
	}
}

// safely is Prepared, of which a mistake in the code must not end all other
// requests.
func (q *queue) safely(values []float32) (y []float32, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.Join(errInternal, fmt.Errorf("%v", r))
		}
	}()
	return q.Prepared(context.Background(), values)
}

var errInternal = errors.New("the model failed")
