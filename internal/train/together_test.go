package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"vicreg/internal/device/far"
	"vicreg/internal/group"
	"vicreg/internal/group/local"
	"vicreg/internal/pairs"
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

func (s *stopper) Sum(arrays ...[]float32) {
	s.Group.Sum(arrays...)
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
	err := local.First(local.Run(2, func(g group.Group) error {
		d := far.New()
		defer d.Close()
		_, _, err := Pretrain(context.Background(), c, Options{Group: g, Device: d})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := result(t, c.Out); !bytes.Equal(raw, model) {
		t.Error("on devices with memory of their own the run ends with other bits")
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
	const odd = "a batch of 15 cannot be divided equally among 2 processes; take 14 or 16, or another number of processes"
	if err := errs[0]; err == nil || err.Error() != odd {
		t.Errorf("rank 0: %v", err)
	}
	if err := errs[1]; err == nil || err.Error() != "rank 0: "+odd {
		t.Errorf("rank 1: %v", err)
	}
}

// A rank that dies, wherever, ends the others, which say what is saved; and the run goes on
// to the bits that it would have come to.
func TestProcessDies(t *testing.T) {
	t.Parallel()
	c := config(t)
	if err := local.First(trainOn(c, 2, 0, 0)); err != nil {
		t.Fatal(err)
	}
	model, _ := result(t, c.Out)
	for _, call := range []int{40, 111, 300, 444} {
		c.Out = filepath.Join(t.TempDir(), "run")
		errs := local.Run(2, func(g group.Group) error {
			if g.Rank() == 1 {
				g = &mortal{Group: g, last: call}
			}
			_, _, err := Pretrain(context.Background(), c, Options{Group: g})
			return err
		})
		if err := errs[1]; err == nil || !strings.HasPrefix(err.Error(), "panic: killed") {
			t.Fatalf("call %d: rank 1 ends with %v", call, err)
		}
		if err := errs[0]; !errors.As(err, new(group.Failure)) ||
			!strings.Contains(err.Error(), "the last good checkpoint is "+filepath.Join(c.Out, runlog.CheckpointFile)) ||
			!strings.Contains(err.Error(), "--resume "+c.Out+" goes on") {
			t.Errorf("call %d: rank 0 ends with %v", call, err)
		}
		if err := resume(c.Out, 2, nil); err != nil {
			t.Fatal(err)
		}
		if again, _ := result(t, c.Out); !bytes.Equal(again, model) {
			t.Errorf("a rank died in call %d, and the run ends with other bits", call)
		}
	}
}

// mortal is a rank that dies when it calls a sum or gathers rows for the last time.
type mortal struct {
	group.Group
	calls, last int
}

func (m *mortal) call() {
	if m.calls++; m.calls == m.last {
		panic("killed")
	}
}

func (m *mortal) Sum(arrays ...[]float32) {
	m.call()
	m.Group.Sum(arrays...)
}

func (m *mortal) SumWide(x []float64) {
	m.call()
	m.Group.SumWide(x)
}

func (m *mortal) Gather(to, from []float32) {
	m.call()
	m.Group.Gather(to, from)
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

func (f *faulty) Sum(arrays ...[]float32) {
	f.Group.Sum(arrays...)
	if len(arrays) > 0 {
		arrays[0][0] = math.Nextafter32(arrays[0][0], 1)
	}
}

// What is not images and VICReg comes to the same in two processes as in one, too: methods
// with queues, banks and momentum encoders, a classifier, pairs.
func TestProcessesOfEveryKind(t *testing.T) {
	t.Parallel()
	_, taught := tuning(t, "semi-10percent")
	rows := "x,y,z\n"
	for i := range 60 {
		rows += fmt.Sprintf("%d,%d,%d\n", i%7, i%5, (i*i)%11)
	}
	manifest := filepath.Join(t.TempDir(), "pairs.csv")
	if err := os.WriteFile(manifest, []byte(rows), 0o666); err != nil {
		t.Fatal(err)
	}
	pairing := config(t)
	pairing.Data.Source, pairing.Branches = manifest, "separate"
	pairing.Pairs = &recipe.Pairs{A: pairs.Side{Type: "numeric", Columns: []string{"x", "y"}},
		B: pairs.Side{Type: "numeric", Columns: []string{"z"}}}
	pairing.Suit([2]bool{}, false)
	for what, c := range map[string]recipe.Config{"deepcluster": methodConfig(t, "deepcluster"),
		"swav": methodConfig(t, "swav"), "moco-v2": methodConfig(t, "moco-v2"), "teaching": taught, "pairs": pairing} {
		c.Optimizer.BaseLR /= 100 // few steps at a high rate would blow rounding up
		var one []float64
		for _, processes := range []int{1, 2} {
			c.Out = filepath.Join(t.TempDir(), "run")
			if err := local.First(trainOn(c, processes, 0, 0)); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			got := losses(t, c.Out)
			if processes == 1 {
				one = got
			}
			for i := range got {
				if math.Abs(got[i]-one[i]) > 1e-4*max(1, math.Abs(one[i])) {
					t.Errorf("%s: loss %d is %v in two processes, and %v in one", what, i, got[i], one[i])
				}
			}
		}
	}
}

// An image that turns bad where one rank meets it is among the warnings of the run.
func TestProcessMeetsBadImage(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Data.Source, c.Data.Labels, c.Epochs = photos(t, 32), "none", 3
	spoil := &spoiler{path: filepath.Join(c.Data.Source, "07.png")}
	err := local.First(local.Run(4, func(g group.Group) error {
		_, _, err := Pretrain(context.Background(), c, Options{Group: g, Reporter: spoil})
		return err
	}))
	s, readErr := runlog.ReadSummary(c.Out)
	if err := errors.Join(err, readErr, spoil.err); err != nil {
		t.Fatal(err)
	}
	if s.BadImages != 1 || !strings.Contains(s.Bad[0], "07.png") || strings.Count(spoil.String(), "turned bad") != 1 {
		t.Errorf("bad images %q, warnings %q", s.Bad, spoil.String())
	}
}

// spoiler is told by rank 0 that the run begins, and spoils a file then.
type spoiler struct {
	warnings
	path string
	err  error
}

func (s *spoiler) Start(Plan) { s.err = os.WriteFile(s.path, []byte("spoilt"), 0o666) }

// Without common statistics the running ones that are kept are those of rank 0, and a run
// that was stopped ends with the same bits.
func TestProcessesNormaliseApart(t *testing.T) {
	t.Parallel()
	c := methodConfig(t, "byol")
	c.SyncNorm = false
	var model []byte
	for _, stop := range []int{0, 11} {
		c.Out = filepath.Join(t.TempDir(), "run")
		err := local.First(trainOn(c, 2, 1, stop))
		if stop > 0 {
			if !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			err = resume(c.Out, 2, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := result(t, c.Out)
		if stop == 0 {
			model = raw
		} else if !bytes.Equal(raw, model) {
			t.Error("a run that was stopped ends with other bits")
		}
	}
}
