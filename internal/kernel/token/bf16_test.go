package token

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/amx"
	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

// Where the processor has no AMX, its variant is tested under a tracer.
func TestAMX(t *testing.T) { amx.Run(t, "^(TestAttentionBF16|TestDenseBF16)$/^(amx)?$") }

// With bfloat16 a dense layer comes close to itself in float32, in all its passes.
func TestDenseBF16(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		if !shape.HasBF16() {
			t.Skip("no bfloat16 here")
		}
		r := rand.New(rand.NewPCG(53, 52))
		for _, s := range []Dense{{N: 3, C: 4, K: 6}, {N: 75, C: 24, K: 40}, {N: 60, C: 70, K: 33},
			{N: 5, C: 200, K: 16}} {
			x, w, bias := check.Normal(r, s.N*s.C), check.Normal(r, s.C*s.K), check.Normal(r, s.K)
			d := check.Normal(r, s.N*s.K)
			run := func(s Dense) (y, dx, dw []float32) {
				y, dx, dw = make([]float32, s.N*s.K), make([]float32, s.N*s.C), make([]float32, s.C*s.K)
				norm := RowNorm{Gamma: slices.Repeat([]float32{1}, s.C), Beta: make([]float32, s.C), Eps: 1e-6,
					Mean: make([]float32, s.N), Rstd: make([]float32, s.N)}
				DenseForward(shape.Floats(y), s, RowSource{X: shape.Floats(x), Norm: norm}, w, bias, shape.Values{})
				DenseInputGrad(shape.Floats(dx), s, shape.Floats(d), w, make([]float32, s.K), RowFinish{})
				DenseWeightGrad(dw, s, shape.Floats(x), shape.Floats(d))
				return y, dx, dw
			}
			y, dx, dw := run(s)
			s.Precision = shape.BF16
			gotY, gotX, gotW := run(s)
			check.Close(t, "y", gotY, y, 1e-2)
			check.Close(t, "dx", gotX, dx, 1e-2)
			check.Close(t, "dw", gotW, dw, 1e-2)
			if slices.Equal(gotY, y) || slices.Equal(gotX, dx) || slices.Equal(gotW, dw) {
				t.Errorf("%+v: the products are float32", s)
			}
		}
	})
}
