package nn

import (
	"fmt"

	"vicreg/internal/kernel"
)

// layerNormEps is timm's (vision_transformer.py: partial(nn.LayerNorm, eps=1e-6)).
const layerNormEps = 1e-6

// Tokens is a batch of sequences on its way: rows of c channels, one for each token;
// sequence i is rows [Starts[i], Starts[i+1]). Lengths may differ: padding is left out
// rather than masked.
//
// Layers of tokens take over their input: backward overwrites it.
type Tokens struct {
	X      []float32 // rows × c
	C      int
	Starts []int32
}

// Rows returns the number of tokens, N that of sequences.
func (t Tokens) Rows() int { return len(t.X) / t.C }
func (t Tokens) N() int    { return len(t.Starts) - 1 }

// pushTokens appends the record of a layer that reads in and writes size floats.
func (p *Pass) pushTokens(layer any, in Tokens, size int) *record {
	r := p.push(layer, Act{N: in.Rows(), H: 1, W: 1, C: in.C, Source: kernel.Source{X: in.X}}, size)
	r.starts = append(r.starts[:0], in.Starts...)
	return r
}

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
	kernel.Fill(l.Gamma.Value, 1)
	return l
}

// Params returns γ and β.
func (l *LayerNorm) Params() []*Param { return []*Param{l.Gamma, l.Beta} }

// row returns the normalisation for the kernels; stats has room for two values
// a row.
func (l *LayerNorm) row(stats []float32) kernel.RowNorm {
	n := len(stats) / 2
	return kernel.RowNorm{Gamma: l.Gamma.Value, Beta: l.Beta.Value, Eps: layerNormEps, Mean: stats[:n], Rstd: stats[n:]}
}

// finish returns how to take a gradient back through the normalisation of x and add add
// to it.
func (l *LayerNorm) finish(x, stats, add []float32) kernel.RowFinish {
	return kernel.RowFinish{X: x, Norm: l.row(stats), DGamma: l.Gamma.Grad, DBeta: l.Beta.Grad, Add: add}
}

// Forward returns the normalised rows.
func (l *LayerNorm) Forward(p *Pass, in Tokens) Tokens {
	if in.C != len(l.Gamma.Value) {
		panic(fmt.Sprintf("nn: %s normalises rows of %d, got %d", l.Gamma.Name, len(l.Gamma.Value), in.C))
	}
	n := len(in.X)
	r := p.pushTokens(l, in, n+2*in.Rows())
	kernel.LayerNorm(r.y[:n], in.X, l.row(r.y[n:]))
	p.dropTokens(r.in)
	return Tokens{r.y[:n], in.C, r.starts}
}

// Backward turns d, the gradient of the output, into the gradient of the input, in
// place.
func (l *LayerNorm) Backward(p *Pass, d []float32) []float32 {
	r := p.pop(l)
	kernel.LayerNormGrad(d, d, l.finish(r.in.X, r.y[len(d):], nil))
	p.done(r)
	return d
}
