package vector

import "math"

// LARS holds the constants of a step of layer-wise adaptive rate scaling with
// momentum. With weights w and gradient g of a layer:
//
//	q = η·‖w‖/‖g + δ·w‖     1 if either norm is 0
//	m = momentum·m + q·(g + δ·w)
//	w = w − lr·m
//
// With Eps above 0, q = η·‖w‖/(‖g‖ + δ·‖w‖ + Eps), or q = 1 and δ = 0 if either
// norm is 0. With Clip, q becomes min(q/lr, 1).
type LARS struct {
	LR, Momentum, WeightDecay, Eta, Eps float64
	Clip                                bool
}

// LARSStep is such a step of one layer.
func LARSStep(w, m, g []float32, s LARS) {
	ratio, decay := s.trust(s.norms(w, g))
	MomentumStep(w, m, g, float32(s.LR), float32(s.Momentum), decay, ratio)
}

// norms returns ‖w‖ and ‖g + δ·w‖, or ‖g‖ if Eps > 0.
func (s LARS) norms(w, g []float32) (wn, gn float64) {
	w2, g2, dot := Norms(w, g)
	if s.Eps == 0 && s.WeightDecay != 0 {
		d := s.WeightDecay
		most := g2 + d*d*w2
		g2 = most + 2*d*dot
		if g2 < most/100 { // the gradient opposes the decay: digits were lost
			g2 = 0
			for i, w := range w {
				u := float64(g[i]) + d*float64(w)
				g2 += u * u
			}
		}
	}
	return math.Sqrt(w2), math.Sqrt(g2)
}

// trust returns q and the decay of a layer, given its norms.
func (s LARS) trust(w, g float64) (ratio, decay float32) {
	decay = float32(s.WeightDecay)
	q := s.Eta * w / g
	if w == 0 || g == 0 {
		if s.Eps > 0 {
			return 1, 0
		}
		return 1, decay
	}
	if s.Eps > 0 {
		q = s.Eta * w / (g + s.WeightDecay*w + s.Eps)
	}
	if s.Clip {
		q = min(q/s.LR, 1)
	}
	return float32(q), decay
}

// NesterovStep is a step of gradient descent with Nesterov's momentum, as PyTorch's:
//
//	m = momentum·m + (g + weightDecay·w)
//	w = w − lr·(g + weightDecay·w + momentum·m)
func NesterovStep(w, m, g []float32, lr, momentum, weightDecay float32) {
	MomentumStep(w, m, g, 0, momentum, weightDecay, 1) // m alone
	Scale(w, 1-lr*weightDecay)
	Axpy(w, -lr, g)
	Axpy(w, -lr*momentum, m)
}
