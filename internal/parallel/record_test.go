package parallel

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"
)

// compute keeps the thread busy for so long, and the clock goes on.
func compute(d time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start, begun := clock(), time.Now(); clock()-start < d || time.Since(begun) < d; {
	}
}

func TestRecord(t *testing.T) {
	defer SetWorkers(0)
	SetWorkers(2)
	var pieces [5]int
	body := func(_, piece int) {
		pieces[piece]++
		if piece == 3 {
			compute(2 * time.Millisecond)
		}
	}
	work := func() error {
		compute(time.Millisecond)
		Operands(100)
		Operands(20)
		For(5, body)
		For(1, body)
		compute(time.Millisecond)
		return nil
	}
	for _, single := range []bool{true, false} {
		clear(pieces[:])
		run := Watch
		if single {
			run = Record
		}
		r, err := run(work)
		if err != nil || len(r.Loops) != 2 {
			t.Fatalf("%d loops, error %v", len(r.Loops), err)
		}
		if pieces != [5]int{2, 1, 1, 1, 1} {
			t.Fatalf("pieces ran %v times", pieces)
		}
		l := r.Loops[0]
		if l.Operation != "parallel" || !strings.HasPrefix(l.Body, "parallel.TestRecord.") {
			t.Errorf("loop of %s is called %s", l.Operation, l.Body)
		}
		if l.Bytes != 120 || r.Loops[1].Bytes != 0 {
			t.Errorf("operands of %d and %d bytes, want 120 and 0", l.Bytes, r.Loops[1].Bytes)
		}
		if ms := time.Millisecond; l.Before < ms || r.After < ms || l.Took < 2*ms {
			t.Errorf("%v before, %v in the loop, %v after", l.Before, l.Took, r.After)
		}
		if !single {
			if l.Pieces != nil {
				t.Errorf("%d pieces of a loop on all workers", len(l.Pieces))
			}
			continue
		}
		if len(l.Pieces) != 5 || len(r.Loops[1].Pieces) != 1 {
			t.Fatalf("%d and %d pieces", len(l.Pieces), len(r.Loops[1].Pieces))
		}
		if l.Pieces[3] < 2*time.Millisecond || l.Sum() < l.Pieces[3] || l.Sum() > l.Took {
			t.Errorf("pieces took %v, in all %v of %v", l.Pieces, l.Sum(), l.Took)
		}
	}
	if _, err := Record(func() error { return errors.New("no") }); err == nil {
		t.Error("the error was lost")
	}
	For(2, body) // is kept nowhere
	if recorder != nil || recording.Load() {
		t.Error("the recording goes on")
	}
}

// A recording that panics ends.
func TestRecordPanics(t *testing.T) {
	func() {
		defer func() { _ = recover() }()
		_, _ = Record(func() error {
			For(3, func(_, _ int) { panic("no") })
			return nil
		})
	}()
	if recorder != nil || recording.Load() {
		t.Error("the recording goes on")
	}
	For(2, func(_, _ int) {})
}

func TestMakespan(t *testing.T) {
	for _, c := range []struct {
		pieces  []time.Duration
		workers int
		want    time.Duration
	}{
		{nil, 3, 0},
		{[]time.Duration{5}, 1, 5},
		{[]time.Duration{5}, 9, 5},
		{[]time.Duration{3, 3, 3, 3}, 2, 6},
		{[]time.Duration{3, 3, 3, 3, 3}, 2, 9},
		{[]time.Duration{1, 1, 1, 9}, 2, 10}, // the long one begins late
		{[]time.Duration{9, 1, 1, 1}, 2, 9},
		{[]time.Duration{4, 2, 1, 3}, 3, 4},
	} {
		if got := Makespan(c.pieces, c.workers); got != c.want {
			t.Errorf("%v on %d workers: %d, want %d", c.pieces, c.workers, got, c.want)
		}
	}
}

func TestCost(t *testing.T) {
	defer SetWorkers(0)
	SetWorkers(2)
	if c := Cost(); c <= 0 || c > 100*time.Millisecond {
		t.Errorf("a For costs %v", c)
	}
}
