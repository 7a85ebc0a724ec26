package optim

import (
	"math"

	"vicreg/internal/nn"
	"vicreg/internal/parallel"
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

	set
	momentum []*nn.Param
	part     [][2]float64 // per piece: Σ w² and Σ (g + δ·w)² or Σ g²
	rate     []rate       // per parameter
	lr       float32
	norms    func(worker, piece int)
	update   func(worker, piece int)
}

// rate is what one step does to one parameter.
type rate struct{ ratio, decay float32 }

// NewLARS returns an optimizer with the constants of c.
func NewLARS(params []*nn.Param, c LARS) *LARS {
	o := &LARS{Momentum: c.Momentum, WeightDecay: c.WeightDecay, Eta: c.Eta, Clip: c.Clip, Eps: c.Eps, set: newSet(params)}
	o.momentum = o.buffers("momentum")
	o.part = make([][2]float64, len(o.pieces))
	o.rate = make([]rate, len(o.params))
	o.norms, o.update = o.sumPiece, o.updatePiece
	return o
}

func (o *LARS) Name() string       { return "lars" }
func (o *LARS) State() []*nn.Param { return o.momentum }

func (o *LARS) Step(lr float64) {
	parallel.For(len(o.pieces), o.norms)
	at := 0
	for i, p := range o.params {
		var w2, g2 float64
		for ; at < len(o.pieces) && o.pieces[at].param == i; at++ {
			w2, g2 = w2+o.part[at][0], g2+o.part[at][1]
		}
		o.rate[i] = rate{1, 0}
		if !flat(p) {
			o.rate[i] = o.trust(math.Sqrt(w2), math.Sqrt(g2), lr)
		}
	}
	o.lr = float32(lr)
	parallel.For(len(o.pieces), o.update)
}

// trust returns the rate of a layer from the norms of its weights and of its
// gradient, with the decay in it or not as sumPiece has it.
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

func (o *LARS) sumPiece(_, i int) {
	x := o.pieces[i]
	p := o.params[x.param]
	if flat(p) {
		return
	}
	decay := float32(o.WeightDecay)
	if o.Eps > 0 {
		decay = 0
	}
	o.part[i] = squares(p.Value[x.lo:x.hi], p.Grad[x.lo:x.hi], decay)
}

// squares returns Σ w² and Σ (g + decay·w)². The second is not put together from
// Σ g², Σ g·w and Σ w², which cancel where the gradient opposes the decay.
func squares(w, g []float32, decay float32) [2]float64 {
	g = g[:len(w)]
	var w0, w1, g0, g1 float64
	i := 0
	for ; i+1 < len(w); i += 2 {
		a, b := w[i], w[i+1]
		c, d := float64(g[i]+decay*a), float64(g[i+1]+decay*b)
		w0 += float64(a) * float64(a)
		w1 += float64(b) * float64(b)
		g0 += c * c
		g1 += d * d
	}
	if i < len(w) {
		c := float64(g[i] + decay*w[i])
		w0 += float64(w[i]) * float64(w[i])
		g0 += c * c
	}
	return [2]float64{w0 + w1, g0 + g1}
}

func (o *LARS) updatePiece(_, i int) {
	x := o.pieces[i]
	p, r := o.params[x.param], o.rate[x.param]
	momentumStep(p.Value[x.lo:x.hi], o.momentum[x.param].Value[x.lo:x.hi], p.Grad[x.lo:x.hi],
		o.lr, float32(o.Momentum), r.decay, r.ratio)
}

// momentumStep: m = momentum·m + scale·(g + decay·w), w = w − lr·m.
func momentumStep(w, m, g []float32, lr, momentum, decay, scale float32) {
	m, g = m[:len(w)], g[:len(w)]
	for i := range w {
		m[i] = momentum*m[i] + scale*(g[i]+decay*w[i])
		w[i] -= lr * m[i]
	}
}
