package optim

import (
	"vicreg/internal/nn"
)

// SGD is stochastic gradient descent with momentum, as PyTorch's:
//
//	g = g + δ·w
//	m = momentum·m + g
//	w = w − lr·m                      plain
//	w = w − lr·(g + momentum·m)       Nesterov
//
// where δ is the weight decay, 0 for 1-D parameters unless DecayAll.
type SGD struct {
	Momentum, WeightDecay float64
	Nesterov, DecayAll    bool

	Peak float64 // learning rate of static parameters

	params, momentum []*nn.Param
}

// NewSGD returns an optimizer with the constants of c.
func NewSGD(params []*nn.Param, c SGD) *SGD {
	o := &SGD{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: c.Nesterov, DecayAll: c.DecayAll,
		Peak: c.Peak, params: trainable(params)}
	o.momentum = buffers(o.params, "momentum")
	return o
}

func (o *SGD) Name() string       { return "sgd" }
func (o *SGD) State() []*nn.Param { return o.momentum }

func (o *SGD) Step(lr float64) {
	momentum := float32(o.Momentum)
	for i, p := range o.params {
		lr, ok := due(p, lr, o.Peak)
		if !ok {
			continue
		}
		rate := float32(lr)
		m, decay := o.momentum[i].Value, float32(0)
		if o.DecayAll || !flat(p) {
			decay = float32(o.WeightDecay)
		}
		if !o.Nesterov {
			p.Device().MomentumStep(p.Value, m, p.Grad, rate, momentum, decay, 1)
			continue
		}
		p.Device().NesterovStep(p.Value, m, p.Grad, rate, momentum, decay)
	}
}
