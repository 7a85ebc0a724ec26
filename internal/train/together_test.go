package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vicreg/internal/group"
	"vicreg/internal/group/local"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// trainOn trains on some ranks, of which one is told to stop after a step; 0: none is.
func trainOn(c recipe.Config, processes, rank, stop int) []error {
	return local.Run(processes, func(g group.Group) error {
		o, ctx := Options{Group: g}, context.Background()
		if stop > 0 && g.Rank() == rank {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			o.Group = &stopper{Group: g, after: stop, cancel: cancel}
		}
		_, s, err := Pretrain(ctx, c, o)
		if err == nil && (s != nil) != (g.Rank() == 0) {
			return errors.New("another rank than 0 has the summary")
		}
		return err
	})
}

// stopper is a rank that is told to stop after some sums of gradients.
type stopper struct {
	group.Group
	sums, after int
	cancel      func()
}

func (s *stopper) Sum(x []float32) {
	s.Group.Sum(x)
	if s.sums++; s.sums == s.after {
		s.cancel()
	}
}

func resume(folder string, processes int, reporter Reporter) error {
	return local.First(local.Run(processes, func(g group.Group) error {
		_, err := Resume(context.Background(), folder, Options{Group: g, Reporter: reporter})
		return err
	}))
}

func losses(t *testing.T, folder string) (all []float64) {
	t.Helper()
	log, err := runlog.ReadMetrics(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range log.Steps {
		all = append(all, s.Loss)
	}
	return all
}

// Several processes have the losses of one, but for rounding; wherever any of them is told
// to stop, the run goes on to the same bits, and with another number of processes it says so.
func TestProcesses(t *testing.T) {
	t.Parallel()
	c := config(t)
	if _, _, err := Pretrain(context.Background(), c, Options{}); err != nil {
		t.Fatal(err)
	}
	want := losses(t, c.Out)
	var model []byte
	for _, x := range []struct{ processes, rank, stop int }{{2, 0, 0}, {2, 0, 2}, {2, 1, 5}, {4, 0, 0}} {
		c.Out = filepath.Join(t.TempDir(), "run")
		errs := trainOn(c, x.processes, x.rank, x.stop)
		for rank, err := range errs {
			if x.stop == 0 && err != nil || x.stop > 0 && !errors.Is(err, ErrInterrupted) {
				t.Fatalf("rank %d of %d: %v", rank, x.processes, err)
			}
		}
		if x.stop > 0 {
			if err := resume(c.Out, x.processes, nil); err != nil {
				t.Fatal(err)
			}
		}
		got := losses(t, c.Out)
		if len(got) != len(want) {
			t.Fatalf("%d steps, want %d", len(got), len(want))
		}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-4*want[i] {
				t.Errorf("%d processes: loss %d is %v, want %v", x.processes, i, got[i], want[i])
			}
		}
		s, err := runlog.ReadSummary(c.Out)
		if err != nil || len(s.Variants) != 1 || !strings.Contains(s.Variants[0], " processes") {
			t.Errorf("the summary has variants %q, %v", s.Variants, err)
		}
		raw, _ := result(t, c.Out)
		switch {
		case x.processes != 2:
		case model == nil:
			model = raw
		case !bytes.Equal(raw, model):
			t.Errorf("stopped by rank %d after %d, the run ends with other bits", x.rank, x.stop)
		}
	}
	c.Out = filepath.Join(t.TempDir(), "run")
	trainOn(c, 2, 0, 3)
	var told warnings
	if err := resume(c.Out, 1, &told); err != nil {
		t.Fatal(err)
	}
	const moved = "the run was computed in 2 processes, from there on in one process: rounding differs"
	if !strings.Contains(told.String(), moved) {
		t.Errorf("the run that moved says %q", told.String())
	}
}

// warnings collects them.
type warnings struct {
	Silent
	mu  sync.Mutex
	all []string
}

func (w *warnings) Warning(x runlog.Warning) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, x.Message)
}

func (w *warnings) String() string { return strings.Join(w.all, "\n") }

// What one process finds out is the error of all, named where it comes from.
func TestProcessesFail(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Batch = 15
	errs := trainOn(c, 2, 0, 0)
	const odd = "a batch of 15 cannot be divided equally among 2 processes; take 14 or 16"
	if err := errs[0]; err == nil || err.Error() != odd {
		t.Errorf("rank 0: %v", err)
	}
	if err := errs[1]; err == nil || err.Error() != "rank 0: "+odd {
		t.Errorf("rank 1: %v", err)
	}

	// A rank that is gone ends the others, which say what is saved.
	c = config(t)
	errs = local.Run(3, func(g group.Group) error {
		if g.Rank() == 2 {
			g = &deserter{Group: g}
		}
		c := c
		c.Batch = 9
		_, _, err := Pretrain(context.Background(), c, Options{Group: g})
		return err
	})
	for _, rank := range []int{0, 1} {
		if err := errs[rank]; !errors.As(err, new(group.Failure)) ||
			!strings.Contains(err.Error(), "the last good checkpoint is "+filepath.Join(c.Out, runlog.CheckpointFile)) ||
			!strings.Contains(err.Error(), "--resume "+c.Out+" goes on") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
	if _, err := os.Stat(filepath.Join(c.Out, runlog.CheckpointFile)); err != nil {
		t.Error(err)
	}
}

// deserter is a rank that dies at the third sum.
type deserter struct {
	group.Group
	sums int
}

func (d *deserter) Sum(x []float32) {
	if d.sums++; d.sums == 3 {
		panic("killed")
	}
	d.Group.Sum(x)
}

// A rank whose parameters went astray is found when the run is saved.
func TestProcessesDiffer(t *testing.T) {
	t.Parallel()
	c := config(t)
	errs := local.Run(2, func(g group.Group) error {
		if g.Rank() == 1 {
			g = &faulty{g}
		}
		_, _, err := Pretrain(context.Background(), c, Options{Group: g})
		return err
	})
	for rank, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "the parameters of rank 1 are no longer those of rank 0") {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// faulty gets another sum than the others, by a bit.
type faulty struct{ group.Group }

func (f *faulty) Sum(x []float32) {
	f.Group.Sum(x)
	if len(x) > 0 {
		x[0] = math.Nextafter32(x[0], 1)
	}
}
