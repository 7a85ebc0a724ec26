package eval

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"vicreg/internal/kernel/product"
)

// hessian returns a function that divides a gradient, approximately, by the Hessian at
// w. The block of classes c and c' is
//
//	Σ_i p_ic (δ_cc' - p_ic') x_i x_iᵀ / n + penalty·δ_cc'
//
// where x is a feature vector with a 1 for the intercept. All blocks are replaced by the
// mean of those on the diagonal, times k/(k-1). That is exact where all classes are
// equally likely: there the blocks off the diagonal only add this factor, since
// gradients sum to zero over the classes.
func (f *logistic) hessian(w []float64) func(g []float64) {
	d, k, n := f.d, f.k, len(f.labels)
	f.set(w)
	e := d + 1
	gram := make([]float64, e*e)
	part, weighted := make([]float32, d*d), make([]float32, min(f.chunk, n)*d)
	f.chunks(func(lo, hi int) {
		f.score(lo, hi, w[len(f.w):], func(i int, z []float32) {
			softmax(z)
			left := 1.0 // minus Σ p²
			for _, p := range z {
				left -= float64(p) * float64(p)
			}
			f.loss[i] = math.Sqrt(max(left, 0))
			root := float32(f.loss[i])
			from, to := f.at[i*d:(i+1)*d], weighted[i*d:(i+1)*d]
			for j, v := range from {
				to[j] = v * root
			}
		})
		x := product.Mat{Data: weighted, Rows: hi - lo, Cols: d}
		product.Gemm(product.Mat{Data: part, Rows: d, Cols: d}, x.T(), x, false)
		for i := range d {
			for j, v := range part[i*d : (i+1)*d] {
				gram[i*e+j] += float64(v)
			}
		}
		for i := range hi - lo {
			root := f.loss[i]
			for j, v := range weighted[i*d : (i+1)*d] {
				gram[j*e+d] += root * float64(v)
			}
			gram[d*e+d] += root * root
		}
	})
	floats.Scale(1/float64(n*(k-1)), gram)
	trace := 0.0
	for i := range e {
		trace += gram[i*e+i]
	}
	for i := range e {
		gram[d*e+i] = gram[i*e+d]
		gram[i*e+i] += 1e-6 * trace / float64(e) // for rounding
		if i < d {
			gram[i*e+i] += f.penalty
		}
	}
	var chol mat.Cholesky
	if !chol.Factorize(mat.NewSymDense(e, gram)) {
		return func([]float64) {}
	}
	g2 := mat.NewDense(k, e, nil)
	solved := mat.NewDense(e, k, nil)
	return func(g []float64) {
		for c := range k {
			row := g2.RawRowView(c)
			copy(row, g[c*d:(c+1)*d])
			row[d] = g[k*d+c]
		}
		if err := chol.SolveTo(solved, g2.T()); err != nil {
			return
		}
		for c := range k {
			for j := range d {
				g[c*d+j] = solved.At(j, c)
			}
			g[k*d+c] = solved.At(d, c)
		}
	}
}
