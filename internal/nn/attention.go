package nn

import (
	"fmt"

	"vicreg/internal/kernel"
)

// Attention is multi-head self-attention (Vaswani et al. 2017, section 3.2):
//
//	q, k, v = x·Wqkv + b;  y = attend(q, k, v)·Wproj + b
//
// With Norm it is the first half of a pre-norm transformer block: it reads
// norm(x), and adds x to what it writes.
type Attention struct {
	Norm      *LayerNorm // or nil
	QKV, Proj *Dense
	Heads     int
}

// NewAttention returns attention over c channels, parts named as in timm's
// blocks: prefix norm1 (if normalised) and attn.
func NewAttention(prefix string, c, heads int, norm bool) *Attention {
	if c%heads != 0 {
		panic(fmt.Sprintf("nn: %d channels in %d heads", c, heads))
	}
	l := &Attention{
		QKV:   NewDense(prefix+"attn.qkv", c, 3*c),
		Proj:  NewDense(prefix+"attn.proj", c, c),
		Heads: heads,
	}
	if norm {
		l.Norm = NewLayerNorm(prefix+"norm1", c)
	}
	return l
}

// Params returns the parameters in timm's order.
func (l *Attention) Params() []*Param {
	ps := append(l.QKV.Params(), l.Proj.Params()...)
	if l.Norm != nil {
		ps = append(l.Norm.Params(), ps...)
	}
	return ps
}

// kept is what a record's buffer holds: the output first.
func (l *Attention) kept(y []float32, rows int) (out, qkv, o, lse, stats []float32) {
	c := l.Proj.Weight.Shape[0]
	cuts := []int{rows * c, rows * 3 * c, rows * c, rows * l.Heads, 2 * rows}
	out, y = y[:cuts[0]], y[cuts[0]:]
	qkv, y = y[:cuts[1]], y[cuts[1]:]
	o, y = y[:cuts[2]], y[cuts[2]:]
	lse, y = y[:cuts[3]], y[cuts[3]:]
	return out, qkv, o, lse, y[:cuts[4]]
}

func (l *Attention) shape(starts []int32) kernel.Attention {
	return kernel.Attention{Starts: starts, C: l.Proj.Weight.Shape[0], Heads: l.Heads, Precision: l.QKV.Precision}
}

// Forward returns tokens of the same shape.
func (l *Attention) Forward(p *Pass, in Tokens) Tokens {
	rows, c := in.Rows(), in.C
	r := p.pushTokens(l, in, rows*(5*c+l.Heads+2))
	out, qkv, o, lse, stats := l.kept(r.y, rows)
	src, add := kernel.RowSource{X: in.X}, []float32(nil)
	if l.Norm != nil {
		src.Norm, add = l.Norm.row(stats), in.X
	}
	l.QKV.forward(qkv, rows, src, nil)
	kernel.AttentionForward(o, lse, l.shape(r.starts), qkv)
	l.Proj.forward(out, rows, kernel.RowSource{X: o}, add)
	p.dropTokens(r.in)
	return Tokens{out, c, r.starts}
}

// Backward turns d, the gradient of the output, into the gradient of the input. d is a
// buffer of the arena; Backward takes it over and returns it.
func (l *Attention) Backward(p *Pass, d []float32) []float32 {
	r := p.pop(l)
	rows, x := r.in.N, r.in.X
	_, qkv, o, lse, stats := l.kept(r.y, rows)
	do, dqkv := p.arena.Get(len(o)), p.arena.Get(len(qkv))
	l.Proj.inputGrad(do, d, rows, kernel.RowFinish{})
	l.Proj.weightGrad(o, d, rows)
	kernel.AttentionGrad(dqkv, l.shape(r.starts), qkv, o, do, lse)
	var f kernel.RowFinish
	if l.Norm != nil {
		f = l.Norm.finish(x, stats, d)
	}
	l.QKV.inputGrad(d, dqkv, rows, f) // x becomes what the layer read
	l.QKV.weightGrad(x, dqkv, rows)
	p.arena.Put(dqkv)
	p.arena.Put(do)
	p.done(r)
	return d
}
