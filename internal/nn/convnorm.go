package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// Batch normalisation as PyTorch does it by default.
const (
	normEps      = 1e-5
	normMomentum = 0.1
)

// ConvNorm is a convolution, batch normalisation and, if ReLU, a ReLU. The
// convolution has no bias; a linear layer may have one. Only the raw output of
// the convolution is stored: whoever reads it normalises on the way.
type ConvNorm struct {
	Weight          *Param // (k, c, r, s); (k, c, r) of sequences, (k, c) of a linear layer
	Bias            *Param // (k) or nil
	Gamma, Beta     *Param // (k)
	RunMean, RunVar *Param // (k)
	Batches         *Param // (), number of training batches seen
	ReLU            bool
	Fixed           bool             // γ stays 1 and β 0: they are no parameters
	Float32         bool             // stores its output so on any device: the loss reads it
	Precision       device.Precision // of products

	size, stride, pad int
	sequence          bool
}

// NewConvNorm returns a size × size convolution from c to k channels named conv,
// and its normalisation named norm. Weights are zero, γ is 1, β is 0.
func NewConvNorm(conv, norm string, c, k, size, stride, pad int, relu bool) *ConvNorm {
	u := &ConvNorm{
		Weight: NewParam(conv+".weight", k, c, size, size),
		ReLU:   relu, size: size, stride: stride, pad: pad,
	}
	u.norm(norm, k)
	return u
}

// NewConvNorm1D returns a convolution of sequences: size taps over time from c
// to k channels. It works on n × t × 1 × c; its weight is (k, c, size), as that
// of PyTorch's Conv1d.
func NewConvNorm1D(conv, norm string, c, k, size, stride, pad int, relu bool) *ConvNorm {
	u := &ConvNorm{
		Weight: NewParam(conv+".weight", k, c, size),
		ReLU:   relu, size: size, stride: stride, pad: pad, sequence: true,
	}
	u.norm(norm, k)
	return u
}

// NewLinearNorm returns a linear layer with bias from c to k channels named
// linear, its normalisation named norm, and a ReLU. It works on n × 1 × 1 × c.
func NewLinearNorm(linear, norm string, c, k int) *ConvNorm {
	u := &ConvNorm{
		Weight: NewParam(linear+".weight", k, c),
		Bias:   NewParam(linear+".bias", k),
		ReLU:   true, size: 1, stride: 1,
	}
	u.norm(norm, k)
	return u
}

func (u *ConvNorm) norm(name string, k int) {
	u.Gamma, u.Beta = NewParam(name+".weight", k), NewParam(name+".bias", k)
	u.RunMean, u.RunVar = NewBuffer(name+".running_mean", k), NewBuffer(name+".running_var", k)
	u.Batches = NewBuffer(name + ".num_batches_tracked")
	device.Local.Fill(u.Gamma.Value, 1)
	device.Local.Fill(u.RunVar.Value, 1)
}

// Params and Buffers return them in the order of PyTorch's modules.
func (u *ConvNorm) Params() []*Param {
	ps := []*Param{u.Weight}
	if u.Bias != nil {
		ps = append(ps, u.Bias)
	}
	if !u.Fixed {
		ps = append(ps, u.Gamma, u.Beta)
	}
	return ps
}

func (u *ConvNorm) Buffers() []*Param { return []*Param{u.RunMean, u.RunVar, u.Batches} }

// Fixtures are γ and β where they are no parameters.
func (u *ConvNorm) Fixtures() []*Param {
	if !u.Fixed {
		return nil
	}
	return []*Param{u.Gamma, u.Beta}
}

// Eps is what is added to a variance.
func (u *ConvNorm) Eps() float64 { return normEps }

// Conv returns the shape of the convolution on n × h × w images.
func (u *ConvNorm) Conv(n, h, w int) device.Conv {
	s := device.Conv{
		N: n, H: h, W: w, C: u.Weight.Shape[1],
		K: u.Weight.Shape[0], R: u.size, S: u.size,
		Stride: u.stride, Pad: u.pad, Precision: u.Precision,
	}
	if u.sequence {
		s.S, s.Sequence = 1, true
	}
	return s
}

// Forward returns relu(norm(conv(in))); its readers have still to normalise it. In a
// pass of training or of a target it uses the batch's statistics and updates the running
// ones.
func (u *ConvNorm) Forward(p *Pass, in Act) Act { return u.forward(p, in, device.Array{}, u.ReLU) }

// forward is Forward with an addition: in a pass of inference for many batches it adds
// add, unless that is none, before the ReLU, and returns an activation that is normalised
// already.
func (u *ConvNorm) forward(p *Pass, in Act, add device.Array, relu bool) Act {
	s := u.Conv(in.N, in.H, in.W)
	if in.C != s.C {
		panic(fmt.Sprintf("nn: %s reads %d channels, got %d", u.Weight.Name, s.C, in.C))
	}
	if u.Fixed { // γ and β are nobody's parameters, so nobody else takes them there
		u.Gamma.To(p.dev)
		u.Beta.To(p.dev)
	}
	r := p.push(u, in, p.stored(u.Float32), s.OutLen())
	r.channels(p.dev, s.K)
	switch {
	case p.byBatch:
		p.dev.ConvForward(r.y, s, in.Source, u.Weight.Value, r.sums)
		m := p.everywhere(r.sums, s.N*s.OutH()*s.OutW())
		if m < 2 {
			panic(fmt.Sprintf("nn: %s: batch normalisation needs more than one value per channel when training", u.Gamma.Name))
		}
		p.dev.BatchStatistics(u.batchNorm(p, r), r.sums, m)
	case p.ready:
		p.dev.RunningStatistics(u.batchNorm(p, r))
	default:
		p.dev.ConvForward(r.y, s, in.Source, u.Weight.Value, device.Sums{})
		p.dev.RunningStatistics(u.batchNorm(p, r))
	}
	if p.ready {
		p.dev.ConvInfer(r.y, s, in.Source, u.Weight.Value,
			device.Tail{Scale: r.scale, Shift: r.shift, Add: add, ReLU: relu, Packed: &r.packed})
		r.out = Whole(r.y, s.N, s.OutH(), s.OutW(), s.K)
		return r.out
	}
	r.out = Act{
		N: s.N, H: s.OutH(), W: s.OutW(), C: s.K,
		Source: device.Source{X: r.y, Scale: r.scale, Shift: r.shift, ReLU: u.ReLU},
		Dot:    r.y, Sums: r.sums,
	}
	return r.out
}

// batchNorm is the normalisation for the kernels, with the arrays that a record keeps.
func (u *ConvNorm) batchNorm(p *Pass, r *record) device.BatchNorm {
	n := device.BatchNorm{
		Gamma: u.Gamma.Value, Beta: u.Beta.Value, RunMean: u.RunMean.Value, RunVar: u.RunVar.Value,
		Batches: u.Batches.Value,
		Eps:     normEps, Momentum: normMomentum,
		Mean: r.mean, Rstd: r.rstd, Scale: r.scale, Shift: r.shift,
	}
	if u.Bias != nil {
		n.Bias = u.Bias.Value
	}
	if p.counted && p.byBatch {
		c := u.Gamma.Value.Len()
		n.RunMean = device.Room(p.dev, &p.nowhere[0], device.Float32, c)
		n.RunVar = device.Room(p.dev, &p.nowhere[1], device.Float32, c)
		n.Batches = device.Room(p.dev, &p.nowhere[2], device.Float32, 1)
	}
	return n
}

// Backward adds the gradients of the parameters. d is the gradient of the normalised
// output where the ReLU let it through; it stays the caller's, who has left its sums as
// [Act] says. Unless dx is none it gets the gradient of the input, finished as f says.
//
// [kernel.BatchNormBackward] has the formulas. The gradient of a bias before the
// normalisation is exactly zero. Where a batch lies on several ranks, dγ and dβ come of
// sums over all of them, so that one rank alone adds them.
func (u *ConvNorm) Backward(p *Pass, d, dx device.Array, f device.Finish) {
	in := u.In(p)
	r := p.pop(u)
	s := u.Conv(in.N, in.H, in.W)
	n, m := device.BatchNormGrad{A: r.a, B: r.b, K: r.k}, s.N*s.OutH()*s.OutW()
	if p.byBatch {
		m = p.everywhere(r.sums, m)
	}
	if !u.Fixed && !(p.byBatch && p.elsewhere()) {
		n.DGamma, n.DBeta = u.Gamma.Grad, u.Beta.Grad
	}
	p.dev.BatchNormBackward(n, u.batchNorm(p, r), r.sums, m)
	if !p.byBatch { // the statistics are constants: dy = A·d
		p.dev.Fill(r.b, 0)
		p.dev.Fill(r.k, 0)
	}
	g := device.Grad{D: d, Y: r.y, A: r.a, B: r.b, K: r.k}
	if len(u.Weight.Shape) == 2 {
		p.linearGrads(u.Weight, dx, s, g, in.Source, f)
	} else if !dx.None() {
		p.dev.ConvGrads(dx, u.Weight.Grad, s, g, in.Source, u.Weight.Value, f)
	} else {
		p.dev.ConvWeightGrad(u.Weight.Grad, s, g, in.Source)
	}
	p.done(r)
}

// roomRead lends a buffer for the gradient of the input of a layer that is the next to go
// backward, of all pixels or, where the device knows those, of the ones that it reads.
func (u *ConvNorm) roomRead(p *Pass) (device.Array, device.Pixels) {
	in := p.top(u).in
	if _, ok := p.dev.(device.Sparse); !ok || u.size != 1 || u.stride == 1 || u.pad > 0 || u.sequence || in.C%8 != 0 {
		return p.Room(u.In(p)), device.Pixels{}
	}
	s := u.Conv(in.N, in.H, in.W)
	u.In(p) // may have to be made again
	return p.arena.Get(in.X.Type(), in.N*s.OutH()*s.OutW()*in.C), device.Pixels{Step: u.stride, H: in.H, W: in.W}
}

// In returns the input of a layer that is the next to go backward.
func (u *ConvNorm) In(p *Pass) Act { return p.live(p.top(u).in) }

// sumGrad leaves the sums of d that Backward needs. It is for a layer that is the next
// to go backward and whose gradient was made for another layer too.
func (u *ConvNorm) sumGrad(p *Pass, d device.Array) {
	r := p.top(u)
	p.dev.FinishGrad(d, r.out.C, device.Finish{Dot: r.y, Sums: r.sums})
}
