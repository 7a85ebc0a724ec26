package eval

import (
	"math"

	"gonum.org/v1/gonum/mat"

	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
)

// pooled is how much the covariance of all images counts in a discriminant analysis; the
// rest is the covariance within classes.
const pooled = 0.1

// discriminant fits a linear discriminant analysis: the classes are normal distributions
// around their means µ, with one covariance Σ, and as frequent as in training. An image
// x belongs to the class of the greatest
//
//	µᵀ Σ⁻¹ x − ½ µᵀ Σ⁻¹ µ + log frequency
//
// It takes about as long as two products with a matrix of features × features: one of
// all images and one of all classes.
func (f *logistic) discriminant(o Options) (w []float32, bias []float64) {
	d, k, n := f.d, f.k, len(f.labels)
	means, count := make([]float32, k*d), make([]float64, k)
	for _, l := range f.labels {
		count[l]++
	}
	bias = make([]float64, k)
	for c := range bias {
		bias[c] = math.Log(count[c] / float64(n))
	}
	f.means(means, count, o)

	// The features have mean 0, so their second moments are the covariance of all
	// images. Without the part of the classes' means it is the covariance within
	// classes.
	within, total := make([]float64, d*d), make([]float64, d*d)
	part, less := make([]float32, d*d), make([]float32, min(f.chunk, n)*d)
	f.chunks(func(lo, hi int) {
		o.Progress("linear probe: covariance", lo, n)
		rows(hi-lo, func(from, to int) {
			for i := from; i < to; i++ {
				m := means[f.labels[lo+i]*d:]
				for j, v := range f.at[i*d : (i+1)*d] {
					less[i*d+j] = v - m[j]
				}
			}
		})
		for _, s := range []struct {
			x   product.Mat
			sum []float64
		}{{f.images(), total}, {product.Mat{Data: less, Rows: hi - lo, Cols: d}, within}} {
			product.Gemm(product.Mat{Data: part, Rows: d, Cols: d}, s.x.T(), s.x, false)
			for i, v := range part {
				s.sum[i] += float64(v)
			}
		}
	})
	if f.ctx.Err() != nil {
		return f.w, bias
	}
	for i := range within {
		within[i] = (1-pooled)*within[i]/float64(max(1, n-k)) + pooled*total[i]/float64(n)
	}
	trace := 0.0
	for i := range d {
		trace += within[i*d+i]
	}
	for i := range d {
		within[i*d+i] += 1e-4*trace/float64(d) + 1e-12
	}
	var chol mat.Cholesky
	var inverse mat.SymDense
	if !chol.Factorize(mat.NewSymDense(d, within)) || chol.InverseTo(&inverse) != nil {
		return f.w, bias // all zero: the most frequent class
	}
	for i := range d {
		for j := range d {
			part[i*d+j] = float32(inverse.At(i, j))
		}
	}
	for lo := 0; lo < k && f.ctx.Err() == nil; lo += 4096 {
		o.Progress("linear probe: classes", lo, k)
		hi := min(lo+4096, k)
		product.Gemm(product.Mat{Data: f.w[lo*d:], Rows: hi - lo, Cols: d},
			product.Mat{Data: means[lo*d:], Rows: hi - lo, Cols: d},
			product.Mat{Data: part, Rows: d, Cols: d}, false)
	}
	for c := range k {
		var square float64
		for j, v := range means[c*d : (c+1)*d] {
			square += float64(v) * float64(f.w[c*d+j])
		}
		bias[c] -= square / 2
	}
	return f.w, bias
}

// means writes the mean of each class, k × d, of which there are count images. Each is
// added up in float64 in the order of the images, as many classes at a time as fit.
func (f *logistic) means(means []float32, count []float64, o Options) {
	const most = 1 << 24 // sums: 134 MB
	d, k := f.d, f.k
	wide := min(k, max(1, most/d))
	sum := make([]float64, wide*d)
	for from := 0; from < k; from += wide {
		to := min(from+wide, k)
		clear(sum)
		f.chunks(func(lo, hi int) {
			o.Progress("linear probe: means of classes", lo, len(f.labels))
			parallel.Range(d, 64, func(_, left, right int) {
				for i := range hi - lo {
					c := f.labels[lo+i]
					if c < from || c >= to {
						continue
					}
					row, add := f.at[i*d:(i+1)*d], sum[(c-from)*d:(c-from+1)*d]
					for j := left; j < right; j++ {
						add[j] += float64(row[j])
					}
				}
			})
		})
		for c := from; c < to; c++ {
			for j, v := range sum[(c-from)*d : (c-from+1)*d] {
				means[c*d+j] = float32(v / count[c])
			}
		}
	}
}
