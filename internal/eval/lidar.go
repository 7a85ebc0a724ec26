package eval

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

const (
	ridge     = 1e-4    // δ of LiDAR
	mostLiDAR = 1 << 24 // values that it looks at
)

// LiDAR is the effective rank of the matrix of a linear discriminant analysis whose
// classes are the images, each with its q views (Thilak et al., LiDAR, ICLR 2024; Eq. 1
// to 4 of arXiv 2312.04000v1):
//
//	Σb = Σ (µᵢ − µ)(µᵢ − µ)ᵀ / (n − 1)
//	Σw = ΣΣ (xᵢₖ − µᵢ)(xᵢₖ − µᵢ)ᵀ / (n·(q − 1)) + δ·I
//	exp(−Σ p·ln p), p = λ / Σλ + 10⁻⁷
//
// with λ the d eigenvalues of Σw^−½ Σb Σw^−½. The paper names no δ; it is 10⁻⁴, with the
// denominators, as in sami-bg/stable-SSL, stable_pretraining/callbacks/lidar.py. Columns
// that do not vary count as 0; LiDAR is 0 if none does.
//
// The λ are computed as those of an n × n or d × d matrix, whichever is smaller. Where
// both would exceed 1024, or x holds more than 2²⁴ values, evenly spaced images are
// taken, of which there are at least two.
func LiDAR(x []float32, n, d int) float64 {
	q := len(x) / (n * d)
	m := min(n, max(2, mostLiDAR/(q*d)))
	if d > mostSquare {
		m = min(m, mostSquare)
	}
	rows := q * m
	_, columns := varied(columnStats(x, q*n, d))
	width := len(columns)
	if width == 0 {
		return 0
	}
	means, within := mat.NewDense(m, width, nil), mat.NewDense(rows, width, nil)
	whole := make([]float64, width)
	for i := range m {
		mean := means.RawRowView(i)
		view := func(k int) []float32 { return x[(k*n+i*n/m)*d:][:d] }
		for k := range q {
			row := view(k)
			for c, j := range columns {
				mean[c] += float64(row[j]) / float64(q)
			}
		}
		for k := range q {
			row, to := view(k), within.RawRowView(i*q+k)
			for c, j := range columns {
				to[c] = (float64(row[j]) - mean[c]) / math.Sqrt(float64(m*(q-1)))
			}
		}
		for j, v := range mean {
			whole[j] += v / float64(m)
		}
	}
	for i := range m {
		mean := means.RawRowView(i)
		for j := range mean {
			mean[j] = (mean[j] - whole[j]) / math.Sqrt(float64(m-1))
		}
	}
	var lambda []float64
	if width <= rows {
		lambda = discriminated(means, within)
	} else {
		lambda = discriminatedWide(means, within)
	}
	h := entropy(lambda, tiny)
	for range d - len(lambda) { // the rest are 0
		h -= tiny * math.Log(tiny)
	}
	return math.Exp(h)
}

// discriminated returns the eigenvalues of Σw^−½ Σb Σw^−½, where Σb is B·Bᵀ of the
// transposed means and Σw is Wᵀ·W + δ·I. They are those of A·Aᵀ and Aᵀ·A for A = B·L⁻ᵀ
// and Σw = L·Lᵀ.
func discriminated(means, within *mat.Dense) []float64 {
	n, d := means.Dims()
	var cov mat.SymDense
	cov.SymOuterK(1, within.T())
	for i := range d {
		cov.SetSym(i, i, cov.At(i, i)+ridge)
	}
	var chol mat.Cholesky
	if !chol.Factorize(&cov) {
		return []float64{math.NaN()}
	}
	var lower mat.TriDense
	chol.LTo(&lower)
	var a mat.Dense // L⁻¹·Bᵀ
	_ = a.Solve(&lower, means.T())
	var gram mat.SymDense
	if n <= d {
		gram.SymOuterK(1, a.T())
	} else {
		gram.SymOuterK(1, &a)
	}
	return symmetric(&gram)
}

// discriminatedWide is discriminated of features that are more than rows, by
//
//	(Wᵀ·W + δ·I)⁻¹ = (I − Wᵀ·(W·Wᵀ + δ·I)⁻¹·W) / δ
func discriminatedWide(means, within *mat.Dense) []float64 {
	n, _ := means.Dims()
	rows, _ := within.Dims()
	var inner mat.SymDense
	inner.SymOuterK(1, within)
	for i := range rows {
		inner.SetSym(i, i, inner.At(i, i)+ridge)
	}
	var chol mat.Cholesky
	if !chol.Factorize(&inner) {
		return []float64{math.NaN()}
	}
	var lower mat.TriDense
	chol.LTo(&lower)
	var cross, half mat.Dense
	cross.Mul(within, means.T())
	_ = half.Solve(&lower, &cross) // the one error is a warning of a bad condition
	var gram, less mat.SymDense
	gram.SymOuterK(1, means)
	less.SymOuterK(1, half.T())
	for i := range n {
		for j := i; j < n; j++ {
			gram.SetSym(i, j, (gram.At(i, j)-less.At(i, j))/ridge)
		}
	}
	lambda := symmetric(&gram)
	for i, l := range lambda {
		lambda[i] = max(0, l)
	}
	return lambda
}
