package optim

import (
	"vicreg/internal/device"
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

	step
	momentum []*nn.Param
}

// NewSGD returns an optimizer with the constants of c.
func NewSGD(params []*nn.Param, c SGD) *SGD {
	o := &SGD{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: c.Nesterov, DecayAll: c.DecayAll,
		Peak: c.Peak}
	params = trainable(params)
	o.momentum = buffers(params, "momentum")
	u := device.Update{Rule: device.ByMomentum, Peak: c.Peak, Momentum: c.Momentum, WeightDecay: c.WeightDecay}
	if c.Nesterov {
		u.Rule = device.ByNesterov
	}
	o.step = newStep(u, params, o.momentum, nil, c.DecayAll)
	return o
}

func (o *SGD) Name() string       { return "sgd" }
func (o *SGD) State() []*nn.Param { return o.momentum }
