// Package parallel is the worker pool every kernel runs on.
//
// Call [For] with a number of pieces that depends on the shape of the work,
// never on the number of workers: then the same bits come out for any number
// of workers, because each piece is computed by one worker from start to end.
package parallel

import (
	"runtime"
	"sync"
)

var (
	mu      sync.Mutex // held for the length of a For: the pool runs one job at a time
	workers int
	helpers *pool // the workers but the caller, which is worker 0
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
	if helpers != nil {
		helpers.end()
	}
	workers, helpers = n, newPool(n, n <= min(runtime.NumCPU(), runtime.GOMAXPROCS(0)))
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
	helpers.run(n, body)
}

// Range splits [0, n) into pieces of at most size and calls body with the
// bounds of each. The split depends on n and size alone.
func Range(n, size int, body func(worker, lo, hi int)) {
	For((n+size-1)/size, func(worker, piece int) {
		lo := piece * size
		body(worker, lo, min(lo+size, n))
	})
}
