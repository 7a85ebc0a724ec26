package optim

import (
	"fmt"
	"math"
	"testing"

	"vicreg/internal/nn"
)

// Every constant of a configuration counts: two steps of one weight against the
// formulas, at the schedule's rate or, for a static parameter, at the peak.
func TestEveryConstantCounts(t *testing.T) {
	const w0, lr, peak = 3.0, 0.01, 0.4
	grads := [2]float64{0.5, -0.25}
	lars := func(c Config) func(decay float64, rate float64, flat bool) float64 {
		return func(decay, rate float64, flat bool) float64 {
			w, m := w0, 0.0
			for _, g := range grads {
				u, q := g+decay*w, 1.0
				switch {
				case flat:
					u = g
				case c.Clip:
					q = min(c.Eta*math.Abs(w)/(math.Abs(g)+decay*math.Abs(w)+c.Eps)/rate, 1)
				default:
					q = c.Eta * math.Abs(w) / math.Abs(u)
				}
				m = c.Momentum*m + q*u
				w -= rate * m
			}
			return w
		}
	}
	sgd := func(c Config) func(decay, rate float64, flat bool) float64 {
		return func(decay, rate float64, flat bool) float64 {
			w, m := w0, 0.0
			for _, g := range grads {
				if !flat || c.DecayAll {
					g += decay * w
				}
				m = c.Momentum*m + g
				if c.Nesterov {
					w -= rate * (g + c.Momentum*m)
				} else {
					w -= rate * m
				}
			}
			return w
		}
	}
	adamw := func(c Config) func(decay, rate float64, flat bool) float64 {
		return func(decay, rate float64, flat bool) float64 {
			w, m, v := w0, 0.0, 0.0
			for i, g := range grads {
				if !flat || c.DecayAll {
					w -= rate * decay * w
				}
				m, v = c.Betas[0]*m+(1-c.Betas[0])*g, c.Betas[1]*v+(1-c.Betas[1])*g*g
				mm, vv := m/(1-math.Pow(c.Betas[0], float64(i+1))), v/(1-math.Pow(c.Betas[1], float64(i+1)))
				w -= rate * mm / (math.Sqrt(vv) + c.Eps)
			}
			return w
		}
	}
	for _, c := range []Config{
		{Name: "lars", Momentum: 0.9, WeightDecay: 0.1, Eta: 0.02},
		{Name: "lars", Momentum: 0.8, WeightDecay: 0.2, Eta: 0.001, Clip: true, Eps: 0.3},
		{Name: "sgd", Momentum: 0.9, WeightDecay: 0.1},
		{Name: "sgd", Momentum: 0.7, WeightDecay: 0.2, Nesterov: true},
		{Name: "sgd", Momentum: 0.7, WeightDecay: 0.2, DecayAll: true},
		{Name: "adamw", Betas: [2]float64{0.8, 0.9}, Eps: 0.1, WeightDecay: 0.2},
		{Name: "adamw", Betas: [2]float64{0.9, 0.95}, Eps: 0.01, WeightDecay: 0.3, DecayAll: true},
	} {
		c.Peak = peak
		want := map[string]func(Config) func(decay, rate float64, flat bool) float64{"lars": lars, "sgd": sgd,
			"adamw": adamw}[c.Name](c)
		for _, shape := range [][]int{{1, 1}, {1}, {1, 1, 1, 1}} {
			for _, static := range []bool{false, true} {
				p := one(w0, 0, shape...)
				p.Static = static
				frozen := one(w0, 1, shape...)
				frozen.Frozen = true
				o, err := New([]*nn.Param{p, frozen}, c)
				if err != nil || o.Name() != c.Name {
					t.Fatal(o, err)
				}
				for _, g := range grads {
					p.Grad.Host()[0] = float32(g)
					o.Step(lr)
				}
				rate := lr
				if static {
					rate = peak
				}
				near(t, fmt.Sprintf("%+v, shape %v, static %v", c, shape, static), p.Value.Host()[0],
					want(c.WeightDecay, rate, len(shape) == 1))
				if frozen.Value.Host()[0] != w0 {
					t.Errorf("%s moved a frozen parameter to %v", c.Name, frozen.Value.Host()[0])
				}
			}
		}
	}
}
