package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// Patches turns images into tokens: the patches of an image, left to right and
// top to bottom, through a linear layer, plus a position embedding; before them
// a class token, if there is one (Dosovitskiy et al. 2021, equation 1).
type Patches struct {
	Weight, Bias *Param // (d, c, size, size), (d)
	Class        *Param // (1, 1, d) or nil
	Position     *Param // (1, tokens, d); a buffer if its Grad is nil
	Size         int
	Precision    device.Precision
}

// conv returns the layer as a convolution.
func (l *Patches) conv(n, h, w int) device.Conv {
	return device.Conv{
		N: n, H: h, W: w, C: l.Weight.Shape[1], K: l.Weight.Shape[0],
		R: l.Size, S: l.Size, Stride: l.Size, Precision: l.Precision,
	}
}

// Forward returns the tokens of n × h × w × c images.
func (l *Patches) Forward(p *Pass, in Act) Tokens {
	s := l.conv(in.N, in.H, in.W)
	d, patches := s.K, s.OutH()*s.OutW()
	tokens := patches
	if l.Class != nil {
		tokens++
	}
	if in.C != s.C || in.H%l.Size != 0 || in.W%l.Size != 0 || tokens*d != l.Position.Value.Len() {
		panic(fmt.Sprintf("nn: images of %d × %d × %d do not make the %d tokens that %s has places for", in.H, in.W, in.C, l.Position.Shape[1], l.Position.Name))
	}
	r := p.push(l, in, p.act, in.N*tokens*d)
	r.starts = r.starts[:0]
	for i := range in.N + 1 {
		r.starts = append(r.starts, int32(i*tokens))
	}
	r.lift(p)
	y := p.arena.Get(p.act, s.OutLen())
	p.dev.ConvForward(y, s, in.Source, l.Weight.Value, device.Sums{})
	p.dev.PatchTokens(r.y, l.tokens(s), y, l.Position.Value, valueOf(l.Class), l.Bias.Value)
	p.arena.Put(y)
	return r.tokens(r.y, d)
}

// Backward takes dy, the gradient of the tokens, a buffer of the arena that becomes its
// own, and adds the gradients of the parameters. Unless dx is none it gets the gradient
// of the images.
func (l *Patches) Backward(p *Pass, dy, dx device.Array) {
	r := p.pop(l)
	s := l.conv(r.in.N, r.in.H, r.in.W)
	p.dev.PatchTokensGrad(dy, l.tokens(s), l.Position.Grad, gradOf(l.Class), l.Bias.Grad)
	g := device.Grad{D: dy.Slice(0, s.OutLen())}
	p.dev.ConvWeightGrad(l.Weight.Grad, s, g, r.in.Source)
	if !dx.None() {
		p.dev.ConvInputGrad(dx, s, g, l.Weight.Value, device.Finish{})
	}
	p.arena.Put(dy)
	p.done(r)
}

// tokens returns the shape of the patches that s makes.
func (l *Patches) tokens(s device.Conv) device.Patches {
	return device.Patches{N: s.N, Patches: s.OutH() * s.OutW(), C: s.K, Class: l.Class != nil}
}

// valueOf and gradOf return the arrays of a parameter, or none if there is no parameter.
func valueOf(p *Param) device.Array {
	if p == nil {
		return device.Array{}
	}
	return p.Value
}

func gradOf(p *Param) device.Array {
	if p == nil {
		return device.Array{}
	}
	return p.Grad
}

// Lookup turns numbers into tokens: row number of a table, plus the position's
// embedding. Zeros are padding and make no token.
type Lookup struct {
	Table    *Param // (numbers, d), see [Param.Table]
	Position *Param // (1, places, d)
}

// Forward returns the tokens of n × t numbers.
func (l *Lookup) Forward(p *Pass, x []float32, n, t int) Tokens {
	d := l.Table.Shape[1]
	if t > l.Position.Shape[1] || len(x) != n*t {
		panic(fmt.Sprintf("nn: %d × %d numbers, but %s has %d places", n, t, l.Position.Name, l.Position.Shape[1]))
	}
	rows := 0
	for i, v := range x {
		if k := int(v); float32(k) != v || k < 0 || k >= l.Table.Shape[0] {
			panic(fmt.Sprintf("nn: number %v, at %d, is not in [0, %d)", v, i, l.Table.Shape[0]))
		}
		if v != 0 {
			rows++
		}
	}
	r := p.push(l, Act{N: rows, H: 1, W: 1, C: d}, p.act, rows*d)
	r.starts, r.ids = r.starts[:0], r.ids[:0]
	for i := range n {
		r.starts = append(r.starts, int32(len(r.ids)/2))
		for j, v := range x[i*t : (i+1)*t] {
			if v != 0 {
				r.ids = append(r.ids, int32(v), int32(j))
			}
		}
	}
	r.starts = append(r.starts, int32(rows))
	r.lift(p)
	r.idsOn = device.LiftInts(p.dev, &r.idsRoom, r.ids)
	p.dev.Lookup(r.y, d, r.idsOn, l.Table.Value, l.Position.Value)
	return r.tokens(r.y, d)
}

// Backward takes dy, the gradient of the tokens, a buffer of the arena that becomes its
// own, and adds the gradients of the tables.
func (l *Lookup) Backward(p *Pass, dy device.Array) {
	r := p.pop(l)
	p.dev.LookupGrad(dy, l.Table.Shape[1], r.idsOn, l.Table.Grad, l.Position.Grad)
	p.arena.Put(dy)
	p.done(r)
}

// TokenMean is the mean over the tokens of each sequence: zero where there are none.
type TokenMean struct{}

// Forward returns n × c.
func (m *TokenMean) Forward(p *Pass, in Tokens) Act {
	r := p.pushTokens(m, in, p.pooled(), in.N()*in.C, 0)
	p.dev.TokenMean(r.y, in.C, r.onDevice, in.X)
	p.dropTokens(r.in)
	return Whole(r.y, in.N(), 1, 1, in.C)
}

// Backward turns dy (n × c) into a gradient of the tokens, a buffer of the arena.
func (m *TokenMean) Backward(p *Pass, dy device.Array) device.Array {
	r := p.pop(m)
	c := r.in.C
	dx := p.arena.Get(p.act, r.in.N*c)
	p.dev.TokenMeanGrad(dx, c, r.onDevice, dy)
	p.done(r)
	return dx
}

// FirstToken takes the first token of each sequence, the class token.
type FirstToken struct{}

// Forward returns sequences of one token.
func (f *FirstToken) Forward(p *Pass, in Tokens) Tokens {
	r := p.pushTokens(f, in, p.pooled(), in.N()*in.C, 0)
	p.dev.FirstToken(r.y, in.C, r.onDevice, in.X)
	p.dropTokens(r.in)
	return Tokens{X: r.y, C: in.C}
}

// Backward turns dy (n × c), which stays the caller's, into a gradient of all
// tokens, a buffer of the arena.
func (f *FirstToken) Backward(p *Pass, dy device.Array) device.Array {
	r := p.pop(f)
	c := r.in.C
	dx := p.arena.Get(p.act, r.in.N*c)
	p.dev.FirstTokenGrad(dx, c, r.onDevice, dy)
	p.done(r)
	return dx
}
