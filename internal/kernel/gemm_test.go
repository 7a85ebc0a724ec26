package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/cpu"
)

// eachVariant runs f as a subtest under every variant this processor has.
func eachGemmVariant(t *testing.T, f func(t *testing.T)) {
	for _, v := range cpu.Variants() {
		t.Run(v, func(t *testing.T) {
			restore, err := cpu.Set(v)
			if err != nil {
				t.Fatal(err)
			}
			defer restore()
			f(t)
		})
	}
}

// randMat returns a matrix that stands for rows × cols, with its elements at an
// odd offset and rows some elements further apart than they need to be.
func randMat(r *rand.Rand, rows, cols int, trans bool) Mat {
	if trans {
		rows, cols = cols, rows
	}
	stride := cols + r.IntN(8)
	offset := r.IntN(5)
	data := make([]float32, offset+rows*stride+r.IntN(20))
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return Mat{data[offset:], rows, cols, stride, trans}
}

func (m Mat) at(i, j int) float64 {
	rs, cs := m.steps()
	return float64(m.Data[i*rs+j*cs])
}

// wantProduct compares got with a·b, or before + a·b, computed in float64:
// each element to within 1e-6 of Σ|a·b| + |before|, k of them rounding.
// Elements between the rows of got must be as they were.
func wantProduct(t *testing.T, got, before, a, b Mat, accumulate bool) {
	t.Helper()
	m, n := got.dims()
	_, k := a.dims()
	inside := make([]bool, len(got.Data))
	grs, gcs := got.steps()
	for i := range m {
		for j := range n {
			var sum, size float64
			if accumulate {
				sum = before.at(i, j)
				size = math.Abs(sum)
			}
			for p := range k {
				v := a.at(i, p) * b.at(p, j)
				sum += v
				size += math.Abs(v)
			}
			inside[i*grs+j*gcs] = true
			if g := got.at(i, j); !(math.Abs(g-sum) <= 1e-6*size) {
				t.Fatalf("c[%d,%d] = %g, want %g", i, j, g, sum)
			}
		}
	}
	for i, in := range inside {
		if !in && math.Float32bits(got.Data[i]) != math.Float32bits(before.Data[i]) {
			t.Fatalf("element %d, outside the product, changed from %g to %g", i, before.Data[i], got.Data[i])
		}
	}
}

func clone(m Mat) Mat {
	m.Data = append([]float32(nil), m.Data...)
	return m
}

func TestGemm(t *testing.T) {
	eachGemmVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		size := func() int {
			if r.IntN(20) == 0 {
				return 0
			}
			return 1 + r.IntN(40)
		}
		for range 800 {
			m, n, k := size(), size(), size()
			a := randMat(r, m, k, r.IntN(2) == 0)
			b := randMat(r, k, n, r.IntN(2) == 0)
			c := randMat(r, m, n, r.IntN(8) == 0)
			acc := r.IntN(2) == 0
			before := clone(c)
			Gemm(c, a, b, acc)
			wantProduct(t, c, before, a, b, acc)
			if t.Failed() {
				t.Fatalf("m=%d n=%d k=%d a.Trans=%v b.Trans=%v c.Trans=%v accumulate=%v", m, n, k, a.Trans, b.Trans, c.Trans, acc)
			}
		}
	})
}

func TestBlocks(t *testing.T) {
	eachGemmVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 600 {
			m, n, k := r.IntN(70), r.IntN(70), r.IntN(70)
			b := randMat(r, k, n, r.IntN(2) == 0)
			c := randMat(r, m, n, false)
			acc := r.IntN(2) == 0
			before := clone(c)
			name := fmt.Sprintf("m=%d n=%d k=%d b.Trans=%v accumulate=%v", m, n, k, b.Trans, acc)
			t.Run(name, func(t *testing.T) {
				a := randMat(r, m, k, false)
				packed := make([]float32, packedLen(k, n))
				packB(packed, b)
				blockNN(m, n, k, c.Data, c.Stride, a.Data, a.Stride, packed, acc)
				wantProduct(t, c, before, a, b, acc)

				a = randMat(r, m, k, true)
				b = randMat(r, k, n, false)
				copy(c.Data, before.Data)
				blockTN(m, n, k, c.Data, c.Stride, a.Data, a.Stride, b.Data, b.Stride, acc)
				wantProduct(t, c, before, a, b, acc)
			})
		}
	})
}
