package optim

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

func TestLARSGolden(t *testing.T) {
	g := check.Golden(t, "testdata/lars.safetensors")
	var params []*nn.Param
	for i := 0; g.Has(fmt.Sprintf("p%d_init", i)); i++ {
		p := nn.NewParam(fmt.Sprintf("p%d", i), g.Shape(fmt.Sprintf("p%d_init", i))...)
		p.SetTorch(g.F32(p.Name + "_init"))
		params = append(params, p)
	}
	if len(params) != 5 {
		t.Fatalf("%d parameters, want 5", len(params))
	}
	params = append(params, nn.NewBuffer("running_mean", 3)) // has no gradient
	o := NewLARS(params, LARS{Momentum: g.Float("momentum"), WeightDecay: g.Float("weight_decay"), Eta: g.Float("eta")})
	for step := range 5 {
		for i, p := range params[:5] {
			setTorchGrad(p, g.F32(fmt.Sprintf("p%d_grad%d", i, step)))
		}
		o.Step(0.1 * float64(step+1))
		for i, p := range params[:5] {
			check.Close(t, fmt.Sprintf("p%d %v after step %d", i, p.Shape, step), p.Torch(), g.F32(fmt.Sprintf("p%d_after%d", i, step)), 1e-6)
		}
	}
}

// setTorchGrad stores a gradient given in PyTorch's order.
func setTorchGrad(p *nn.Param, v []float32) {
	q := nn.NewParam(p.Name, p.Shape...)
	q.SetTorch(v)
	copy(p.Grad.Host(), q.Value.Host())
}

func TestScheduleGolden(t *testing.T) {
	g := check.Golden(t, "testdata/schedule.safetensors")
	s := NewSchedule(g.Float("base_lr"), 0.001, int(g.Float("batch_size")), int(g.Float("steps_per_epoch")),
		int(g.Float("epochs")), g.Float("warmup_epochs"))
	for i, want := range g.F64("lr") {
		if got := s.At(i); math.Abs(got-want) > 1e-6*want {
			t.Errorf("step %d: %v, want %v", i, got, want)
		}
	}
}

func TestScheduleEnds(t *testing.T) {
	s := Schedule{Peak: 2, End: 0.25, Warmup: 0, Steps: 10}
	for step, want := range map[int]float64{0: 2, 5: 1.25, 10: 0.5, 99: 0.5} {
		if got := s.At(step); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	if got := (Schedule{Peak: 1, Warmup: 5, Steps: 5}).At(4); got != 0.8 {
		t.Errorf("a run of warm-up alone: %v at step 4", got)
	}
}

// one returns a parameter of a single element.
func one(w, g float32, shape ...int) *nn.Param {
	p := nn.NewParam("w", shape...)
	p.Value.Host()[0], p.Grad.Host()[0] = w, g
	return p
}

func near(t *testing.T, what string, got float32, want float64) {
	t.Helper()
	if math.Abs(float64(got)-want) > 1e-6*math.Abs(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestLARSClip(t *testing.T) {
	// q = 0.02·3/(0.5 + 0.1·3 + 1e-8), divided by lr, at most 1.
	const q = 0.02 * 3 / (0.5 + 0.1*3)
	for _, lr := range []float64{0.3, 0.01, 0} {
		p := one(3, -0.5, 1, 1)
		NewLARS([]*nn.Param{p}, LARS{Momentum: 0.9, WeightDecay: 0.1, Eta: 0.02, Clip: true, Eps: 1e-8}).Step(lr)
		near(t, fmt.Sprintf("lr %g", lr), p.Value.Host()[0], 3-lr*min(q/lr, 1)*(-0.5+0.1*3))
	}
	// A zero gradient: no decay either.
	p := one(3, 0, 1, 1)
	NewLARS([]*nn.Param{p}, LARS{WeightDecay: 0.1, Eta: 0.02, Clip: true, Eps: 1e-8}).Step(1)
	near(t, "zero gradient", p.Value.Host()[0], 3)
	// Clip with the released norms.
	p = one(3, 1, 1, 1)
	NewLARS([]*nn.Param{p}, LARS{Eta: 100, Clip: true}).Step(0.5)
	near(t, "released norms", p.Value.Host()[0], 3-0.5)
}

func TestSGD(t *testing.T) {
	for _, nesterov := range []bool{false, true} {
		for _, shape := range [][]int{{1, 1}, {1}} {
			p := one(2, 0.5, shape...)
			o := NewSGD([]*nn.Param{p}, SGD{Momentum: 0.9, WeightDecay: 0.1, Nesterov: nesterov})
			w, m, decay := 2.0, 0.0, 0.1
			if len(shape) == 1 {
				decay = 0
			}
			for step := range 3 {
				lr := 0.1 * float64(step+1)
				o.Step(lr)
				d := 0.5 + decay*w
				m = 0.9*m + d
				if nesterov {
					d += 0.9 * m
				} else {
					d = m
				}
				w -= lr * d
				near(t, fmt.Sprintf("nesterov %v, %v, step %d", nesterov, shape, step), p.Value.Host()[0], w)
			}
		}
	}
}

func TestAdamW(t *testing.T) {
	for _, shape := range [][]int{{1, 1}, {1}} {
		p := one(2, 0, shape...)
		o := NewAdamW([]*nn.Param{p}, AdamW{Betas: [2]float64{0.9, 0.99}, Eps: 1e-3, WeightDecay: 0.1})
		w, m, v, decay := 2.0, 0.0, 0.0, 0.1
		if len(shape) == 1 {
			decay = 0
		}
		for step := 1; step <= 4; step++ {
			lr, g := 0.1*float64(step), 0.3*float64(step)-0.5
			p.Grad.Host()[0] = float32(g)
			o.Step(lr)
			m, v = 0.9*m+0.1*g, 0.99*v+0.01*g*g
			w -= lr * decay * w
			w -= lr * m / (1 - math.Pow(0.9, float64(step))) / (math.Sqrt(v/(1-math.Pow(0.99, float64(step)))) + 1e-3)
			near(t, fmt.Sprintf("%v, step %d", shape, step), p.Value.Host()[0], w)
		}
	}
}

var all = []Config{
	{Name: "lars", Momentum: 0.9, WeightDecay: 1e-4, Eta: 0.02},
	{Name: "lars", Momentum: 0.9, WeightDecay: 1e-4, Eta: 0.02, Clip: true, Eps: 1e-8},
	{Name: "sgd", Momentum: 0.9, WeightDecay: 1e-4},
	{Name: "sgd", Momentum: 0.9, Nesterov: true},
	{Name: "adamw", WeightDecay: 0.1, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8},
}

// network returns parameters of several sizes, the same on every call.
func network() []*nn.Param {
	r := rng.New(7)
	params := []*nn.Param{nn.NewParam("a.weight", 300, 400), nn.NewParam("a.bias", 300), nn.NewParam("b.weight", 2, 3, 3, 3),
		nn.NewBuffer("b.running_mean", 5)}
	for _, p := range params {
		for i := range p.Value.Host() {
			p.Value.Host()[i] = float32(r.NormFloat64())
		}
	}
	return params
}

func gradients(params []*nn.Param, step int) {
	r := rng.New(8, uint64(step))
	for _, p := range params {
		for i := range p.Grad.Host() {
			p.Grad.Host()[i] = float32(r.NormFloat64())
		}
	}
}

func train(t *testing.T, c Config, params []*nn.Param, from, to int, state [][]float32) [][]float32 {
	t.Helper()
	o, err := New(params, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range o.State() {
		if state != nil {
			copy(s.Value.Host(), state[i])
		}
	}
	for step := from; step < to; step++ {
		gradients(params, step)
		o.Step(0.05 * float64(step+1))
	}
	var out [][]float32
	for _, s := range o.State() {
		out = append(out, slices.Clone(s.Value.Host()))
	}
	return out
}

func TestRestoreAndWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	for _, c := range all {
		want := network()
		parallel.SetWorkers(1)
		train(t, c, want, 0, 4, nil)
		for workers := 2; workers <= 3; workers++ {
			parallel.SetWorkers(workers)
			got := network()
			state := train(t, c, got, 0, 2, nil)
			train(t, c, got, 2, 4, state)
			for i := range got {
				if !slices.Equal(got[i].Value.Host(), want[i].Value.Host()) {
					t.Errorf("%+v: %s differs with %d workers and a stop in between", c, got[i].Name, workers)
				}
			}
		}
	}
}

func TestStateNames(t *testing.T) {
	for _, c := range all {
		o, _ := New(network(), c)
		if o.Name() != c.Name {
			t.Errorf("%q calls itself %q", c.Name, o.Name())
		}
		seen := map[string]bool{}
		for _, s := range o.State() {
			if seen[s.Name] || s.Name == "" {
				t.Errorf("%s: state %q appears twice or has no name", c.Name, s.Name)
			}
			seen[s.Name] = true
		}
	}
	if _, err := New(nil, Config{Name: "adam"}); err == nil {
		t.Error(`"adam" was taken`)
	}
}

func TestNoAllocation(t *testing.T) {
	parallel.SetWorkers(1)
	defer parallel.SetWorkers(0)
	for _, c := range all {
		o, _ := New(network(), c)
		if got := testing.AllocsPerRun(5, func() { o.Step(0.1) }); got > 0 {
			t.Errorf("%s: %v allocations per step", c.Name, got)
		}
	}
}

// A ResNet-18 with an expander of 2048³ has about 21 million parameters.
func BenchmarkStep(b *testing.B) {
	for _, c := range []Config{all[0], all[2], all[4]} {
		b.Run(c.Name, func(b *testing.B) {
			var params []*nn.Param
			for i := range 9 {
				params = append(params, nn.NewParam(fmt.Sprint(i), 512, 512, 3, 3))
			}
			gradients(params, 0)
			o, _ := New(params, c)
			n := 9 * len(params[0].Value.Host())
			for b.Loop() {
				o.Step(1e-3)
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gparam/s")
		})
	}
}
