package nn

import (
	"fmt"

	"vicreg/internal/device"
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

// kept is what a record holds: the output first; lse and stats are values of rows.
func (l *Attention) kept(r *record, rows int) (out, qkv, o, lse, stats device.Array) {
	c := l.Proj.Weight.Shape[0]
	at := 0
	next := func(n int) device.Array {
		at += n
		return r.y.Slice(at-n, at)
	}
	lse, stats = r.stats.Slice(0, rows*l.Heads), r.stats.Slice(rows*l.Heads, rows*(l.Heads+2))
	return next(rows * c), next(rows * 3 * c), next(rows * c), lse, stats
}

func (l *Attention) shape(r *record) device.Attention {
	return device.Attention{Starts: r.starts, At: r.onDevice, C: l.Proj.Weight.Shape[0], Heads: l.Heads,
		Precision: l.QKV.Precision}
}

// Forward returns tokens of the same shape.
func (l *Attention) Forward(p *Pass, in Tokens) Tokens {
	rows, c := in.Rows(), in.C
	r := p.pushTokens(l, in, p.act, rows*5*c, rows*(l.Heads+2))
	out, qkv, o, lse, stats := l.kept(r, rows)
	src, add := device.RowSource{X: in.X}, device.Array{}
	if l.Norm != nil {
		src.Norm, add = l.Norm.row(stats), in.X
	}
	l.QKV.forward(p, qkv, rows, src, device.Array{})
	p.dev.AttentionForward(o, lse, l.shape(r), qkv)
	l.Proj.forward(p, out, rows, device.RowSource{X: o}, add)
	p.dropTokens(r.in)
	return r.tokens(out, c)
}

// Backward turns d, the gradient of the output, into the gradient of the input. d is a
// buffer of the arena; Backward takes it over and returns it.
func (l *Attention) Backward(p *Pass, d device.Array) device.Array {
	r := p.pop(l)
	rows, x := r.in.N, r.in.X
	_, qkv, o, lse, stats := l.kept(r, rows)
	do, dqkv := p.arena.Get(o.Type(), o.Len()), p.arena.Get(qkv.Type(), qkv.Len())
	l.Proj.inputGrad(p, do, d, rows, device.RowFinish{})
	l.Proj.weightGrad(p, o, d, rows)
	p.dev.AttentionGrad(dqkv, l.shape(r), qkv, o, do, lse)
	var f device.RowFinish
	if l.Norm != nil {
		f = l.Norm.finish(x, stats, d)
	}
	l.QKV.inputGrad(p, d, dqkv, rows, f) // x becomes what the layer read
	l.QKV.weightGrad(p, x, dqkv, rows)
	p.arena.Put(dqkv)
	p.arena.Put(do)
	p.done(r)
	return d
}
