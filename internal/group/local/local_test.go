package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/group"
)

func TestOperations(t *testing.T) {
	for _, n := range []int{1, 2, 4, 7} {
		errs := Run(n, Exercise)
		if err := First(errs); err != nil {
			t.Errorf("%d ranks: %v", n, err)
		}
	}
}

// Sums have the same bits on every rank, those of adding rank by rank.
func TestSumOrder(t *testing.T) {
	values := []float32{1e8, 1, -1e8, 1}
	var got [4]float32
	errs := Run(4, func(g group.Group) error {
		x := []float32{values[g.Rank()]}
		g.Sum(x)
		got[g.Rank()] = x[0]
		return nil
	})
	want := values[0]
	for _, v := range values[1:] {
		want += v
	}
	if First(errs) != nil || !slices.Equal(got[:], []float32{want, want, want, want}) {
		t.Errorf("sums %v, want %v; %v", got, want, errs)
	}
}

func TestFailures(t *testing.T) {
	own := errors.New("no such image")
	for _, c := range []struct {
		name string
		do   func(g group.Group) error
		want string
	}{
		{"another operation", func(g group.Group) error {
			if g.Rank() == 1 {
				g.Barrier()
			} else {
				g.Sum(make([]float32, 3))
			}
			return nil
		}, "another rank"},
		{"another length", func(g group.Group) error {
			g.Sum(make([]float32, 3+g.Rank()))
			return nil
		}, "another rank"},
		{"a rank ends", func(g group.Group) error {
			if g.Rank() != 1 {
				g.Barrier()
			}
			return nil
		}, "ended"},
		{"a rank fails", func(g group.Group) error {
			if g.Rank() == 1 {
				return own
			}
			g.Barrier()
			return nil
		}, own.Error()},
		{"a rank panics", func(g group.Group) error {
			if g.Rank() == 1 {
				panic("mistake")
			}
			g.Barrier()
			return nil
		}, "panic: mistake"},
		{"a rank is away", func(g group.Group) error {
			if g.Rank() == 1 {
				time.Sleep(300 * time.Millisecond)
			}
			g.Barrier()
			return nil
		}, "waits at Barrier"},
	} {
		began := time.Now()
		errs := run(3, 50*time.Millisecond, c.do)
		err := First(errs)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		var f group.Failure
		if !errors.As(errs[2], &f) {
			t.Errorf("%s: rank 2 ends with %v", c.name, errs[2])
		}
		if time.Since(began) > 10*time.Second {
			t.Errorf("%s: took %v", c.name, time.Since(began))
		}
	}
}

func TestAgree(t *testing.T) {
	own := errors.New("no such image")
	errs := Run(3, func(g group.Group) error {
		if err := group.Agree(g, nil); err != nil {
			return fmt.Errorf("agreed on %w where there is none", err)
		}
		var err error
		if g.Rank() == 1 {
			err = own
		}
		return group.Agree(g, err)
	})
	if errs[1] != own {
		t.Errorf("rank 1 has %v", errs[1])
	}
	for _, i := range []int{0, 2} {
		var o *group.Other
		if !errors.As(errs[i], &o) || o.Rank != 1 || errs[i].Error() != "rank 1: no such image" {
			t.Errorf("rank %d has %v", i, errs[i])
		}
	}
	if err := First(errs); err != own {
		t.Errorf("the first is %v", err)
	}
}

func TestShare(t *testing.T) {
	errs := Run(2, func(g group.Group) error {
		if from, to := group.Share(g, 6); from != 3*g.Rank() || to != from+3 {
			return fmt.Errorf("rows %d to %d", from, to)
		}
		return nil
	})
	if err := First(errs); err != nil {
		t.Error(err)
	}
}
