package optim

import (
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
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

	set
	momentum []*nn.Param
	lr       float32
	update   func(worker, piece int)
}

// NewSGD returns an optimizer with the constants of c.
func NewSGD(params []*nn.Param, c SGD) *SGD {
	o := &SGD{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Nesterov: c.Nesterov, DecayAll: c.DecayAll, set: newSet(params)}
	o.momentum = o.buffers("momentum")
	o.update = o.updatePiece
	return o
}

func (o *SGD) Name() string       { return "sgd" }
func (o *SGD) State() []*nn.Param { return o.momentum }

func (o *SGD) Step(lr float64) {
	o.lr = float32(lr)
	parallel.For(len(o.pieces), o.update)
}

func (o *SGD) updatePiece(_, i int) {
	x := o.pieces[i]
	p := o.params[x.param]
	decay := float32(o.WeightDecay)
	if flat(p) && !o.DecayAll {
		decay = 0
	}
	w, m, g := p.Value[x.lo:x.hi], o.momentum[x.param].Value[x.lo:x.hi], p.Grad[x.lo:x.hi]
	if !o.Nesterov {
		momentumStep(w, m, g, o.lr, float32(o.Momentum), decay, 1)
		return
	}
	momentum := float32(o.Momentum)
	for i := range w {
		d := g[i] + decay*w[i]
		m[i] = momentum*m[i] + d
		w[i] -= o.lr * (d + momentum*m[i])
	}
}
