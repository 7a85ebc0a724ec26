package nn

import (
	"hash/fnv"
	"math"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
)

// layer is a network of one or a few layers, for tests. Backward owns d and
// returns the gradient of the input, both buffers of the arena.
type layer struct {
	params   []*Param
	forward  func(p *Pass, x Act) Act
	backward func(p *Pass, d device.Array) device.Array
}

func unit(u *ConvNorm) layer {
	return layer{u.Params(), u.Forward, func(p *Pass, d device.Array) device.Array {
		in := u.In(p)
		dx := p.arena.Get(device.Float32, in.Len())
		u.Backward(p, d, dx, in.Finish(device.Array{}))
		p.arena.Put(d)
		return dx
	}}
}

func block(b *Residual) layer { return layer{b.Params(), b.Forward, b.Backward} }

func chain(layers ...layer) layer {
	var all layer
	for _, l := range layers {
		all.params = append(all.params, l.params...)
	}
	all.forward = func(p *Pass, x Act) Act {
		for _, l := range layers {
			x = l.forward(p, x)
		}
		return x
	}
	all.backward = func(p *Pass, d device.Array) device.Array {
		for i := len(layers) - 1; i >= 0; i-- {
			d = layers[i].backward(p, d)
		}
		return d
	}
	return all
}

// piece hashes the state of every ReLU and of every maximum of a pass.
func piece(p *Pass) uint64 {
	h := fnv.New64a()
	for _, r := range p.tape[:p.n] {
		if out := p.live(r.out); out.ReLU || out.Cut {
			for i := range out.X.Host() {
				if out.At(i, i%out.C) > 0 {
					h.Write([]byte{1})
				} else {
					h.Write([]byte{0})
				}
			}
		}
		if !r.argmax.None() {
			h.Write(device.Bytes(r.argmax))
		}
	}
	return h.Sum64()
}

func randomize(params []*Param) {
	for i, p := range params {
		copy(p.Value.Host(), check.Random(uint64(100+i), len(p.Value.Host())))
		if len(p.Shape) == 1 && !strings.HasSuffix(p.Name, "bias") {
			for j := range p.Value.Host() { // γ
				p.Value.Host()[j] = 1 + p.Value.Host()[j]/4
			}
		}
	}
}

// TestDerivatives checks the gradients of every layer, of its input and of all
// its parameters, against finite differences of Σ out·w for a random w.
func TestDerivatives(t *testing.T) {
	conv := func(c, k, size, stride int, relu bool) *ConvNorm {
		return NewConvNorm("conv", "bn", c, k, size, stride, size/2, relu)
	}
	linear := NewLinear("last", 5, 4)
	conv1D := func(c, k, size, stride int, relu bool) *ConvNorm {
		return NewConvNorm1D("conv", "bn", c, k, size, stride, size/2, relu)
	}
	mean, pool, pool1D := new(GlobalPool), new(MaxPool), &MaxPool{Sequence: true}
	poolLayer, poolLayer1D := layer{nil, pool.Forward, pool.Backward}, layer{nil, pool1D.Forward, pool1D.Backward}
	for _, test := range []struct {
		name       string
		l          layer
		n, h, w, c int
	}{
		{"conv3", unit(conv(2, 3, 3, 1, false)), 2, 5, 4, 2},
		{"conv3 relu", unit(conv(2, 3, 3, 1, true)), 2, 5, 4, 2},
		{"conv3/2", unit(conv(2, 3, 3, 2, true)), 2, 5, 4, 2},
		{"conv7/2", unit(conv(3, 4, 7, 2, true)), 2, 9, 8, 3},
		{"conv1/2", unit(conv(2, 3, 1, 2, false)), 2, 5, 4, 2},
		{"two convs", chain(unit(conv(2, 3, 3, 1, true)), unit(conv(3, 2, 3, 1, true))), 2, 4, 4, 2},
		{"sequence", unit(conv1D(2, 3, 3, 1, true)), 2, 9, 1, 2},
		{"sequence/4", unit(conv1D(1, 3, 9, 4, true)), 2, 30, 1, 1},
		{"sequence: stem, pool, block", chain(unit(conv1D(2, 3, 7, 2, true)), poolLayer1D,
			block(&Residual{Convs: []*ConvNorm{conv1D(3, 4, 3, 2, true), conv1D(4, 4, 3, 1, false)},
				Down: conv1D(3, 4, 1, 2, false)})), 2, 41, 1, 2},
		{"linear", unit(NewLinearNorm("0", "1", 6, 5)), 7, 1, 1, 6},
		{"expander", chain(unit(NewLinearNorm("0", "1", 6, 5)),
			layer{linear.Params(), linear.Forward, func(p *Pass, d device.Array) device.Array {
				in := linear.In(p)
				dx := p.arena.Get(device.Float32, in.Len())
				linear.Backward(p, d, dx, in.Finish(device.Array{}))
				p.arena.Put(d)
				return dx
			}}), 7, 1, 1, 6},
		{"basic", block(&Residual{Convs: []*ConvNorm{conv(3, 3, 3, 1, true), conv(3, 3, 3, 1, false)}}), 2, 4, 5, 3},
		{"basic down", block(&Residual{Convs: []*ConvNorm{conv(2, 4, 3, 2, true), conv(4, 4, 3, 1, false)},
			Down: conv(2, 4, 1, 2, false)}), 2, 5, 6, 2},
		{"bottleneck", block(&Residual{Convs: []*ConvNorm{conv(6, 2, 1, 1, true), conv(2, 2, 3, 1, true),
			conv(2, 6, 1, 1, false)}}), 2, 4, 5, 6},
		{"bottleneck down", block(&Residual{Convs: []*ConvNorm{conv(3, 2, 1, 1, true), conv(2, 2, 3, 2, true),
			conv(2, 6, 1, 1, false)}, Down: conv(3, 6, 1, 2, false)}), 2, 5, 4, 3},
		{"stem and block", chain(unit(conv(2, 3, 3, 1, true)),
			block(&Residual{Convs: []*ConvNorm{conv(3, 3, 3, 1, true), conv(3, 3, 3, 1, false)}})), 2, 4, 4, 2},
		{"stem, pool, block", chain(unit(conv(2, 3, 7, 2, true)), poolLayer,
			block(&Residual{Convs: []*ConvNorm{conv(3, 3, 3, 1, true), conv(3, 3, 3, 1, false)}})), 2, 13, 11, 2},
		{"two blocks, mean", chain(
			block(&Residual{Convs: []*ConvNorm{conv(2, 3, 3, 1, true), conv(3, 3, 3, 1, false)},
				Down: conv(2, 3, 1, 1, false)}),
			block(&Residual{Convs: []*ConvNorm{conv(3, 3, 3, 1, true), conv(3, 3, 3, 1, false)}}),
			layer{nil, mean.Forward, func(p *Pass, d device.Array) device.Array {
				dx := mean.Backward(p, d)
				p.arena.Put(d)
				return dx
			}}), 3, 4, 4, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			randomize(test.l.params)
			x := check.Random(1, test.n*test.h*test.w*test.c)
			p := NewPass(new(Arena), true)
			var w []float32
			f := func() (float64, uint64) {
				p.Reset()
				out := test.l.forward(p, p.Input(x, test.n, test.h, test.w, test.c))
				if w == nil {
					w = check.Random(2, out.Len())
				}
				sum := 0.0
				for i := range w {
					sum += float64(w[i]) * float64(out.At(i, i%out.C))
				}
				return sum, piece(p)
			}
			f()
			p.Reset()
			out := test.l.forward(p, p.Input(x, test.n, test.h, test.w, test.c))
			d := p.arena.Get(device.Float32, out.Len())
			copy(d.Host(), w)
			p.dev.FinishGrad(d, out.C, out.Finish(device.Array{}))
			dx := append([]float32(nil), test.l.backward(p, d).Host()...)

			const eps, tol = 2e-3, 1e-2
			check.PiecewiseDerivative(t, "x", x, dx, f, eps, tol)
			for _, q := range test.l.params {
				if q.Name == "0.bias" { // before a normalisation
					check.Close(t, q.Name, q.Grad.Host(), make([]float32, len(q.Grad.Host())), 0)
					continue
				}
				check.PiecewiseDerivative(t, q.Name, q.Value.Host(), q.Grad.Host(), f, eps, tol)
			}
		})
	}
}

func TestRunningStatistics(t *testing.T) {
	const n, c, k = 6, 3, 2
	u := NewLinearNorm("0", "1", c, k)
	randomize(u.Params())
	x := check.Random(3, n*c)
	p := NewPass(new(Arena), true)
	u.Forward(p, p.Input(x, n, 1, 1, c))
	for j := range k {
		// In float64, with the bias where PyTorch has it.
		var sum, sum2 float64
		for i := range n {
			v := float64(u.Bias.Value.Host()[j])
			for a := range c {
				v += float64(x[i*c+a]) * float64(u.Weight.Value.Host()[a*k+j])
			}
			sum, sum2 = sum+v, sum2+v*v
		}
		mean := sum / n
		variance := (sum2 - n*mean*mean) / (n - 1)
		check.Scalar(t, "running mean", float64(u.RunMean.Value.Host()[j]), 0.1*mean, 1e-5)
		check.Scalar(t, "running variance", float64(u.RunVar.Value.Host()[j]), 0.9+0.1*variance, 1e-6)
	}
	if u.Batches.Value.Host()[0] != 1 {
		t.Errorf("%v batches", u.Batches.Value.Host()[0])
	}

	// Inference: γ·(x·W + b − mean)/√(var + ε) + β, and nothing changes.
	e := NewPass(p.Arena(), false)
	before := append([]float32(nil), u.RunMean.Value.Host()...)
	out := u.Forward(e, e.Input(x, n, 1, 1, c))
	for i := range n * k {
		j := i % k
		v := float64(u.Bias.Value.Host()[j]) - float64(u.RunMean.Value.Host()[j])
		for a := range c {
			v += float64(x[i/k*c+a]) * float64(u.Weight.Value.Host()[a*k+j])
		}
		v = float64(u.Gamma.Value.Host()[j])*v/math.Sqrt(float64(u.RunVar.Value.Host()[j])+1e-5) +
			float64(u.Beta.Value.Host()[j])
		if got := float64(out.At(i, j)); math.Abs(got-max(0, v)) > 1e-5 {
			t.Errorf("inference gives %v, want %v", got, max(0, v))
		}
	}
	check.Close(t, "running mean after inference", u.RunMean.Value.Host(), before, 0)
}

// One value per channel has no variance: an error, as in PyTorch.
func TestOneValuePerChannel(t *testing.T) {
	u := NewConvNorm("conv", "bn1", 1, 1, 3, 1, 1, true)
	u.Forward(NewPass(new(Arena), false), Whole(device.Of([]float32{1}), 1, 1, 1, 1))
	defer func() {
		if r, ok := recover().(string); !ok || !strings.Contains(r, "bn1.weight: batch normalisation needs more than one value") {
			t.Errorf("panic %v", r)
		}
	}()
	u.Forward(NewPass(new(Arena), true), Whole(device.Of([]float32{1}), 1, 1, 1, 1))
}

func TestPassOrder(t *testing.T) {
	a, b := NewLinear("a", 2, 2), NewLinear("b", 2, 2)
	p := NewPass(new(Arena), true)
	b.Forward(p, a.Forward(p, p.Input(make([]float32, 4), 2, 1, 1, 2)))
	defer func() {
		if recover() == nil {
			t.Error("a backward in the order of forward passed")
		}
	}()
	a.Backward(p, device.Of(make([]float32, 4)), device.Array{}, device.Finish{})
}

func TestTorchOrder(t *testing.T) {
	p := NewParam("w", 2, 3, 1, 2) // (k, c, r, s)
	theirs := make([]float32, 12)
	for i := range theirs {
		theirs[i] = float32(i)
	}
	p.SetTorch(theirs)
	for i, v := range p.Value.Host() { // r × s × c × k
		s, c, k := i/6, i/2%3, i%2
		if want := float32(k*6 + c*2 + s); v != want {
			t.Errorf("value %d is %v, want %v", i, v, want)
		}
	}
	check.Close(t, "round trip", p.Torch(), theirs, 0)
}
