package optim

import (
	"vicreg/internal/device"
	"vicreg/internal/nn"
)

// LARS is layer-wise adaptive rate scaling with momentum, released lines 245–300. With
// weights w and gradient g of a layer:
//
//	q = η·‖w‖/‖g + δ·w‖     1 if either norm is 0
//	m = momentum·m + q·(g + δ·w)
//	w = w − lr·m
//
// where δ is the weight decay. For 1-D parameters q = 1 and δ = 0.
//
// With Eps above 0 the ratio is that of solo-learn (solo/utils/lars.py, commit 9187ea3),
// q = η·‖w‖/(‖g‖ + δ·‖w‖ + Eps), or q = 1 without decay if either norm is 0. With Clip,
// q becomes min(q/lr, 1): never more than the plain step.
type LARS struct {
	Momentum, WeightDecay, Eta float64

	Clip bool
	Eps  float64

	Peak float64 // learning rate of static parameters

	step
	momentum []*nn.Param
}

// NewLARS returns an optimizer with the constants of c.
func NewLARS(params []*nn.Param, c LARS) *LARS {
	o := &LARS{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Eta: c.Eta, Clip: c.Clip, Eps: c.Eps, Peak: c.Peak}
	params = trainable(params)
	o.momentum = buffers(params, "momentum")
	o.step = newStep(device.Update{Rule: device.ByLARS, Peak: c.Peak, Momentum: c.Momentum, WeightDecay: c.WeightDecay,
		Eta: c.Eta, Eps: c.Eps, Clip: c.Clip}, params, o.momentum, nil, false)
	return o
}

func (o *LARS) Name() string       { return "lars" }
func (o *LARS) State() []*nn.Param { return o.momentum }
