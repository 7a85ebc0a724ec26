package parallel

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestForRunsEveryPieceOnce(t *testing.T) {
	defer SetWorkers(0)
	for _, workers := range []int{1, 2, 3, 8} {
		SetWorkers(workers)
		for _, n := range []int{0, 1, 2, 7, 1000} {
			seen := make([]atomic.Int32, n)
			busy := make([]atomic.Int32, workers)
			For(n, func(worker, piece int) {
				if busy[worker].Add(1) != 1 {
					t.Errorf("worker %d runs two pieces at once", worker)
				}
				seen[piece].Add(1)
				busy[worker].Add(-1)
			})
			for i := range seen {
				if got := seen[i].Load(); got != 1 {
					t.Fatalf("workers=%d n=%d: piece %d ran %d times", workers, n, i, got)
				}
			}
		}
	}
}

func TestRangeCoversAll(t *testing.T) {
	var sum atomic.Int64
	Range(103, 10, func(_, lo, hi int) { sum.Add(int64(hi - lo)) })
	if sum.Load() != 103 {
		t.Fatalf("pieces cover %d of 103", sum.Load())
	}
}

func TestForPanics(t *testing.T) {
	defer SetWorkers(0)
	SetWorkers(2)
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Fatalf("recovered %v, want boom", r)
			}
		}()
		For(10, func(_, piece int) {
			if piece == 3 {
				panic("boom")
			}
		})
	}()
	For(4, func(_, _ int) {}) // the pool still works
}

// Jobs that follow one another at once, after a while, and after the helpers have
// gone to sleep, with pieces that take longer than they look out for: all run.
func TestForAgain(t *testing.T) {
	defer SetWorkers(0)
	for _, workers := range []int{2, 3, 5} {
		SetWorkers(workers)
		var ran, want atomic.Int64
		for i := range 3000 {
			switch {
			case i%500 == 0:
				time.Sleep(3 * patience)
			case i%50 == 0:
				time.Sleep(patience / 2)
			}
			n := i % 7
			want.Add(int64(n))
			For(n, func(_, piece int) {
				if i%200 == 0 && piece == 1 {
					time.Sleep(2 * patience)
				}
				ran.Add(1)
			})
			if ran.Load() != want.Load() {
				t.Fatalf("%d workers, job %d: %d pieces of %d ran", workers, i, ran.Load(), want.Load())
			}
		}
	}
}

// BenchmarkFor runs pieces of 20 µs: with two workers, a job should not take
// much longer.
func BenchmarkFor(b *testing.B) {
	defer SetWorkers(0)
	SetWorkers(2)
	for b.Loop() {
		For(2, func(_, _ int) {
			for start := time.Now(); time.Since(start) < 20*time.Microsecond; {
			}
		})
	}
}
