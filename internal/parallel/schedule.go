package parallel

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// Makespan returns how long so many workers take for the pieces of a loop: each takes the
// next piece, in order, as soon as it is done with its last.
func Makespan(pieces []time.Duration, workers int) time.Duration {
	if workers < 1 {
		panic("parallel: no workers")
	}
	free := make([]time.Duration, min(workers, max(1, len(pieces)))) // when each will be
	last := time.Duration(0)
	for _, p := range pieces {
		first := 0
		for i, at := range free {
			if at < free[first] {
				first = i
			}
		}
		free[first] += p
		last = max(last, free[first])
	}
	return last
}

// Sum returns what the pieces of a loop take one after the other.
func (l *Loop) Sum() time.Duration {
	sum := time.Duration(0)
	for _, p := range l.Pieces {
		sum += p
	}
	return sum
}

// Cost returns how long a For takes to bring all workers to a piece and back, where no
// worker is without a processor: of many the quickest hundredth, as others on the machine take
// processors away.
func Cost() time.Duration {
	const times = 2000
	n, took := int64(Workers()), make([]time.Duration, times)
	var begun atomic.Int64
	all := func() bool { return begun.Load()%n == 0 }
	for i := range took {
		start := time.Now()
		For(int(n), func(_, _ int) {
			begun.Add(1)
			for !all() {
				for i := 0; i < 1000 && !all(); i++ {
					pause()
				}
				runtime.Gosched()
			}
		})
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/100]
}
