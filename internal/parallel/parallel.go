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
)

// job is one call of For, handed to every worker of the pool.
type job struct {
	body func(worker, piece int)
	next atomic.Int64
	n    int64
	done sync.WaitGroup

	panicked atomic.Pointer[any]
}

func (j *job) run(worker int) {
	defer j.done.Done()
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

var (
	mu      sync.Mutex // held for the length of a For: the pool runs one job at a time
	workers int
	wake    []chan *job // one for each worker but the caller, which is worker 0
	current job
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
	for _, c := range wake {
		close(c)
	}
	workers, wake = n, make([]chan *job, n-1)
	for i := range wake {
		c := make(chan *job, 1)
		wake[i] = c
		go func() {
			for j := range c {
				j.run(i + 1)
			}
		}()
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
	helpers := min(workers, n) - 1
	j.done.Add(helpers + 1)
	for _, c := range wake[:helpers] {
		c <- j
	}
	j.run(0)
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
