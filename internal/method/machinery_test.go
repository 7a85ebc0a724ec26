package method

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/nn"
	"vicreg/internal/recipe"
)

// gradNorm2 is the square of the gradient's norm.
func gradNorm2(m Method) (sum float64) {
	for _, p := range m.Params() {
		for _, g := range p.Grad.Host() {
			sum += float64(g) * float64(g)
		}
	}
	return sum
}

// Each piece of machinery can be left out or let gradients through, with
// variance and covariance on top or not: the paper's table 4. Where nothing is
// taken as a constant, the gradient is that of the loss.
func TestMachinery(t *testing.T) {
	b := views(0, 0)
	for _, tt := range []struct {
		method string
		change func(*recipe.Config)
		lacks  string // a parameter that is not there
	}{
		{"byol", func(c *recipe.Config) {}, "none"},
		{"byol", func(c *recipe.Config) { c.Momentum.Use, c.Heads.StopGradient = false, false }, "momentum.backbone.conv1.weight"},
		{"byol", func(c *recipe.Config) { c.Heads.Predictor = recipe.None }, "predictor.0.weight"},
		{"byol", func(c *recipe.Config) { c.Heads.Norm = false }, "projector.1.running_mean"},
		{"simsiam", func(c *recipe.Config) { c.Heads.StopGradient = false }, "none"},
		{"simsiam", func(c *recipe.Config) {
			c.Heads.StopGradient, c.Heads.Predictor, c.Heads.Norm = false, recipe.None, false
		}, "predictor.0.weight"},
		{"moco-v2", func(c *recipe.Config) { c.Momentum.Use, c.Heads.StopGradient = false, false }, "momentum.backbone.conv1.weight"},
		{"moco-v3", func(c *recipe.Config) { c.Momentum.Use, c.Heads.StopGradient = false, false }, "momentum.backbone.conv1.weight"},
		{"moco-v3", func(c *recipe.Config) { c.Heads.Predictor = recipe.None }, "predictor.0.weight"},
		{"vicreg", func(c *recipe.Config) { c.Heads.Predictor = "12" }, "none"},
		{"vicreg", func(c *recipe.Config) { c.Heads.Norm = false }, "projector.1.running_mean"},
		{"simclr", func(c *recipe.Config) {}, "none"},
		{"barlow-twins", func(c *recipe.Config) { c.Branches = "separate" }, "none"},
		{"simclr", func(c *recipe.Config) { c.Branches = "separate" }, "none"},
		{"vicreg", func(c *recipe.Config) { c.Branches = "separate" }, "none"},
		{"wmse", func(c *recipe.Config) {}, "none"},
		{"deepcluster", func(c *recipe.Config) {}, "none"},
	} {
		for _, reg := range []recipe.Regularize{{}, {Variance: 3}, {Variance: 2, Covariance: 1}} {
			c := config(t, tt.method)
			tt.change(&c)
			if reg.On() && tt.method == "vicreg" {
				continue
			}
			c.Regularize, c.Loss.Gamma = reg, 2 // beyond what a normalisation gives
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			t.Run(fmt.Sprintf("%s without %s, %v", tt.method, tt.lacks, reg), func(t *testing.T) {
				m := build(t, c)
				if slices.ContainsFunc(all(m), func(p *nn.Param) bool { return p.Name == tt.lacks }) {
					t.Errorf("there is a %s", tt.lacks)
				}
				epoch(t, m, 0)
				m.StartEpoch(1)
				_, names := step(t, m, b)
				if added := strings.Contains(strings.Join(names, " "), "added_variance added_covariance"); added != reg.On() {
					t.Errorf("terms %q", names)
				}
				descends(t, m, b, gradNorm2(m))
			})
		}
	}
}

// Stopping the gradient changes it, and nothing else.
func TestStopGradient(t *testing.T) {
	c := config(t, "simsiam")
	var loss, norm [2]float64
	for i := range loss {
		c.Heads.StopGradient = i == 1
		m := build(t, c)
		loss[i], _ = step(t, m, views(0, 0))
		norm[i] = gradNorm2(m)
	}
	if loss[0] != loss[1] || math.Abs(norm[0]/norm[1]-1) < 0.01 {
		t.Errorf("loss %v, square of the gradient %v without and with", loss, norm)
	}
}

// The momentum encoder starts as a copy, then moves by 1 − τ of the difference,
// and τ goes along a cosine.
func TestMomentumEncoder(t *testing.T) {
	c := config(t, "byol")
	c.Momentum = recipe.Momentum{Use: true, Base: 0.9, Final: 1}
	m := build(t, c).(*byol)
	own, learns := m.target.own[0], m.target.learns[0]
	if !slices.Equal(own.Value.Host(), learns.Value.Host()) {
		t.Fatal("it is no copy")
	}
	for _, tt := range []struct {
		step int
		tau  float64
	}{{1, 0.9}, {51, 0.95}, {101, 1}} {
		own.Value.Host()[0], learns.Value.Host()[0] = 1, 2
		m.AfterStep(tt.step, 100)
		if want := 2 - tt.tau; math.Abs(float64(own.Value.Host()[0])-want) > 1e-6 {
			t.Errorf("after step %d: %v, want %v", tt.step, own.Value.Host()[0], want)
		}
	}
}

func TestQueue(t *testing.T) {
	q := newQueue("q", 6, 1)
	for i := range 8 {
		if got := q.full(); got != (i >= 3) {
			t.Errorf("full after %d pushes: %v", i, got)
		}
		q.push([]float32{float32(2 * i), float32(2*i + 1)})
	}
	if want := []float32{12, 13, 14, 15, 10, 11}; !slices.Equal(q.rows.Value.Host(), want) {
		t.Errorf("it holds %v, want %v", q.rows.Value.Host(), want)
	}
}

// SwAV's prototypes are unit rows, and are left alone at first; SimSiam's
// predictor keeps its learning rate.
func TestStaticAndFrozen(t *testing.T) {
	c := config(t, "swav")
	c.Prototypes.Freeze = 1
	m := build(t, c)
	last := m.Params()[len(m.Params())-1]
	for e, frozen := range []bool{true, false} {
		epoch(t, m, e)
		if last.Frozen != frozen {
			t.Errorf("frozen in epoch %d: %v", e, last.Frozen)
		}
	}
	for k := range last.Shape[0] {
		sum := 0.0
		for _, v := range last.Value.Host()[k*8:][:8] {
			sum += float64(v) * float64(v)
		}
		if math.Abs(sum-1) > 1e-5 {
			t.Errorf("prototype %d has length² %v", k, sum)
		}
	}
	static := 0
	for _, p := range build(t, config(t, "simsiam")).Params() {
		if p.Static != strings.HasPrefix(p.Name, "predictor.") {
			t.Errorf("%s: static is %v", p.Name, p.Static)
		}
		if p.Static {
			static++
		}
	}
	if static == 0 {
		t.Error("nothing is static")
	}
}

// In the first epoch no image has a label, later each has one of each
// clustering.
func TestDeepClusterLabels(t *testing.T) {
	m := build(t, config(t, "deepcluster")).(*deepcluster)
	epoch(t, m, 0)
	if norm := gradNorm2(m); norm != 0 {
		t.Errorf("the first epoch has a gradient of %v", norm)
	}
	m.StartEpoch(1)
	for _, c := range m.clusters {
		seen := map[float32]int{}
		for _, l := range c.labels.Value.Host() {
			seen[l]++
		}
		if seen[-1] != 0 || len(seen) < 3 {
			t.Errorf("labels %v", seen)
		}
	}
	step(t, m, views(1, 0))
	if gradNorm2(m) == 0 {
		t.Error("the second epoch has no gradient")
	}
}

// Small crops predict too: gradients of six views.
func TestManyViews(t *testing.T) {
	for _, name := range []string{"swav", "deepcluster", "wmse"} {
		c := config(t, name)
		c.Queue.Size = 0
		crop := c.Views[0]
		crop.Size, crop.Count = 8, 4
		c.Views = append(slices.Clone(c.Views), crop)
		m := build(t, c)
		b := views(0, 0)
		for i := range 4 {
			x := views(0, i+1).Views[0]
			x.Shape, x.Data = []int{rows, 8, 8, 1}, x.Data[:rows*64]
			b.Views = append(b.Views, x)
		}
		if name == "deepcluster" {
			for e := range 2 {
				m.StartEpoch(e)
				step(t, m, b)
				m.AfterStep(e+1, 9)
			}
		}
		step(t, m, b)
		if name != "swav" { // assignments count as constants there
			descends(t, m, b, gradNorm2(m))
		}
	}
}

// Nothing is learnt before there are labels: not by weight decay either, which
// LARS would scale up to a usual step.
func TestDeepClusterWaitsForLabels(t *testing.T) {
	c := config(t, "deepcluster")
	m := build(t, c)
	o, err := NewOptimizer(c, m.Params())
	if err != nil {
		t.Fatal(err)
	}
	weights := func() (all []float32) {
		for _, p := range m.Params() {
			all = append(all, p.Value.Host()...)
		}
		return all
	}
	for number := range 2 {
		before := weights()
		m.StartEpoch(number)
		for i := range data.Steps {
			step(t, m, views(number, i))
			o.Step(0.1)
			m.AfterStep(number*data.Steps+i+1, 2*data.Steps)
		}
		if same := slices.Equal(before, weights()); same != (number == 0) {
			t.Errorf("epoch %d leaves the weights as they are: %v", number, same)
		}
	}
}
