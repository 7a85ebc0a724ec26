package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// Linear is a linear layer without bias, from n × c to n × k, the last of a head: it
// stores its output as float32 on any device, for the loss.
type Linear struct {
	Weight *Param // (k, c)
}

// NewLinear returns a layer with zero weights.
func NewLinear(name string, c, k int) *Linear {
	return &Linear{NewParam(name+".weight", k, c)}
}

// Params returns the weight, Buffers nothing.
func (l *Linear) Params() []*Param  { return []*Param{l.Weight} }
func (l *Linear) Buffers() []*Param { return nil }

// Conv returns the layer as a convolution on n rows.
func (l *Linear) Conv(n int) device.Conv {
	return device.Conv{N: n, H: 1, W: 1, C: l.Weight.Shape[1], K: l.Weight.Shape[0], R: 1, S: 1, Stride: 1}
}

// Forward returns in·W.
func (l *Linear) Forward(p *Pass, in Act) Act {
	s := l.Conv(in.N)
	if in.H*in.W*in.C != s.C {
		panic(fmt.Sprintf("nn: %s reads rows of %d, got %d", l.Weight.Name, s.C, in.H*in.W*in.C))
	}
	r := p.push(l, in, device.Float32, s.OutLen())
	p.dev.ConvForward(r.y, s, in.Source, l.Weight.Value, device.Sums{})
	return Whole(r.y, in.N, 1, 1, s.K)
}

// Backward adds dW = inᵀ·d. Unless dx is none it gets d·Wᵀ, finished as f says.
func (l *Linear) Backward(p *Pass, d, dx device.Array, f device.Finish) {
	in := l.In(p)
	r := p.pop(l)
	s, g := l.Conv(in.N), device.Grad{D: d}
	p.linearGrads(l.Weight, dx, s, g, in.Source, f)
	p.done(r)
}

// In returns the input of a layer that is the next to go backward.
func (l *Linear) In(p *Pass) Act { return p.live(p.top(l).in) }

// LinearBias is a linear layer with bias, from n × c to n × k, without normalisation and
// with a ReLU or without. Only in·W is stored: whoever reads it adds the bias on the
// way.
type LinearBias struct {
	Weight *Param // (k, c)
	Bias   *Param // (k)
	ReLU   bool

	Float32 bool // stores its output so on any device: the loss reads it
}

// NewLinearBias returns a layer with zero weights.
func NewLinearBias(name string, c, k int, relu bool) *LinearBias {
	return &LinearBias{Weight: NewParam(name+".weight", k, c), Bias: NewParam(name+".bias", k), ReLU: relu}
}

// Params returns weight and bias, Buffers nothing.
func (l *LinearBias) Params() []*Param  { return []*Param{l.Weight, l.Bias} }
func (l *LinearBias) Buffers() []*Param { return nil }

func (l *LinearBias) conv(n int) device.Conv {
	return device.Conv{N: n, H: 1, W: 1, C: l.Weight.Shape[1], K: l.Weight.Shape[0], R: 1, S: 1, Stride: 1}
}

// Forward returns relu(in·W + bias); its readers have still to add the bias and do the
// ReLU.
func (l *LinearBias) Forward(p *Pass, in Act) Act {
	s := l.conv(in.N)
	if in.H*in.W*in.C != s.C {
		panic(fmt.Sprintf("nn: %s reads rows of %d, got %d", l.Weight.Name, s.C, in.H*in.W*in.C))
	}
	r := p.push(l, in, p.stored(l.Float32), s.OutLen())
	r.channels(p.dev, s.K)
	p.dev.ConvForward(r.y, s, in.Source, l.Weight.Value, device.Sums{})
	p.dev.Fill(r.scale, 1)
	p.dev.Copy(r.shift, l.Bias.Value)
	r.out = Act{
		N: s.N, H: 1, W: 1, C: s.K,
		Source: device.Source{X: r.y, Scale: r.scale, Shift: r.shift, ReLU: l.ReLU},
		Dot:    r.y, Sums: r.sums,
	}
	return r.out
}

// Backward adds dW = inᵀ·d and the bias's Σ d. d is the gradient of the output where the
// ReLU let it through; the caller has left its sums as [Act] says. Unless dx is none it
// gets the gradient of the input, d·Wᵀ finished as f says.
func (l *LinearBias) Backward(p *Pass, d, dx device.Array, f device.Finish) {
	in := l.In(p)
	r := p.pop(l)
	s, g := l.conv(in.N), device.Grad{D: d}
	p.dev.AddSums(l.Bias.Grad, r.sums.A)
	p.linearGrads(l.Weight, dx, s, g, in.Source, f)
	p.done(r)
}

// In returns the input of a layer that is the next to go backward.
func (l *LinearBias) In(p *Pass) Act { return p.live(p.top(l).in) }
