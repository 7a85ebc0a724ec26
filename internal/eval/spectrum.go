package eval

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"

	"vicreg/internal/kernel/product"
)

// Spectrum holds the figures that show collapse, of n embeddings of d dimensions. A
// dimension counts as constant if it varies by no more than float32 rounds: std ≤
// 10⁻⁶·|mean|.
type Spectrum struct {
	// Std is the mean over the dimensions of the standard deviation (unbiased),
	// constant ones included; the paper's Fig. 4. 0 is complete collapse.
	Std float64

	// Correlation is the mean over pairs of different dimensions of the absolute
	// correlation coefficient; the paper's Eq. 9 and Fig. 5, in absolute value.
	// Constant dimensions are left out; it is 0 if fewer than two vary. Of more
	// than 2048 that vary, 2048 at even distances are taken.
	Correlation float64

	// Rank is the effective rank of the centred embeddings, exp(−Σ p·ln p) with
	// p the singular values divided by their sum (Roy and Vetterli, The effective
	// rank, EUSIPCO 2007). It lies between 1 and Limit, or is 0 if every
	// dimension is constant.
	Rank float64

	// Eigenvalues are those of the embeddings' covariance (unbiased), the largest first: of
	// the rows and dimensions that Rank is of.
	Eigenvalues []float64

	// Limit is the largest rank possible, min(Rows − 1, d).
	Limit int

	// Rows is the number of embeddings from which the rank was computed: all; or 1024,
	// evenly spaced, if both n and d exceed that; or 8192 if only n is large.
	Rows int
}

const (
	mostPairs   = 2048 // dimensions whose correlation is looked at
	mostSquare  = 1024 // side of the eigenvalue problem
	mostRows    = 8192
	stillRatio  = 1e-6 // std/|mean| of a constant dimension
	lowStd      = 0.1  // of the target
	highCorr    = 0.8
	lowRank     = 0.01 // of the limit
	fewestRanks = 2
	fewestRows  = 8
)

// NewSpectrum measures z, n × d, n ≥ 2. Figures of embeddings that are not
// finite are NaN.
func NewSpectrum(z []float32, n, d int) Spectrum {
	if n < 2 || d < 1 || len(z) != n*d {
		panic(fmt.Sprintf("eval: spectrum of %d × %d with %d values; at least 2 × 1 are needed", n, d, len(z)))
	}
	mean, std := columnStats(z, n, d)
	var s Spectrum
	s.Rows, s.Limit = limits(n, d)
	var varying []int
	s.Std, varying = varied(mean, std)
	if math.IsNaN(s.Std) || math.IsInf(s.Std, 0) {
		s.Std, s.Correlation, s.Rank = math.NaN(), math.NaN(), math.NaN()
		return s
	}
	s.Correlation = correlation(z, n, d, mean, std, evenly(varying, mostPairs))
	lambda := eigenvalues(z, n, d, mean, varying, s.Rows)
	for i := len(lambda) - 1; i >= 0; i-- {
		s.Eigenvalues = append(s.Eigenvalues, lambda[i]/float64(s.Rows-1))
	}
	s.Rank = math.Exp(entropy(singular(lambda), 0))
	return s
}

// varied returns the mean of the standard deviations, and the columns that vary.
func varied(mean, std []float64) (sum float64, varying []int) {
	for j, v := range std {
		sum += v / float64(len(std))
		if v > stillRatio*math.Abs(mean[j]) {
			varying = append(varying, j)
		}
	}
	return sum, varying
}

// limits is of how many rows the spectrum of n × d is taken, and the largest rank that
// they can have when they are centred.
func limits(n, d int) (rows, limit int) {
	rows = n
	switch {
	case min(n, d) > mostSquare:
		rows = mostSquare
	case n > mostRows:
		rows = mostRows
	}
	return rows, min(rows-1, d)
}

// Collapsed judges the figures and says why. It is a collapse if the mean
// standard deviation is below a tenth of target, which VICReg calls γ (0: not
// judged); if the mean absolute correlation is above 0.8 (not judged of fewer than
// 8 rows: any two columns of 2 rows are correlated); or if the effective rank is
// below 2 or below 1% of the largest possible (not judged where that is below 10).
func (s Spectrum) Collapsed(target float64) (bool, string) {
	switch {
	case math.IsNaN(s.Std):
		return true, "the embedding is not finite"
	case s.Std < lowStd*target:
		return true, fmt.Sprintf("the embedding has collapsed: mean std %.2g (want near %g)", s.Std, target)
	case s.Rows >= fewestRows && s.Correlation > highCorr:
		return true, fmt.Sprintf("the embedding has collapsed: its dimensions repeat each other, mean absolute correlation %.2f (want near 0)", s.Correlation)
	case s.Limit >= 10 && s.Rank < max(fewestRanks, lowRank*float64(s.Limit)):
		return true, fmt.Sprintf("the embedding has collapsed: effective rank %.1f of at most %d", s.Rank, s.Limit)
	}
	return false, ""
}

// Deviations returns the standard deviation of every dimension of z, n × d, n ≥ 2, those that
// are finite.
func Deviations(z []float32, n, d int) (finite []float64) {
	_, std := columnStats(z, n, d)
	for _, v := range std {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			finite = append(finite, v)
		}
	}
	return finite
}

// columnStats returns mean and unbiased standard deviation of every column.
func columnStats(z []float32, n, d int) (mean, std []float64) {
	mean, std = make([]float64, d), make([]float64, d)
	for i := range n {
		for j, v := range z[i*d:][:d] {
			mean[j] += float64(v)
		}
	}
	for j := range mean {
		mean[j] /= float64(n)
	}
	for i := range n {
		for j, v := range z[i*d:][:d] {
			c := float64(v) - mean[j]
			std[j] += c * c
		}
	}
	for j := range std {
		std[j] = math.Sqrt(std[j] / float64(n-1))
	}
	return mean, std
}

// evenly returns most of the elements of x at even distances, or all.
func evenly(x []int, most int) []int {
	if len(x) <= most {
		return x
	}
	out := make([]int, most)
	for i := range out {
		out[i] = x[i*len(x)/most]
	}
	return out
}

// correlation returns the mean absolute correlation of pairs of columns.
func correlation(z []float32, n, d int, mean, std []float64, columns []int) float64 {
	m := len(columns)
	if m < 2 {
		return 0
	}
	x := make([]float32, n*m) // columns of norm 1
	norm := math.Sqrt(float64(n - 1))
	for i := range n {
		for k, j := range columns {
			x[i*m+k] = float32((float64(z[i*d+j]) - mean[j]) / (std[j] * norm))
		}
	}
	const block = 256
	c := make([]float32, block*m)
	var sum float64
	for lo := 0; lo < m; lo += block {
		rows := min(block, m-lo)
		a := product.Mat{Data: x[lo:], Rows: n, Cols: rows, Stride: m}
		b := product.Mat{Data: x[lo:], Rows: n, Cols: m - lo, Stride: m}
		product.Gemm(product.Mat{Data: c, Rows: rows, Cols: m - lo}, a.T(), b, false)
		for i := range rows {
			for _, v := range c[i*(m-lo)+i+1 : (i+1)*(m-lo)] {
				sum += math.Abs(float64(v))
			}
		}
	}
	return sum / (float64(m) * float64(m-1) / 2)
}

// eigenvalues returns those of Xᵀ·X of columns of evenly spaced rows of z, the smallest
// first: the squares of their singular values, min(rows, columns) of them. The rows are
// centred where there is a mean to begin with. It takes the smaller of the two Gram
// matrices, in float64: float32 would leave noise of 3·10⁻⁴ in each singular value.
// Without columns there are none.
func eigenvalues(z []float32, n, d int, mean []float64, columns []int, rows int) []float64 {
	m := len(columns)
	if m == 0 {
		return nil
	}
	x := mat.NewDense(rows, m, nil)
	sum := make([]float64, m)
	for i := range rows {
		from := z[i*n/rows*d:][:d]
		for k, j := range columns {
			v := float64(from[j])
			if mean != nil {
				v -= mean[j]
			}
			x.Set(i, k, v)
			sum[k] += v
		}
	}
	if mean != nil {
		for i := range rows {
			for k, v := range x.RawRowView(i) {
				x.Set(i, k, v-sum[k]/float64(rows))
			}
		}
	}
	var small mat.Matrix = x
	if m < rows {
		small = x.T()
	}
	var gram mat.SymDense
	gram.SymOuterK(1, small)
	return symmetric(&gram)
}

// symmetric returns the eigenvalues of a matrix, the smallest first. Those that are
// nothing but rounding are 0; all are NaN if gonum's iteration does not converge.
func symmetric(a *mat.SymDense) []float64 {
	lambda := make([]float64, a.SymmetricDim())
	var eigen mat.EigenSym
	if !eigen.Factorize(a, false) {
		for i := range lambda {
			lambda[i] = math.NaN()
		}
		return lambda
	}
	eigen.Values(lambda)
	floor := lambda[len(lambda)-1] * float64(len(lambda)) * 1e-15
	for i, l := range lambda {
		if l <= floor {
			lambda[i] = 0
		}
	}
	return lambda
}

// singular makes singular values of eigenvalues, in place.
func singular(lambda []float64) []float64 {
	for i, l := range lambda {
		lambda[i] = math.Sqrt(l)
	}
	return lambda
}

// entropy is −Σ p·ln p, where p are values of 0 or more divided by their sum, plus eps;
// −∞ where all are 0.
func entropy(values []float64, eps float64) (h float64) {
	var total float64
	for _, v := range values {
		total += v
	}
	if total == 0 {
		return math.Inf(-1)
	}
	for _, v := range values {
		if p := v/total + eps; p != 0 {
			h -= p * math.Log(p)
		}
	}
	return h
}
