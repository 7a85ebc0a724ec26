package token

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// The gradients of a dense layer and of the normalisation before it have the same bits for
// any number of workers.
func TestDenseWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(3, 1))
	s := Dense{N: 5*denseRows + 3, C: 70, K: 150}
	d, w, x := check.Normal(r, s.N*s.K), check.Normal(r, s.C*s.K), check.Normal(r, s.N*s.C)
	norm := RowNorm{Gamma: check.Normal(r, s.C), Beta: check.Normal(r, s.C), Eps: 1e-6, Mean: make([]float32, s.N),
		Rstd: make([]float32, s.N)}
	y := make([]float32, s.N*s.K)
	DenseForward(shape.Floats(y), s, RowSource{X: shape.Floats(x), Norm: norm}, w, make([]float32, s.K), shape.Values{})
	start := check.Normal(r, s.K+2*s.C)
	var want []float32
	for _, workers := range []int{1, 2, 3, 16} {
		parallel.SetWorkers(workers)
		got := append(slices.Clone(start), make([]float32, s.N*s.C)...)
		DenseInputGrad(shape.Floats(got[s.K+2*s.C:]), s, shape.Floats(d), w, got[:s.K], RowFinish{
			X: shape.Floats(slices.Clone(x)), Norm: norm, DGamma: got[s.K : s.K+s.C], DBeta: got[s.K+s.C : s.K+2*s.C]})
		if want == nil {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%d workers give other bits", workers)
		}
		for i, v := range got[:s.K+2*s.C] {
			if v == start[i] {
				t.Fatalf("sum %d got nothing", i)
			}
		}
	}
}
