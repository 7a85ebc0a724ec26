package eval

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/kernel/product"
	"vicreg/internal/runlog"
)

// Measure says what the features of n images tell without labels. x holds two views or
// more of each: the first of all images, then the second of all, each n × d. All rows of x
// count alike where views have no part in a figure. d may be as large as 8192 and n as
// large as memory allows: of many, evenly spaced ones are taken, as each function says.
func Measure(x []float32, n, d int) (m runlog.Measures, err error) {
	if n < 2 || d < 1 || len(x) < 2*n*d || len(x)%(n*d) != 0 {
		panic(fmt.Sprintf("eval: %d values of views of %d images, %d of each; at least 2 views of 2 images are needed",
			len(x), n, d))
	}
	rows := len(x) / d
	mean, std := columnStats(x, rows, d)
	m.Width = d
	var varying []int
	m.Std, varying = varied(mean, std)
	m.Correlation = correlation(x, rows, d, mean, std, evenly(varying, mostPairs))
	m.RankMe = RankMe(x, d)
	m.LiDAR = LiDAR(x, n, d)
	if alpha, ok := AlphaReQ(x, d); ok {
		m.AlphaReQ = &alpha
	}
	m.Alignment, m.Uniformity = Alignment(x, n, d), Uniformity(x, n, d)
	for _, v := range []float64{m.Std, m.Correlation, m.RankMe, m.LiDAR, m.Alignment, m.Uniformity} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return m, errors.New("the figures of features are no numbers: the features are too large, or the encoder is broken")
		}
	}
	return m, nil
}

// tiny is added to each share of an entropy by RankMe and LiDAR.
const tiny = 1e-7

// RankMe is the effective rank of features, which are not centred:
//
//	exp(−Σ p·ln p), p = σ / Σσ + 10⁻⁷
//
// with σ their singular values, min(n, d) of them (Garrido et al., RankMe, ICML 2023,
// Eq. 1 and 2). It is 0 if all are 0. Rows are taken as for [Spectrum].
func RankMe(x []float32, d int) float64 {
	n := len(x) / d
	rows, _ := limits(n, d)
	all := make([]int, d)
	for j := range all {
		all[j] = j
	}
	return math.Exp(entropy(singular(eigenvalues(x, n, d, nil, all, rows)), tiny))
}

const (
	firstRank = 4   // of the eigenvalues that AlphaReQ looks at,
	lastRank  = 100 // and the last
	leastFit  = 5   // of them
)

// AlphaReQ is the exponent α of the power law rank^−α that the eigenvalues of the
// features' covariance follow (Agrawal et al., α-ReQ, NeurIPS 2022). It is fitted as their
// code does (kumarkrishna/fastssl, fastssl/utils/powerlaw.py, stringer_get_powerlaw,
// with the ranks of scripts/train_model.py): log eigenvalues against log ranks, of ranks
// 4 to 100 or as far as there are any, by least squares with weights 1/rank. Of fewer than
// eight eigenvalues above 0 it is not known.
func AlphaReQ(x []float32, d int) (alpha float64, ok bool) {
	n := len(x) / d
	mean, std := columnStats(x, n, d)
	_, varying := varied(mean, std)
	rows, _ := limits(n, d)
	lambda := eigenvalues(x, n, d, mean, varying, rows)
	slices.Reverse(lambda)
	for len(lambda) > 0 && lambda[len(lambda)-1] == 0 {
		lambda = lambda[:len(lambda)-1]
	}
	last := min(lastRank, len(lambda))
	if last < firstRank+leastFit-1 {
		return 0, false
	}
	var w, sx, sy, sxx, sxy float64
	for r := firstRank; r <= last; r++ {
		weight, at, y := 1/float64(r), -math.Log(float64(r)), math.Log(lambda[r-1])
		w += weight
		sx += weight * at
		sy += weight * y
		sxx += weight * at * at
		sxy += weight * at * y
	}
	alpha = (w*sxy - sx*sy) / (w*sxx - sx*sx)
	return alpha, !math.IsNaN(alpha)
}

// Alignment is the mean squared distance between two views of the same image, of features
// of length 1: 0 where all views of an image are the same, and 2 where they have nothing
// in common (Wang and Isola, Understanding Contrastive Representation Learning through
// Alignment and Uniformity on the Hypersphere, ICML 2020, Eq. 3 with α = 2;
// ssnl/align_uniform, align_uniform/__init__.py).
func Alignment(x []float32, n, d int) float64 {
	q := len(x) / (n * d)
	var total float64
	sum := make([]float64, d)
	for i := range n {
		clear(sum)
		var square float64 // of all views
		for k := range q {
			row := x[(k*n+i)*d:][:d]
			norm := length(row)
			if norm == 0 {
				continue
			}
			square++
			for j, v := range row {
				sum[j] += float64(v) / norm
			}
		}
		var whole float64
		for _, v := range sum {
			whole += v * v
		}
		// Σ over pairs of |a − b|² is q·Σ|a|² − |Σa|².
		total += (float64(q)*square - whole) / (float64(q) * float64(q-1) / 2)
	}
	return max(0, total/float64(n))
}

// length is a row's.
func length(row []float32) float64 {
	var square float64
	for _, v := range row {
		square += float64(v) * float64(v)
	}
	return math.Sqrt(square)
}

// mostUniform is how many images Uniformity looks at.
const mostUniform = 2048

// Uniformity is the logarithm of the mean of exp(−2·|a − b|²) over pairs of images, of
// features of length 1; the mean of it over the views: 0 where all are alike, and about
// −4 where they are spread over a sphere of many dimensions (Wang and Isola, Eq. 4 with
// t = 2; code as for [Alignment]). Of more than 2048 images that many are taken, evenly
// spaced.
func Uniformity(x []float32, n, d int) (u float64) {
	q, m := len(x)/(n*d), min(n, mostUniform)
	some := make([]float32, m*d)
	for k := range q {
		for i := range m {
			copy(some[i*d:][:d], x[(k*n+i*n/m)*d:][:d])
		}
		u += uniformity(unit(some, d), m, d) / float64(q)
	}
	return u
}

// uniformity is that of m rows of length 1, or 0.
func uniformity(x []float32, m, d int) float64 {
	square := make([]float64, m)
	for i := range square {
		square[i] = cosine(x[i*d:][:d], x[i*d:][:d])
	}
	const high = 256
	cos := make([]float32, high*m)
	var sum float64
	for lo := 0; lo < m; lo += high {
		h, w := min(high, m-lo), m-lo
		product.Gemm(product.Mat{Data: cos, Rows: h, Cols: w}, product.Mat{Data: x[lo*d:], Rows: h, Cols: d},
			product.Mat{Data: x[lo*d:], Rows: w, Cols: d, Trans: true}, false)
		for i := range h {
			for j := i + 1; j < w; j++ {
				sum += math.Exp(-2 * max(0, square[lo+i]+square[lo+j]-2*float64(cos[i*w+j])))
			}
		}
	}
	return math.Log(sum / (float64(m) * float64(m-1) / 2))
}
