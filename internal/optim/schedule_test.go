package optim

import (
	"math"
	"testing"
)

// A schedule that is changed keeps what was done, and passes in a straight line to the
// peak of a cosine of its own, or to the new plan.
func TestReplan(t *testing.T) {
	first := Schedule{Peak: 2, End: 0.1, Warmup: 10, Steps: 100}
	for _, tt := range []struct{ from, steps, passage int }{{100, 300, 20}, {100, 101, 0}, {60, 200, 14}, {60, 80, 2},
		{5, 50, 4}, {0, 40, 4}} {
		plain := first
		plain.Steps = tt.steps
		if tt.steps > first.Steps && tt.from >= first.Warmup {
			plain.Warmup = tt.from + tt.passage
		}
		s := first.Replan(tt.from, tt.steps, tt.passage)
		end := tt.from + tt.passage
		if tt.from == 0 {
			end = 0
		}
		for step := range tt.steps {
			want := plain.At(step)
			switch {
			case step < tt.from:
				want = first.At(step)
			case step < end:
				a, b := first.At(tt.from-1), plain.At(end)
				want = a + (b-a)*float64(step-tt.from+1)/float64(tt.passage+1)
			}
			if got := s.At(step); math.Abs(got-want) > 1e-15 {
				t.Errorf("%+v: step %d has %v, want %v", tt, step, got, want)
			}
		}
	}
	if top, last := first.Replan(100, 300, 20).At(120), first.Replan(100, 300, 20).At(300); top != 2 || last != 0.2 {
		t.Errorf("longer: the peak is %v and the end %v, want 2 and 0.2", top, last)
	}
	// Changed while it still passes, it goes on from where it is.
	s := first.Replan(100, 300, 20)
	twice := s.Replan(110, 200, 9)
	step := (twice.plain(119) - s.At(109)) / 10
	for i := 110; i < 119; i++ {
		if got, want := twice.At(i), s.At(109)+step*float64(i-109); math.Abs(got-want) > 1e-15 {
			t.Errorf("changed twice: step %d has %v, want %v", i, got, want)
		}
	}
}
