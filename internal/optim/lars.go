package optim

import (
	"math"

	"vicreg/internal/kernel"
	"vicreg/internal/nn"
)

// LARS is layer-wise adaptive rate scaling with momentum, released lines
// 245–300. With weights w and gradient g of a layer:
//
//	q = η·‖w‖/‖g + δ·w‖     1 if either norm is 0
//	m = momentum·m + q·(g + δ·w)
//	w = w − lr·m
//
// where δ is the weight decay. 1-D parameters take q = 1 and δ = 0.
//
// With Eps above 0 the ratio is that of solo-learn (solo/utils/lars.py, commit
// 9187ea3), q = η·‖w‖/(‖g‖ + δ·‖w‖ + Eps), or q = 1 without decay if either norm
// is 0. With Clip, q becomes min(q/lr, 1): never more than the plain step.
type LARS struct {
	Momentum, WeightDecay, Eta float64

	Clip bool
	Eps  float64

	Peak float64 // learning rate of static parameters

	params, momentum []*nn.Param
}

// rate is what one step does to one parameter.
type rate struct{ ratio, decay float32 }

// NewLARS returns an optimizer with the constants of c.
func NewLARS(params []*nn.Param, c LARS) *LARS {
	o := &LARS{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Eta: c.Eta, Clip: c.Clip, Eps: c.Eps, Peak: c.Peak, params: trainable(params)}
	o.momentum = buffers(o.params, "momentum")
	return o
}

func (o *LARS) Name() string       { return "lars" }
func (o *LARS) State() []*nn.Param { return o.momentum }

func (o *LARS) Step(lr float64) {
	for i, p := range o.params {
		lr, ok := due(p, lr, o.Peak)
		if !ok {
			continue
		}
		r := rate{1, 0}
		if !flat(p) {
			w, g := o.norms(p)
			r = o.trust(w, g, lr)
		}
		kernel.MomentumStep(p.Value, o.momentum[i].Value, p.Grad, float32(lr), float32(o.Momentum), r.decay, r.ratio)
	}
}

// norms returns ‖w‖ and ‖g + δ·w‖, or ‖g‖ if Eps > 0.
func (o *LARS) norms(p *nn.Param) (w, g float64) {
	w2, g2, dot := kernel.Norms(p.Value, p.Grad)
	if o.Eps == 0 && o.WeightDecay != 0 {
		d := o.WeightDecay
		most := g2 + d*d*w2
		g2 = most + 2*d*dot
		if g2 < most/100 { // the gradient opposes the decay: digits were lost
			g2 = 0
			for i, w := range p.Value {
				u := float64(p.Grad[i]) + d*float64(w)
				g2 += u * u
			}
		}
	}
	return math.Sqrt(w2), math.Sqrt(g2)
}

// trust returns the rate of a layer from its norms.
func (o *LARS) trust(w, g, lr float64) rate {
	decay := float32(o.WeightDecay)
	q := o.Eta * w / g
	if w == 0 || g == 0 {
		if o.Eps > 0 {
			return rate{1, 0}
		}
		return rate{1, decay}
	}
	if o.Eps > 0 {
		q = o.Eta * w / (g + o.WeightDecay*w + o.Eps)
	}
	if o.Clip {
		q = min(q/lr, 1)
	}
	return rate{float32(q), decay}
}
