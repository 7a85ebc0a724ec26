package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// tiny is a run of 4 steps that a simulated card does in seconds.
func tiny(t *testing.T, precision string) recipe.Config {
	c := config(t)
	c.Encoder.Width, c.Expander, c.Size, c.Batch, c.Precision = 2, "8-8", 8, 4, precision
	c.Data.Limit, c.Eval.Limit = 9, 9
	return c
}

// simulated returns a card of its own, as another process would have it.
func simulated(t *testing.T, o sim.Options) *cuda.Device {
	d, err := cuda.New(sim.New(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		defer device.Catch(&err) // where it was lost
		d.Close()
	})
	return d
}

// sameBits trains on devices that make returns, once to the end and stopped after each of
// some steps: all must end with the same bits. It returns the loss of the first step.
func sameBits(t *testing.T, c recipe.Config, device func() device.Device, stops ...int) (first float64) {
	t.Helper()
	var model []byte
	var metrics string
	for _, stop := range append([]int{0}, stops...) {
		c := c
		c.Out = filepath.Join(t.TempDir(), "run")
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		folder, _, err := Pretrain(ctx, c, Options{Reporter: &breaker{cancel: cancel, step: stop}, Device: device()})
		if stop > 0 {
			if !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			_, err = Resume(context.Background(), folder, Options{Device: device()})
		}
		if err != nil {
			t.Fatal(err)
		}
		m, figures := result(t, folder)
		if stop == 0 {
			model, metrics = m, figures
			log, err := runlog.ReadMetrics(folder)
			if err != nil {
				t.Fatal(err)
			}
			first = log.Steps[0].Loss
		}
		if !bytes.Equal(m, model) || figures != metrics {
			t.Errorf("stopped after step %d the run ends with other bits:\n%s\n%s", stop, metrics, figures)
		}
	}
	return first
}

// A run on a card that was stopped and goes on ends with the same bits, and computes what
// the processor does.
func TestSimulatedCard(t *testing.T) {
	if testing.Short() {
		t.Skip("an interpreter under the race detector takes minutes")
	}
	t.Parallel()
	want := sameBits(t, tiny(t, "float32"), func() device.Device { return nil })
	for _, test := range []struct {
		precision string
		near      float64
		stops     []int
	}{{"float32", 1e-4, []int{1}}, {"bf16", 2e-2, []int{3}}} {
		card := func() device.Device { return simulated(t, sim.Options{}) }
		got := sameBits(t, tiny(t, test.precision), card, test.stops...)
		if !(math.Abs(got/want-1) <= test.near) || got == want {
			t.Errorf("%s: the first loss is %v on the card, %v on the processor", test.precision, got, want)
		}
	}
}

// A run that moves between devices says so, once each way.
func TestMoves(t *testing.T) {
	t.Parallel()
	c := tiny(t, "float32")
	d := simulated(t, sim.Options{})
	host := hostVariant(c)
	card := device.Describe(d) + " in float32 beside " + host
	var seen []string
	for i, d := range []device.Device{d, nil} {
		b := &breaker{step: 2*i + 1}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.cancel = cancel
		var err error
		if i == 0 {
			_, _, err = Pretrain(ctx, c, Options{Reporter: b, Device: d})
		} else {
			_, err = Resume(ctx, c.Out, Options{Reporter: b, Device: d})
		}
		if !errors.Is(err, ErrInterrupted) || strings.HasSuffix(err.Error(), "--resume "+c.Out+" --device cuda") != (d != nil) {
			t.Fatal(err)
		}
		seen = append(seen, differs(b.warnings)...)
	}
	b := &breaker{}
	s, err := Resume(context.Background(), c.Out, Options{Device: d, Reporter: b})
	if err != nil {
		t.Fatal(err)
	}
	seen = append(seen, differs(b.warnings)...)
	want := "up to step %d the run was computed on %s, from there on on %s: rounding differs from there on, " +
		"so it ends with other bits than a run that never changed"
	if !slices.Equal(seen, []string{fmt.Sprintf(want, 1, card, host), fmt.Sprintf(want, 3, host, card)}) {
		t.Errorf("%q", seen)
	}
	if !slices.Equal(s.Variants, []string{card, host, card}) || s.Device != device.Describe(d) {
		t.Errorf("variants %q, device %q", s.Variants, s.Device)
	}
	for _, said := range seen {
		if !slices.Contains(s.Notes, said) {
			t.Errorf("the summary does not say %q", said)
		}
	}
	m, err := runlog.ReadMetrics(c.Out)
	if err != nil || len(m.Epochs) != 2 || m.Epochs[0].Device != "" || m.Epochs[1].Device != device.Describe(d) {
		t.Errorf("epochs %+v, %v", m.Epochs, err)
	}
}

// differs are the warnings that a run has moved.
func differs(warnings []string) []string {
	return slices.DeleteFunc(slices.Clone(warnings), func(w string) bool { return !strings.Contains(w, "rounding differs") })
}

// A card that is full or lost ends a run with one sentence, and the run goes on elsewhere.
func TestCardFails(t *testing.T) {
	t.Parallel()
	c := tiny(t, "float32")
	c.Batch = 9
	calls := 0
	counting := sim.Options{Fail: func(_ string, n int) error {
		calls = n
		return nil
	}}
	if _, _, err := Pretrain(context.Background(), c, Options{Device: simulated(t, counting)}); err != nil {
		t.Fatal(err)
	}
	lost := &cuda.Error{Call: "cuLaunchKernel", Code: 719, Name: "CUDA_ERROR_LAUNCH_FAILED", Free: -1}
	full := &cuda.Error{Call: "cublasLtMatmul", Code: 3, Name: "CUBLAS_STATUS_ALLOC_FAILED", Free: 1 << 20}
	for _, test := range []struct {
		fault *cuda.Error
		part  float64 // of all calls that come before
		says  string
	}{
		{lost, 0.02, "simulated card: "}, {full, 0.02, "smaller batch"}, // while steps are timed
		{lost, 0.7, "the last good checkpoint is "},
		{lost, 0.98, "the last good checkpoint is "},
	} {
		at := int(test.part * float64(calls))
		c := c
		c.Out = filepath.Join(t.TempDir(), "run")
		d := simulated(t, sim.Options{Fail: func(call string, n int) error {
			if n < at || test.fault == full && call != full.Call {
				return nil
			}
			return test.fault
		}})
		folder, _, err := Pretrain(context.Background(), c, Options{Device: d})
		where := fmt.Sprintf("%s after %d of %d calls", test.fault.Name, at, calls)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", where, err)
			continue
		}
		wants := []string{test.fault.Name, test.says}
		if folder != "" {
			wants = append(wants, "--resume "+folder)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", where, err, want)
			}
		}
		if folder == "" {
			continue
		}
		s, err := Resume(context.Background(), folder, Options{})
		if err != nil || s.Steps != 2 || s.KNN == nil {
			t.Errorf("%s: resumed: %v, %v", where, s, err)
		}
	}
}

// The memory of a run that ends with an error goes back to the card.
func TestCardsMemoryGoesBack(t *testing.T) {
	t.Parallel()
	c := tiny(t, "float32")
	c.Optimizer.Name, c.Optimizer.BaseLR, c.Warmup = "sgd", 1e25, 0
	d := simulated(t, sim.Options{})
	_, _, err := Pretrain(context.Background(), c, Options{Device: d})
	var nf *NotFinite
	if !errors.As(err, &nf) || nf.Step < 2 || !strings.Contains(err.Error(), "the last good checkpoint is ") {
		t.Fatalf("a learning rate of 10²⁵: %v", err)
	}
	first, _, _ := d.Used()
	c.Out = filepath.Join(t.TempDir(), "run")
	if _, _, err := Pretrain(context.Background(), c, Options{Device: d}); !errors.As(err, &nf) {
		t.Fatal(err)
	}
	if again, _, _ := d.Used(); again != first {
		t.Errorf("%d bytes are in use after a run, %d after another", first, again)
	}
}

// planner keeps the plan of a run and stops it.
type planner struct {
	breaker
	plan Plan
}

func (p *planner) Start(plan Plan) {
	p.plan = plan
	p.cancel()
}

// What a run says before it begins names the card and what it takes of its memory.
func TestPlanOnACard(t *testing.T) {
	t.Parallel()
	c := tiny(t, "bf16")
	d := simulated(t, sim.Options{})
	f, err := Preview(context.Background(), c, Options{Device: d})
	if err != nil || f.Device != device.Describe(d) || f.DeviceBytes < 100e6 || f.Bytes < 100e6 || f.Seconds <= 0 {
		t.Errorf("%+v, %v", f, err)
	}
	p := new(planner)
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	defer p.cancel()
	if _, _, err := Pretrain(ctx, c, Options{Device: d, Reporter: p}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	for _, want := range []string{"\ndevice   " + f.Device + ", bf16\n", " of the device's"} {
		if !strings.Contains(p.plan.About, want) {
			t.Errorf("%q does not say %q", p.plan.About, want)
		}
	}
	small := simulated(t, sim.Options{Memory: 200 << 20})
	c.Out = filepath.Join(t.TempDir(), "run")
	folder, _, err := Pretrain(context.Background(), c, Options{Device: small})
	if err == nil || folder != "" || !strings.Contains(err.Error(), "of the device's memory, and ") {
		t.Errorf("%q, %v", folder, err)
	}
}

// tearing fails for good at a call, counted from where a run begins; at call 0 it only
// counts. It is the run's Reporter.
type tearing struct {
	Silent
	at    int64
	calls atomic.Int64
	begun atomic.Bool
}

func (b *tearing) Start(Plan) { b.begun.Store(true) }

func (b *tearing) fail(call string, _ int) error {
	if b.begun.Load() {
		b.calls.Add(1)
	}
	if b.at == 0 || b.calls.Load() < b.at {
		return nil
	}
	return &cuda.Error{Call: call, Code: 719, Name: "CUDA_ERROR_LAUNCH_FAILED", Free: -1}
}

// A run that was torn off wherever it was, with what it had done since its last checkpoint
// lost, ends on another card of the kind with the same bits.
func TestTornOffOnACard(t *testing.T) {
	if testing.Short() {
		t.Skip("an interpreter under the race detector takes minutes")
	}
	t.Parallel()
	c := tiny(t, "bf16")
	all := new(tearing)
	folder, _, err := Pretrain(context.Background(), c,
		Options{Device: simulated(t, sim.Options{Fail: all.fail}), Reporter: all})
	if err != nil {
		t.Fatal(err)
	}
	model, metrics := result(t, folder)
	for _, part := range []int64{1, 3} {
		c.Out = filepath.Join(t.TempDir(), "run")
		torn := &tearing{at: part * all.calls.Load() / 5}
		folder, _, err := Pretrain(context.Background(), c,
			Options{Device: simulated(t, sim.Options{Fail: torn.fail}), Reporter: torn})
		if !failure(err) {
			t.Fatalf("torn off at call %d of %d: %v", torn.at, all.calls.Load(), err)
		}
		if _, err := Resume(context.Background(), folder, Options{Device: simulated(t, sim.Options{})}); err != nil {
			t.Fatal(err)
		}
		if m, figures := result(t, folder); !bytes.Equal(m, model) || figures != metrics {
			t.Errorf("torn off at call %d of %d the run ends with other bits:\n%s\n%s", torn.at, all.calls.Load(),
				metrics, figures)
		}
	}
}
