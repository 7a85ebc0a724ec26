package batch

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls body for every one of n items, on so many goroutines (0: one for each
// processor), and returns when all calls have. Once ctx ends it starts no more calls,
// and returns the context's error.
func Each(ctx context.Context, workers, n int, body func(worker, item int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range min(workersOr(workers), n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				body(worker, i)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// workersOr returns the number of goroutines to use when n are asked for.
func workersOr(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// Counter tells how far several goroutines are with their work.
type Counter struct {
	Total  int
	Report func(done, total int) // called after every 16th and the last, done growing; may be nil

	done atomic.Int64
	mu   sync.Mutex
	last int
}

// Add counts one more.
func (c *Counter) Add() {
	d := int(c.done.Add(1))
	if c.Report == nil || d%16 != 0 && d != c.Total {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > c.last {
		c.last = d
		c.Report(d, c.Total)
	}
}

// Chosen returns which of n items a Scan decodes if it is to decode so many of them (0:
// 50,000, -1: all). They are spread evenly.
func Chosen(decode, n int) func(item int) bool {
	if decode == 0 {
		decode = 50_000
	}
	if decode < 0 || decode > n {
		decode = n
	}
	return func(i int) bool { // item ⌊k·n/decode⌋ for each k
		k := (i*decode + n - 1) / n
		return k < decode && k*n/decode == i
	}
}
