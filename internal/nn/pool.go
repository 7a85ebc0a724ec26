package nn

import (
	"vicreg/internal/kernel"
)

// MaxPool takes the largest value of each window: of 3 × 3 pixels at every second pixel,
// with a border of one pixel that never wins; or, with a Size, of windows of that size
// side by side. In a sequence a window is 3, or Size, steps long.
type MaxPool struct {
	Size     int  // or 0
	Sequence bool // reads n × t × 1 × c
}

// Shape returns the windows as those of a convolution.
func (m *MaxPool) Shape(n, h, w, c int) kernel.Conv {
	s := kernel.Conv{N: n, H: h, W: w, C: c, K: c, R: 3, S: 3, Stride: 2, Pad: 1}
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
	r := p.push(m, in, n)
	if cap(r.argmax) < n {
		r.argmax = make([]uint8, n)
	}
	kernel.MaxPool(r.y, r.argmax[:n], s, in.Source)
	p.Drop(in)
	return Input(r.y, s.N, s.OutH(), s.OutW(), s.C)
}

// Backward turns d, the gradient of the output, into the gradient of the input. d is a
// buffer of the arena; Backward takes it over and returns another.
func (m *MaxPool) Backward(p *Pass, d []float32) []float32 {
	in := p.live(p.top(m).in)
	r := p.pop(m)
	s := m.Shape(in.N, in.H, in.W, in.C)
	dx := p.arena.Get(s.InLen())
	kernel.MaxPoolGrad(dx, d, r.argmax[:s.OutLen()], s, in.Finish(nil))
	p.arena.Put(d)
	p.done(r)
	return dx
}

// GlobalPool is the mean over all pixels of an image.
type GlobalPool struct{}

// Forward returns n × c.
func (g *GlobalPool) Forward(p *Pass, in Act) Act {
	r := p.push(g, in, in.N*in.C)
	kernel.AvgPool(r.y, in.N, in.H*in.W, in.C, in.Source)
	p.Drop(in)
	return Input(r.y, in.N, 1, 1, in.C)
}

// Backward turns dy (n × c) into a gradient of the input, a buffer of the arena.
func (g *GlobalPool) Backward(p *Pass, dy []float32) []float32 {
	in := p.live(p.top(g).in)
	r := p.pop(g)
	dx := p.arena.Get(in.Len())
	kernel.AvgPoolGrad(dx, dy, in.N, in.H*in.W, in.C, in.Finish(nil))
	p.done(r)
	return dx
}
