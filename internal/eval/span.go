package eval

import (
	"context"
	"errors"

	"gonum.org/v1/gonum/mat"

	"vicreg/internal/kernel/product"
)

// span replaces the features of n images, if they are more than n, by n numbers each,
// with all products between images unchanged. The weights of a linear probe that
// minimise its loss are sums of training images (the representer theorem), so nothing is
// lost:
//
//	X Xᵀ = L Lᵀ, features L; weights V of them stand for V L⁻¹ X
//
// A small multiple of the identity is added to the products because of rounding.
func span(ctx context.Context, of features, n, d int) (small held, back func(v []float32) []float32, err error) {
	x, err := of.block(0, n)
	if err != nil {
		return small, nil, err
	}
	gram := make([]float64, n*n)
	part := make([]float32, n*n)
	const wide = 1024 // features whose products are added in float32
	for lo := 0; lo < d; lo += wide {
		if err := ctx.Err(); err != nil {
			return small, nil, err
		}
		m := product.Mat{Data: x[lo:], Rows: n, Cols: min(wide, d-lo), Stride: d}
		product.Gemm(product.Mat{Data: part, Rows: n, Cols: n}, m, m.T(), false)
		for i, v := range part {
			gram[i] += float64(v)
		}
	}
	trace := 0.0
	for i := range n {
		trace += gram[i*n+i]
	}
	for i := range n {
		gram[i*n+i] += 1e-5*trace/float64(n) + 1e-30
	}
	var chol mat.Cholesky
	if !chol.Factorize(mat.NewSymDense(n, gram)) {
		return small, nil, errors.New("the linear probe failed: the products of the training images are no positive matrix")
	}
	lower := mat.NewTriDense(n, mat.Lower, nil)
	chol.LTo(lower)
	small = held{make([]float32, n*n), n}
	for i := range n {
		for j := range i + 1 {
			small.x[i*n+j] = float32(lower.At(i, j))
		}
	}
	back = func(v []float32) []float32 {
		k := len(v) / n
		a := mat.NewDense(n, k, nil) // L⁻ᵀ Vᵀ
		for c := range k {
			for j := range n {
				a.Set(j, c, float64(v[c*n+j]))
			}
		}
		// The one error is a warning of a bad condition, which the identity above
		// keeps harmless.
		_ = a.Solve(lower.T(), a)
		coefficients := make([]float32, n*k)
		for j := range n {
			for c := range k {
				coefficients[j*k+c] = float32(a.At(j, c))
			}
		}
		w := make([]float32, k*d)
		product.Gemm(product.Mat{Data: w, Rows: k, Cols: d},
			product.Mat{Data: coefficients, Rows: n, Cols: k, Trans: true},
			product.Mat{Data: x, Rows: n, Cols: d}, false)
		return w
	}
	return small, back, nil
}
