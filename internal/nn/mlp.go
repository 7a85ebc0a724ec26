package nn

import "vicreg/internal/device"

// MLP is the second half of a pre-norm transformer block:
//
//	y = x + gelu(norm(x)·W1 + b)·W2 + b
//
// with the exact GELU, u·Φ(u).
type MLP struct {
	Norm     *LayerNorm
	FC1, FC2 *Dense
}

// NewMLP returns an MLP over c channels, with hidden ones between, its parts
// named as in timm's blocks: prefix norm2 and mlp.
func NewMLP(prefix string, c, hidden int) *MLP {
	return &MLP{
		Norm: NewLayerNorm(prefix+"norm2", c),
		FC1:  NewDense(prefix+"mlp.fc1", c, hidden),
		FC2:  NewDense(prefix+"mlp.fc2", hidden, c),
	}
}

// Params returns the parameters in timm's order.
func (l *MLP) Params() []*Param {
	return append(append(l.Norm.Params(), l.FC1.Params()...), l.FC2.Params()...)
}

// Forward returns tokens of the same shape. The hidden activation is kept as it
// is before GELU.
func (l *MLP) Forward(p *Pass, in Tokens) Tokens {
	rows, n, hidden := in.Rows(), in.X.Len(), l.FC1.Weight.Shape[0]
	r := p.pushTokens(l, in, p.act, n+rows*hidden, 2*rows)
	out, u := r.y.Slice(0, n), r.y.Slice(n, n+rows*hidden)
	l.FC1.forward(p, u, rows, device.RowSource{X: in.X, Norm: l.Norm.row(r.stats)}, device.Array{})
	l.FC2.forward(p, out, rows, device.RowSource{X: u, GELU: true}, in.X)
	p.dropTokens(r.in)
	return r.tokens(out, in.C)
}

// Backward turns d, the gradient of the output, into the gradient of the input. d is a
// buffer of the arena; Backward takes it over and returns it.
func (l *MLP) Backward(p *Pass, d device.Array) device.Array {
	r := p.pop(l)
	rows, n, hidden := r.in.N, d.Len(), l.FC1.Weight.Shape[0]
	x, u := r.in.X, r.y.Slice(n, n+rows*hidden)
	du := p.arena.Get(u.Type(), u.Len())
	l.FC2.inputGrad(p, du, d, rows, device.RowFinish{U: u}) // u becomes gelu(u)
	l.FC2.weightGrad(p, u, d, rows)
	l.FC1.inputGrad(p, d, du, rows, l.Norm.finish(x, r.stats, d)) // x becomes norm(x)
	l.FC1.weightGrad(p, x, du, rows)
	p.arena.Put(du)
	p.done(r)
	return d
}
