package nn

import (
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/parallel"
)

// tokenLayer is a layer of tokens, for tests.
type tokenLayer interface {
	Params() []*Param
	Forward(p *Pass, x Tokens) Tokens
	Backward(p *Pass, d device.Array) device.Array
}

// starts returns where sequences of these lengths start.
func starts(lengths ...int32) []int32 {
	s := []int32{0}
	for _, n := range lengths {
		s = append(s, s[len(s)-1]+n)
	}
	return s
}

// tokens returns a copy of x: backward overwrites it.
func tokens(x []float32, c int, starts []int32) Tokens {
	return Tokens{X: device.Of(append([]float32(nil), x...)), C: c, Starts: starts}
}

// TestTokenDerivatives checks gradients against finite differences of Σ out·w.
func TestTokenDerivatives(t *testing.T) {
	for _, test := range []struct {
		name   string
		l      tokenLayer
		c      int
		starts []int32
	}{
		{"layer norm", NewLayerNorm("norm", 18), 18, starts(3, 4)},
		{"attention", NewAttention("", 12, 3, false), 12, starts(5, 1, 0, 7)},
		{"attention with norm", NewAttention("", 12, 2, true), 12, starts(5, 3)},
		{"long attention", NewAttention("", 8, 2, false), 8, starts(130, 17)},
		{"mlp", NewMLP("", 10, 40), 10, starts(4, 3)},
		{"transformer", NewTransformer(2, 16, 2), 16, starts(4, 6)},
	} {
		t.Run(test.name, func(t *testing.T) {
			check.EachVariant(t, func(t *testing.T) {
				for i, p := range test.l.Params() {
					copy(p.Value.Host(), check.Random(uint64(100+i), len(p.Value.Host())))
					for j := range p.Value.Host() {
						p.Value.Host()[j] *= 0.3
						if strings.Contains(p.Name, "norm") && strings.HasSuffix(p.Name, "weight") {
							p.Value.Host()[j]++
						}
					}
					clear(p.Grad.Host())
				}
				rows := int(test.starts[len(test.starts)-1])
				x := check.Random(1, rows*test.c)
				w := check.Random(2, rows*test.c)
				p := NewPass(new(Arena), true)
				f := func() float64 {
					p.Reset()
					sum := 0.0
					for i, v := range test.l.Forward(p, tokens(x, test.c, test.starts)).X.Host() {
						sum += float64(w[i]) * float64(v)
					}
					return sum
				}
				f()
				d := p.arena.Get(device.Float32, len(w))
				copy(d.Host(), w)
				d = test.l.Backward(p, d)
				dx := append([]float32(nil), d.Host()...)
				p.arena.Put(d)
				if p.arena.Lent() != 0 {
					t.Errorf("%d bytes still lent", p.arena.Lent())
				}
				const eps, tol = 5e-3, 1e-2
				check.Derivative(t, "x", x, dx, f, eps, tol)
				for _, q := range test.l.Params() {
					if strings.HasSuffix(q.Name, "qkv.bias") {
						continue // that of k is zero but for rounding; the golden files hold the others
					}
					check.Derivative(t, q.Name, q.Value.Host(), q.Grad.Host(), f, eps, tol)
				}
			})
		})
	}
}

// TestTokenGolden holds layers to PyTorch: outputs, gradients of inputs and
// parameters. Where the file has a key padding mask, masked rows are left out:
// attention to the others must come out as if they had been masked.
func TestTokenGolden(t *testing.T) {
	for _, test := range []struct {
		file string
		l    tokenLayer
		c    int
	}{
		{"layernorm", NewLayerNorm("", 20), 20},
		{"attention", NewAttention("", 24, 3, false), 24},
		{"attention_masked", NewAttention("", 24, 3, false), 24},
		{"block", NewTransformer(1, 24, 3), 24},
	} {
		t.Run(test.file, func(t *testing.T) {
			check.EachVariant(t, func(t *testing.T) {
				g := check.Golden(t, "testdata/"+test.file+".safetensors")
				name := func(p *Param) string {
					for _, prefix := range []string{"attn.", "blocks.0.", "."} {
						if s, ok := strings.CutPrefix(p.Name, prefix); ok {
							return s
						}
					}
					return p.Name
				}
				for _, p := range test.l.Params() {
					p.SetTorch(g.F32("state." + name(p)))
					clear(p.Grad.Host())
				}
				shape := g.Shape("x")
				n, each := shape[0], 1
				if len(shape) == 3 {
					each = shape[1]
				}
				var mask []float32
				if g.Has("mask") {
					mask = g.F32("mask")
				}
				first, real := []int32{0}, int32(0)
				for i := range n * each {
					if mask == nil || mask[i] == 0 {
						real++
					}
					if (i+1)%each == 0 {
						first = append(first, real)
					}
				}
				rows := func(name string) []float32 {
					var kept []float32
					for i, v := range g.F32(name) {
						if mask == nil || mask[i/test.c] == 0 {
							kept = append(kept, v)
						}
					}
					return kept
				}
				const tol = 1e-5
				p := NewPass(new(Arena), true)
				out := test.l.Forward(p, tokens(rows("x"), test.c, first))
				check.Close(t, "out", out.X.Host(), rows("out"), tol)
				d := p.arena.Get(device.Float32, out.X.Len())
				copy(d.Host(), rows("dout"))
				check.Close(t, "dx", test.l.Backward(p, d).Host(), rows("dx"), tol)
				for _, p := range test.l.Params() {
					check.Close(t, p.Name, p.TorchGrad(), g.F32("grad."+name(p)), tol)
				}
			})
		})
	}
}

// TestTokenPasses: one set of layers serves two passes, inference passes keep
// nothing, any number of workers gives the same bits, and a steady step allocates
// nothing.
func TestTokenPasses(t *testing.T) {
	const c = 32
	l := NewTransformer(2, c, 2)
	params := l.Params()
	for i, p := range params {
		copy(p.Value.Host(), check.Random(uint64(i), len(p.Value.Host())))
		vector.Scale(p.Value.Host(), 0.2)
	}
	arena := new(Arena)
	a, b := NewPass(arena, true), NewPass(arena, true)
	first := starts(150, 60, 9)
	rows := int(first[len(first)-1])
	xa, xb, w := check.Random(1, rows*c), check.Random(2, rows*c), check.Random(3, rows*c)
	ta, tb := make([]float32, rows*c), make([]float32, rows*c)
	var result []float32
	step := func() {
		a.Reset()
		b.Reset()
		for _, p := range params {
			clear(p.Grad.Host())
		}
		copy(ta, xa)
		copy(tb, xb)
		outA := l.Forward(a, Tokens{X: device.Of(ta), C: c, Starts: first})
		outB := l.Forward(b, Tokens{X: device.Of(tb), C: c, Starts: first})
		result = append(append(result[:0], outA.X.Host()...), outB.X.Host()...)
		for _, p := range []*Pass{b, a} {
			d := arena.Get(device.Float32, len(w))
			copy(d.Host(), w)
			d = l.Backward(p, d)
			result = append(result, d.Host()...)
			arena.Put(d)
		}
		for _, p := range params {
			result = append(result, p.Grad.Host()...)
		}
	}
	defer parallel.SetWorkers(0)
	var want []float32
	for _, workers := range []int{1, 2, 3} {
		parallel.SetWorkers(workers)
		step()
		if want == nil {
			want = append(want, result...)
		}
		check.Close(t, "bits", result, want, 0)
	}
	if n := testing.AllocsPerRun(3, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
	e := NewPass(arena, false)
	copy(ta, xa)
	out := l.Forward(e, Tokens{X: device.Of(ta), C: c, Starts: first})
	check.Close(t, "inference", out.X.Host(), want[:rows*c], 0)
	check.Close(t, "input after inference", ta, xa, 0)
	if most := 4 * 2 * out.X.Len() * 6; arena.Lent() > most {
		t.Errorf("inference keeps %d bytes", arena.Lent())
	}
	e.Reset()
	if arena.Lent() != 0 {
		t.Errorf("%d bytes still lent", arena.Lent())
	}
}

// Backward of attention's key bias is zero: adding to all scores of a row
// changes nothing.
func TestKeyBias(t *testing.T) {
	const c = 12
	l := NewAttention("", c, 3, false)
	for i, p := range l.Params() {
		copy(p.Value.Host(), check.Random(uint64(i), len(p.Value.Host())))
	}
	p := NewPass(new(Arena), true)
	l.Forward(p, tokens(check.Random(5, 9*c), c, starts(4, 5)))
	d := p.arena.Get(device.Float32, 9*c)
	copy(d.Host(), check.Random(6, 9*c))
	l.Backward(p, d)
	bias := l.QKV.Bias.Grad.Host()
	check.CloseAbs(t, "key bias", bias[c:2*c], make([]float32, c), 0, 1e-4)
	for _, v := range append(bias[:c:c], bias[2*c:]...) {
		if v == 0 {
			t.Error("the bias of queries or values has no gradient")
		}
	}
}
