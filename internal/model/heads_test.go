package model

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// heads are all kinds of heads, with what nn.Sequential would call their
// parameters.
var heads = []struct {
	head  Head
	names []string
}{
	{Head{Widths: "5-4"}, []string{"0.weight", "0.bias", "1.weight", "1.bias", "3.weight"}},
	{Head{Widths: "5-4", Last: Bias}, []string{"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"}},
	{Head{Widths: "5-6-4", Last: Norm}, []string{"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias", "4.weight", "4.bias", "6.weight"}},
	{Head{Widths: "5-4", Last: Affine}, []string{"0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "4.weight", "4.bias"}},
	{Head{Widths: "5-6-4", NoNorm: true, Last: Bias}, []string{"0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"}},
	{Head{Widths: "5-4", NoNorm: true}, []string{"0.weight", "0.bias", "2.weight"}},
	{Head{Widths: "4", NoNorm: true, Last: Norm}, []string{"0.weight"}},
	{Head{Widths: "4", Last: Bias}, []string{"0.weight", "0.bias"}},
}

// plainHead is what a head computes, in float64, and a hash of its ReLUs' signs.
func plainHead(h Head, x []float32, n, in int, params map[string]*nn.Param) (out []float64, piece uint64) {
	for _, v := range x {
		out = append(out, float64(v))
	}
	signs := fnv.New64a()
	widths, _ := ParseExpander(h.Widths)
	at := 0
	for i, width := range widths {
		last := i == len(widths)-1
		w, bias := params[fmt.Sprint(at, ".weight")], params[fmt.Sprint(at, ".bias")]
		y := make([]float64, n*width)
		for r := range n {
			for k := range width {
				if bias != nil {
					y[r*width+k] = float64(bias.Value.Host()[k])
				}
				for c := range in {
					y[r*width+k] += out[r*in+c] * float64(w.Value.Host()[c*width+k])
				}
			}
		}
		at++
		if !last && !h.NoNorm || last && (h.Last == Norm || h.Last == Affine) {
			gamma, beta := params[fmt.Sprint(at, ".weight")], params[fmt.Sprint(at, ".bias")]
			for k := range width {
				var mean, square float64
				for r := range n {
					mean += y[r*width+k] / float64(n)
				}
				for r := range n {
					square += (y[r*width+k] - mean) * (y[r*width+k] - mean) / float64(n)
				}
				for r := range n {
					v := (y[r*width+k] - mean) / math.Sqrt(square+1e-5)
					if !last || h.Last == Affine {
						v = v*float64(gamma.Value.Host()[k]) + float64(beta.Value.Host()[k])
					}
					y[r*width+k] = v
				}
			}
			at++
		}
		if !last {
			for j, v := range y {
				y[j] = max(0, v)
				signs.Write([]byte{byte(math.Float64bits(v) >> 63)})
			}
			at++
		}
		out, in = y, width
	}
	return out, signs.Sum64()
}

func TestHeads(t *testing.T) {
	const n, in = 6, 3
	for _, tt := range heads {
		t.Run(fmt.Sprintf("%+v", tt.head), func(t *testing.T) {
			e, err := NewHead(in, tt.head, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			params := map[string]*nn.Param{}
			for i, p := range e.Params() {
				names, params[p.Name] = append(names, p.Name), p
				for j, v := range check.Random(uint64(i), len(p.Value.Host())) {
					p.Value.Host()[j] += v / 3
				}
			}
			if !slices.Equal(names, tt.names) {
				t.Errorf("parameters %q, want %q", names, tt.names)
			}
			x := tensor.From(check.Random(3, n*in), n, in)
			p := nn.NewPass(new(nn.Arena), true)
			z := e.Forward(p, p.Input(x.Data, n, 1, 1, in)).X.Host()
			want, _ := plainHead(tt.head, x.Data, n, in, params)
			got := make([]float64, len(z))
			for i, v := range z {
				got[i] = float64(v)
			}
			check.Close64(t, "output", got, want, 1e-5)

			w := check.Random(4, n*e.Dim())
			f := func() (sum float64, piece uint64) {
				out, piece := plainHead(tt.head, x.Data, n, in, params)
				for i, v := range w {
					sum += float64(v) * out[i]
				}
				return sum, piece
			}
			dx := e.Backward(p, device.Of(slices.Clone(w)))
			const eps, tol = 1e-3, 1e-3
			check.PiecewiseDerivative(t, "x", x.Data, slices.Clone(dx.Host()), f, eps, tol)
			p.Arena().Put(dx)
			if p.Arena().Lent() != 0 {
				t.Errorf("%d bytes still lent", p.Arena().Lent())
			}
			for _, q := range e.Params() {
				if !slices.ContainsFunc(q.Grad.Host(), func(v float32) bool { return v != 0 }) {
					continue // a bias before a normalisation: the difference is rounding
				}
				check.PiecewiseDerivative(t, q.Name, q.Value.Host(), q.Grad.Host(), f, eps, tol)
			}
		})
	}
	if _, err := NewHead(in, Head{Widths: "4", Last: "soft"}, nil); err == nil {
		t.Error("a head with an unknown last layer was built")
	}
}

// Inference reads running statistics and leaves nothing behind.
func TestHeadInference(t *testing.T) {
	for _, tt := range heads {
		e, err := NewHead(3, tt.head, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		x := tensor.From(check.Random(3, 200*3), 200, 3)
		arena := new(nn.Arena)
		for range 300 { // running statistics come near those of the batch
			p := nn.NewTargetPass(arena)
			e.Forward(p, p.Input(x.Data, 200, 1, 1, 3))
			p.Reset()
		}
		train := nn.NewPass(arena, true)
		want := slices.Clone(e.Forward(train, train.Input(x.Data, 200, 1, 1, 3)).X.Host())
		train.Reset()
		p := nn.NewPass(arena, false)
		got := e.Forward(p, p.Input(x.Data, 200, 1, 1, 3))
		check.CloseAbs(t, fmt.Sprintf("%+v", tt.head), got.X.Host(), want, 0.01, 1e-4) // unbiased variance: 200/199
		if all := arena.Lent(); all != 4*got.X.Len() {
			t.Errorf("%+v: %d bytes lent for an output of %d", tt.head, all, got.X.Len())
		}
		p.Reset()
	}
}
