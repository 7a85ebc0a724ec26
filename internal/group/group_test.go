package group

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestAlone(t *testing.T) {
	g := Or(nil)
	x, wide, raw := []float32{1, 2}, []float64{3}, []byte("abc")
	g.Sum(x)
	g.SumWide(wide)
	g.Broadcast(raw, 0)
	g.Barrier()
	to := make([]float32, 2)
	g.Gather(to, x)
	if !slices.Equal(to, []float32{1, 2}) || wide[0] != 3 || string(raw) != "abc" {
		t.Errorf("one process has %v, %v, %s", to, wide, raw)
	}
	if all := g.GatherBytes(raw); len(all) != 1 || !bytes.Equal(all[0], raw) {
		t.Errorf("gathered %q", all)
	}
	if g.Rank() != 0 || g.Size() != 1 {
		t.Errorf("rank %d of %d", g.Rank(), g.Size())
	}
	err := errors.New("x")
	if got := Agree(g, err); got != err {
		t.Errorf("agreed on %v", got)
	}
}

func TestCatch(t *testing.T) {
	do := func(v any) (err error) {
		defer Catch(&err)
		if v != nil {
			panic(v)
		}
		return nil
	}
	if err := do(nil); err != nil {
		t.Error(err)
	}
	fault := Failure{Rank: 2, Err: errors.New("gone")}
	var f Failure
	if err := do(fault); !errors.As(err, &f) || f.Rank != 2 || err.Error() != "gone" {
		t.Errorf("caught %v", err)
	}
	defer func() {
		if r := recover(); r != "other" {
			t.Errorf("recovered %v", r)
		}
	}()
	do("other")
}
