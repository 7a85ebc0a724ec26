package atlas

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"vicreg/internal/kernel/product"
	"vicreg/internal/rng"
)

// wide is how many directions are followed to find the first two: those beyond make the
// iteration converge in a few rounds.
const wide = 8

// rounds is how often directions are turned at most.
const rounds = 100

// principal returns the coordinates of the rows of x, n × d, along the two directions in
// which they vary most, n × 2 around their mean, and the share of the variance that each
// direction has. It turns a few directions at random by the covariance until they settle
// (subspace iteration; Halko, Martinsson and Tropp, arXiv:0909.4061, algorithm 4.4). Rows
// that do not vary have coordinates of 0.
func principal(x []float32, d int) (at []float64, share [2]float64) {
	n, w := len(x)/d, min(wide, d)
	rows := product.Mat{Data: x, Rows: n, Cols: d}
	mean := make([]float64, d)
	for i := range n {
		for j, v := range x[i*d : (i+1)*d] {
			mean[j] += float64(v) / float64(n)
		}
	}
	total := 0.0
	for i := range n {
		for j, v := range x[i*d : (i+1)*d] {
			total += (float64(v) - mean[j]) * (float64(v) - mean[j])
		}
	}
	at = make([]float64, 2*n)
	if total <= 1e-12*float64(n) { // rows have length 1: the rest is rounding
		return at, share
	}
	v := make([]float64, d*w)
	r := rng.New(0, rng.Map, 1)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	orthonormal(v, d, w)
	small := make([]float32, d*w)
	scores, turned := make([]float32, n*w), make([]float32, d*w)
	var before float64
	for range rounds {
		project(scores, rows, mean, v, small, w)
		// (X − 1 μᵀ)ᵀ S = Xᵀ S − μ (1ᵀ S)
		product.Gemm(product.Mat{Data: turned, Rows: d, Cols: w}, rows.T(),
			product.Mat{Data: scores, Rows: n, Cols: w}, false)
		var sums [wide]float64
		for i, s := range scores {
			sums[i%w] += float64(s)
		}
		now := 0.0
		for i := range v {
			u := float64(turned[i]) - mean[i/w]*sums[i%w]
			if i%w < 2 {
				now += v[i] * u
			}
			v[i] = u
		}
		orthonormal(v, d, w)
		if math.Abs(now-before) < 1e-7*now {
			break
		}
		before = now
	}
	project(scores, rows, mean, v, small, w)
	gram := mat.NewSymDense(w, nil)
	for a := range w {
		for b := range a + 1 {
			sum := 0.0
			for i := range n {
				sum += float64(scores[i*w+a]) * float64(scores[i*w+b])
			}
			gram.SetSym(a, b, sum)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(gram, true) {
		return at, share
	}
	var turn mat.Dense
	eigen.VectorsTo(&turn)
	for c := range min(2, w) {
		from := w - 1 - c // the largest stands last
		share[c] = max(0, eigen.Values(nil)[from]/total)
		sign := 1.0
		largest := 0.0
		for a := range w {
			if t := turn.At(a, from); math.Abs(t) > largest {
				largest, sign = math.Abs(t), math.Copysign(1, t)
			}
		}
		for i := range n {
			for a := range w {
				at[2*i+c] += sign * turn.At(a, from) * float64(scores[i*w+a])
			}
		}
	}
	return at, share
}

// project fills scores, n × w, with (X − 1 μᵀ) V.
func project(scores []float32, rows product.Mat, mean, v []float64, small []float32, w int) {
	var shift [wide]float64
	for i, x := range v {
		small[i] = float32(x)
		shift[i%w] += mean[i/w] * float64(small[i])
	}
	product.Gemm(product.Mat{Data: scores, Rows: rows.Rows, Cols: w}, rows,
		product.Mat{Data: small, Rows: rows.Cols, Cols: w}, false)
	for i := range scores {
		scores[i] = float32(float64(scores[i]) - shift[i%w])
	}
}

// orthonormal makes the columns of v, d × w, orthonormal, one after the other and twice, for
// the sake of rounding. A column that is nothing but a sum of those before becomes 0.
func orthonormal(v []float64, d, w int) {
	for c := range w {
		for range 2 {
			norm := 0.0
			for i := range d {
				norm += v[i*w+c] * v[i*w+c]
			}
			for b := range c {
				dot := 0.0
				for i := range d {
					dot += v[i*w+b] * v[i*w+c]
				}
				for i := range d {
					v[i*w+c] -= dot * v[i*w+b]
				}
			}
			left := 0.0
			for i := range d {
				left += v[i*w+c] * v[i*w+c]
			}
			scale := 0.0
			if left > 1e-24*norm && left > 0 {
				scale = 1 / math.Sqrt(left)
			}
			for i := range d {
				v[i*w+c] *= scale
			}
		}
	}
}
