package optim

import (
	"math"

	"vicreg/internal/nn"
	"vicreg/internal/parallel"
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

	set
	mean, square []*nn.Param
	steps        *nn.Param // t, one element
	step         adamStep
	lr           float64
	update       func(worker, piece int)
}

// adamStep holds the constants of one step in the order of its arithmetic.
type adamStep struct {
	beta1, rest1, beta2, rest2 float32
	rate                       float32 // lr/(1 − β1ᵗ)
	rootScale                  float32 // 1/√(1 − β2ᵗ)
	eps                        float32
}

// NewAdamW returns an optimizer with the constants of c.
func NewAdamW(params []*nn.Param, c AdamW) *AdamW {
	o := &AdamW{Betas: c.Betas, Eps: c.Eps, WeightDecay: c.WeightDecay, DecayAll: c.DecayAll, set: newSet(params)}
	o.mean, o.square = o.buffers("mean"), o.buffers("square")
	o.steps = nn.NewBuffer("adamw.steps", 1)
	o.update = o.updatePiece
	return o
}

func (o *AdamW) Name() string { return "adamw" }

func (o *AdamW) State() []*nn.Param {
	return append(append([]*nn.Param{o.steps}, o.mean...), o.square...)
}

func (o *AdamW) Step(lr float64) {
	o.steps.Value[0]++ // exact to 2²⁴, when both corrections have long been 1
	t := float64(o.steps.Value[0])
	b1, b2 := o.Betas[0], o.Betas[1]
	o.lr = lr
	o.step = adamStep{
		beta1: float32(b1), rest1: float32(1 - b1), beta2: float32(b2), rest2: float32(1 - b2),
		rate:      float32(lr / (1 - math.Pow(b1, t))),
		rootScale: float32(1 / math.Sqrt(1-math.Pow(b2, t))),
		eps:       float32(o.Eps),
	}
	parallel.For(len(o.pieces), o.update)
}

func (o *AdamW) updatePiece(_, i int) {
	x := o.pieces[i]
	p := o.params[x.param]
	keep := float32(1 - o.lr*o.WeightDecay)
	if flat(p) && !o.DecayAll {
		keep = 1
	}
	m, v := o.mean[x.param].Value[x.lo:x.hi], o.square[x.param].Value[x.lo:x.hi]
	o.step.apply(p.Value[x.lo:x.hi], m, v, p.Grad[x.lo:x.hi], keep)
}

func (a *adamStep) apply(w, m, v, g []float32, keep float32) {
	m, v, g = m[:len(w)], v[:len(w)], g[:len(w)]
	for i := range w {
		m[i] = a.beta1*m[i] + a.rest1*g[i]
		v[i] = a.beta2*v[i] + a.rest2*(g[i]*g[i])
		root := float32(math.Sqrt(float64(v[i])))
		w[i] = keep*w[i] - a.rate*m[i]/(root*a.rootScale+a.eps)
	}
}
