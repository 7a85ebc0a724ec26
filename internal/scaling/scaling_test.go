package scaling

import (
	"math"
	"testing"
	"time"

	"vicreg/internal/parallel"
)

// loops returns a recording of three loops: two of 16 equal pieces, and one of 4 of
// which one is long; one millisecond between them, and before and after.
func loops(single bool) *parallel.Recording {
	const ms = time.Millisecond
	r := &parallel.Recording{After: ms}
	equal := make([]time.Duration, 16)
	for i := range equal {
		equal[i] = ms
	}
	for _, l := range []parallel.Loop{
		{Operation: "Conv", Body: "a", Pieces: equal, Took: 9 * ms, Bytes: 8e6},
		{Operation: "Conv", Body: "b", Pieces: []time.Duration{ms, ms, ms, 5 * ms}, Took: 6 * ms},
		{Operation: "Conv", Body: "a", Pieces: equal, Took: 9 * ms, Bytes: 8e6},
	} {
		l.Before = ms
		if !single {
			l.Pieces = nil
		}
		r.Loops = append(r.Loops, l)
	}
	return r
}

func TestReckon(t *testing.T) {
	r := &Report{Threads: 2, ForCost: []Cost{{2, 10, false}, {4, 30, true}, {8, 70, true}, {16, 150, true},
		{32, 310, true}, {64, 630, true}}}
	r.reckon(loops(true), loops(false))
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*max(1, want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("one", r.One, 4+16+8+16)
	near("measured", r.Measured, 4+9+6+9)
	near("2 workers", r.Reckoned[0].Total, 4+8+6+8+3*0.01)
	near("uneven of 2", r.Reckoned[0].Uneven, 2)
	sixteen := r.Reckoned[3]
	near("16 workers", sixteen.Total, 4+1+5+1+0.15+0.03+0.15)
	near("serial", sixteen.Serial, 4)
	near("uneven", sixteen.Uneven, 5-0.5)
	near("barriers", sixteen.Barriers, 0.33)
	near("speed-up", sixteen.Speedup, 44/sixteen.Total)

	if len(r.Kinds) != 2 || r.Kinds[0].Body != "b" || r.Kinds[1].Body != "a" {
		t.Fatalf("kinds %+v", r.Kinds)
	}
	b, a := r.Kinds[0], r.Kinds[1]
	near("b on one", b.One, 8)
	near("b on 16", b.Reckoned, 5.03)
	near("b here", b.Here, 6.01)
	near("b measured", b.Measured, 6)
	near("a on one", a.One, 32)
	near("a on 16", a.Reckoned, 2.3)
	if a.Loops != 2 || a.Pieces != 16 || b.Pieces != 4 {
		t.Errorf("%+v, %+v", a, b)
	}

	if len(r.Serial) != 4 || r.Serial[0].Times != 1 {
		t.Errorf("stretches %+v", r.Serial)
	}
	if len(r.Traffic) != 1 {
		t.Fatalf("traffic %+v", r.Traffic)
	}
	near("moved", r.Traffic[0].Megabytes, 16)
	near("rate", r.Traffic[0].Rate, 16./24)
	near("needed", r.Traffic[0].Needs, 16/(40./16))
}

// A report of a computation says what is there.
func TestOf(t *testing.T) {
	defer parallel.SetWorkers(0)
	parallel.SetWorkers(2)
	sum := make([]float64, 40)
	r, err := Of(func() error {
		parallel.For(len(sum), func(_, piece int) {
			for i := range 20_000 {
				sum[piece] += float64(i)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Threads != 2 || parallel.Workers() != 2 || len(r.Reckoned) != len(Counts) || len(r.Kinds) != 1 ||
		r.Kinds[0].Pieces != 40 || r.Kinds[0].Loops != 1 || len(r.Bandwidth) != 2 || r.Bandwidth[0].Rate <= 0 {
		t.Errorf("%+v", r)
	}
	if two := r.Reckoned[0].Speedup; two < 1.2 || two > 2 {
		t.Errorf("two workers gain %v", two)
	}
	if r.ForCost[0].Assumed || !r.ForCost[1].Assumed || r.ForCost[1].Micros <= r.ForCost[0].Micros {
		t.Errorf("costs %+v", r.ForCost)
	}
}
