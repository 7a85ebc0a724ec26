package vector

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
)

// A gradient that all but cancels the decay leaves a norm that cannot be had
// from ‖g‖, ‖w‖ and g·w.
func TestLARSOpposedGradient(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w, g := check.Normal(r, 10000), check.Normal(r, 10000)
	var w2, u2 float64
	for i := range w {
		g[i] = -0.5*w[i] + 1e-5*g[i]
		u := float64(g[i]) + 0.5*float64(w[i])
		w2, u2 = w2+float64(w[i])*float64(w[i]), u2+u*u
	}
	wn, un := LARS{WeightDecay: 0.5}.norms(w, g)
	check.Scalar(t, "‖w‖", wn, math.Sqrt(w2), 1e-6)
	check.Scalar(t, "‖g + δ·w‖", un, math.Sqrt(u2), 1e-6)
}

// A step of a layer is one of momentum, at the ratio of its norms.
func TestLARSStep(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const n = 50000
	for _, s := range []LARS{
		{LR: 0.3, Momentum: 0.9, WeightDecay: 0.1, Eta: 0.02},
		{LR: 0.3, Momentum: 0.9, WeightDecay: 0.1, Eta: 0.02, Eps: 1e-8},
		{LR: 0.3, Momentum: 0.9, WeightDecay: 0.1, Eta: 5, Eps: 1e-8, Clip: true},
	} {
		w, m, g := check.Normal(r, n), check.Normal(r, n), check.Normal(r, n)
		var w2, g2, u2 float64
		for i := range w {
			u := float64(g[i]) + s.WeightDecay*float64(w[i])
			w2, g2, u2 = w2+float64(w[i])*float64(w[i]), g2+float64(g[i])*float64(g[i]), u2+u*u
		}
		q := s.Eta * math.Sqrt(w2) / math.Sqrt(u2)
		if s.Eps > 0 {
			q = s.Eta * math.Sqrt(w2) / (math.Sqrt(g2) + s.WeightDecay*math.Sqrt(w2) + s.Eps)
		}
		if s.Clip {
			q = min(q/s.LR, 1)
		}
		want := make([]float32, n)
		for i := range want {
			moved := s.Momentum*float64(m[i]) + q*(float64(g[i])+s.WeightDecay*float64(w[i]))
			want[i] = float32(float64(w[i]) - s.LR*moved)
		}
		LARSStep(w, m, g, s)
		check.Close(t, "w", w, want, 1e-6)
	}
}
