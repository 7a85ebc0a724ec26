package nn

import (
	"vicreg/internal/device"
)

// MaxPool takes the largest value of each window: of 3 × 3 pixels at every second pixel,
// with a border of one pixel that never wins; or, with a Size, of windows of that size
// side by side. In a sequence a window is 3, or Size, steps long.
type MaxPool struct {
	Size     int  // or 0
	Sequence bool // reads n × t × 1 × c
}

// Shape returns the windows as those of a convolution.
func (m *MaxPool) Shape(n, h, w, c int) device.Conv {
	s := device.Conv{N: n, H: h, W: w, C: c, K: c, R: 3, S: 3, Stride: 2, Pad: 1}
	if m.Size > 0 {
		s.R, s.S, s.Stride, s.Pad = m.Size, m.Size, m.Size, 0
	}
	if m.Sequence {
		s.S, s.Sequence = 1, true
	}
	return s
}

// Forward returns the pooled activation, which is stored as it is read.
func (m *MaxPool) Forward(p *Pass, in Act) Act {
	s := m.Shape(in.N, in.H, in.W, in.C)
	n := s.OutLen()
	r := p.push(m, in, p.act, n)
	if r.argmax.Len() < n {
		p.dev.Free(r.argmax)
		r.argmax = p.dev.Alloc(device.Uint8, n)
	}
	p.dev.MaxPool(r.y, r.argmax.Slice(0, n), s, in.Source)
	p.Drop(in)
	return Whole(r.y, s.N, s.OutH(), s.OutW(), s.C)
}

// Backward turns d, the gradient of the output, into the gradient of the input. d is a
// buffer of the arena; Backward takes it over and returns another.
func (m *MaxPool) Backward(p *Pass, d device.Array) device.Array {
	in := p.masking(p.top(m).in)
	r := p.pop(m)
	s := m.Shape(in.N, in.H, in.W, in.C)
	dx := p.Room(in)
	p.dev.MaxPoolGrad(dx, d, r.argmax.Slice(0, s.OutLen()), s, in.Finish(device.Array{}))
	p.arena.Put(d)
	p.done(r)
	return dx
}

// GlobalPool is the mean over all pixels of an image.
type GlobalPool struct{}

// Forward returns n × c: float32 if the pixels are, or if nothing is to be learned.
func (g *GlobalPool) Forward(p *Pass, in Act) Act {
	t := p.pooled()
	if in.X.Type() == device.Float32 {
		t = device.Float32
	}
	r := p.push(g, in, t, in.N*in.C)
	p.dev.AvgPool(r.y, in.N, in.H*in.W, in.C, in.Source)
	p.Drop(in)
	return Whole(r.y, in.N, 1, 1, in.C)
}

// Backward turns dy (n × c) into a gradient of the input, a buffer of the arena.
func (g *GlobalPool) Backward(p *Pass, dy device.Array) device.Array {
	in := p.masking(p.top(g).in)
	r := p.pop(g)
	dx := p.Room(in)
	p.dev.AvgPoolGrad(dx, dy, in.N, in.H*in.W, in.C, in.Finish(device.Array{}))
	p.done(r)
	return dx
}
