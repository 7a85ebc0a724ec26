package parallel

import (
	"runtime"
	"sync"
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
// gone to sleep, with pieces that take longer than they look out for: all run, whether
// there is a processor for each worker or not.
func TestForAgain(t *testing.T) {
	for _, workers := range []int{2, 3, 5, 9} {
		for _, watch := range []bool{false, true} {
			p := newPool(workers, watch)
			var ran, want atomic.Int64
			for i := range 1500 {
				switch {
				case i%500 == 0:
					time.Sleep(3 * patience)
				case i%50 == 0:
					time.Sleep(patience / 2)
				}
				n := i%7 + 2
				want.Add(int64(n))
				p.run(n, func(worker, piece int) {
					if worker >= workers || piece >= n {
						t.Errorf("worker %d of %d has piece %d of %d", worker, workers, piece, n)
					}
					if i%200 == 0 && piece == 1 {
						time.Sleep(2 * patience)
					}
					ran.Add(1)
				})
				if ran.Load() != want.Load() {
					t.Fatalf("%d workers, job %d: %d pieces of %d ran", workers, i, ran.Load(), want.Load())
				}
			}
			p.end()
		}
	}
}

// All helpers come to a job that needs all of them at once, even when all sleep: those who
// come wake others.
func TestAllCome(t *testing.T) {
	const workers = 12
	for _, watch := range []bool{false, true} {
		p := newPool(workers, watch)
		for i := range 20 {
			if i%4 == 0 {
				time.Sleep(2 * most)
			}
			var come sync.WaitGroup
			come.Add(workers)
			p.run(workers, func(_, _ int) {
				come.Done()
				come.Wait()
			})
		}
		p.end()
	}
}

// Helpers that are let go end, asleep or not.
func TestEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 5 {
		for _, watch := range []bool{false, true} {
			p := newPool(4, watch)
			p.run(8, func(_, _ int) {})
			if watch {
				time.Sleep(2 * most)
			}
			p.end()
		}
	}
	for start := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatalf("%d goroutines, were %d", runtime.NumGoroutine(), before)
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
