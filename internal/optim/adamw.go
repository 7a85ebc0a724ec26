package optim

import (
	"vicreg/internal/device"
	"vicreg/internal/nn"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, Decoupled
// Weight Decay Regularization, Algorithm 2), as PyTorch's:
//
//	w = w − lr·δ·w
//	m = β1·m + (1 − β1)·g
//	v = β2·v + (1 − β2)·g²
//	w = w − lr · m/(1 − β1ᵗ) / (√(v/(1 − β2ᵗ)) + ε)
//
// where δ is the weight decay, 0 for 1-D parameters unless DecayAll, and t the
// number of steps, this one included.
type AdamW struct {
	Betas            [2]float64
	Eps, WeightDecay float64
	DecayAll         bool

	Peak float64 // learning rate of static parameters

	step
	mean, square []*nn.Param

	steps *nn.Param // t, one element
}

// NewAdamW returns an optimizer with the constants of c.
func NewAdamW(params []*nn.Param, c AdamW) *AdamW {
	o := &AdamW{Betas: c.Betas, Eps: c.Eps, WeightDecay: c.WeightDecay, DecayAll: c.DecayAll, Peak: c.Peak,
		steps: nn.NewBuffer("adamw.steps", 1)}
	params = trainable(params)
	o.mean, o.square = buffers(params, "mean"), buffers(params, "square")
	o.step = newStep(device.Update{Rule: device.ByAdam, Peak: c.Peak, Betas: c.Betas, Eps: c.Eps,
		WeightDecay: c.WeightDecay}, params, o.mean, o.square, c.DecayAll)
	return o
}

func (o *AdamW) Name() string { return "adamw" }

func (o *AdamW) State() []*nn.Param {
	return append(append([]*nn.Param{o.steps}, o.mean...), o.square...)
}

func (o *AdamW) Step(lr float64) {
	o.update.Number = o.steps.Number()
	o.step.Step(lr)
	o.steps.SetNumber(o.update.Number) // exact to 2²⁴, when both corrections have long been 1
}
