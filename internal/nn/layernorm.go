package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// layerNormEps is timm's (vision_transformer.py: partial(nn.LayerNorm, eps=1e-6)).
const layerNormEps = 1e-6

// Tokens is a batch of sequences on its way: rows of c channels, one for each token;
// sequence i is rows [Starts[i], Starts[i+1]). Lengths may differ: padding is left out
// rather than masked.
//
// Layers of tokens take over their input: backward overwrites it.
type Tokens struct {
	X      device.Array // rows × c
	C      int
	Starts []int32

	onDevice device.Array // Starts, where the device reads them; none: not yet
}

// Rows returns the number of tokens, N that of sequences.
func (t Tokens) Rows() int { return t.X.Len() / t.C }
func (t Tokens) N() int    { return len(t.Starts) - 1 }

// pushTokens appends the record of a layer that reads in and writes n numbers of type t,
// and keeps some values of rows.
func (p *Pass) pushTokens(layer any, in Tokens, t device.Type, n, stats int) *record {
	r := p.pushWith(layer, Act{N: in.Rows(), H: 1, W: 1, C: in.C, Source: device.Source{X: in.X}}, t, n, stats)
	r.starts = append(r.starts[:0], in.Starts...)
	if r.onDevice = in.onDevice; r.onDevice.None() {
		r.lift(p)
	}
	return r
}

// lift brings where sequences start to the device.
func (r *record) lift(p *Pass) { r.onDevice = device.LiftInts(p.dev, &r.startsRoom, r.starts) }

// tokens returns x as tokens of the record's sequences.
func (r *record) tokens(x device.Array, c int) Tokens { return Tokens{x, c, r.starts, r.onDevice} }

// dropTokens is Drop for an activation that may have no rows.
func (p *Pass) dropTokens(a Act) {
	if a.N > 0 {
		p.Drop(a)
	}
}

// LayerNorm is layer normalisation over the c channels of each row (Ba et al.
// 2016), with biased variance as in torch.nn.LayerNorm.
type LayerNorm struct {
	Gamma, Beta *Param // (c)
}

// NewLayerNorm returns a normalisation with γ = 1 and β = 0.
func NewLayerNorm(name string, c int) *LayerNorm {
	l := &LayerNorm{NewParam(name+".weight", c), NewParam(name+".bias", c)}
	device.Local.Fill(l.Gamma.Value, 1)
	return l
}

// Params returns γ and β.
func (l *LayerNorm) Params() []*Param { return []*Param{l.Gamma, l.Beta} }

// Eps is what is added to a variance.
func (l *LayerNorm) Eps() float64 { return layerNormEps }

// row returns the normalisation for the kernels; stats has room for two values
// a row.
func (l *LayerNorm) row(stats device.Array) device.RowNorm {
	n := stats.Len() / 2
	return device.RowNorm{Gamma: l.Gamma.Value, Beta: l.Beta.Value, Eps: layerNormEps, Mean: stats.Slice(0, n),
		Rstd: stats.Slice(n, 2*n)}
}

// finish returns how to take a gradient back through the normalisation of x and add add
// to it.
func (l *LayerNorm) finish(x, stats, add device.Array) device.RowFinish {
	return device.RowFinish{X: x, Norm: l.row(stats), DGamma: l.Gamma.Grad, DBeta: l.Beta.Grad, Add: add}
}

// Forward returns the normalised rows, of the type that they have.
func (l *LayerNorm) Forward(p *Pass, in Tokens) Tokens {
	if in.C != l.Gamma.Value.Len() {
		panic(fmt.Sprintf("nn: %s normalises rows of %d, got %d", l.Gamma.Name, l.Gamma.Value.Len(), in.C))
	}
	r := p.pushTokens(l, in, in.X.Type(), in.X.Len(), 2*in.Rows())
	p.dev.LayerNorm(r.y, in.X, l.row(r.stats))
	p.dropTokens(r.in)
	return r.tokens(r.y, in.C)
}

// Backward turns d, the gradient of the output, into the gradient of the input, in
// place.
func (l *LayerNorm) Backward(p *Pass, d device.Array) device.Array {
	r := p.pop(l)
	p.dev.LayerNormGrad(d, d, l.finish(r.in.X, r.stats, device.Array{}))
	p.done(r)
	return d
}
