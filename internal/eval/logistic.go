package eval

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"

	"vicreg/internal/kernel/product"
)

// scaler brings each feature to mean 0 and variance 1 over the training set,
// as scikit-learn's StandardScaler. A constant feature becomes 0.
type scaler struct{ mean, inv []float64 }

func newScaler(ctx context.Context, s Set, progress func(what string, done, total int)) (*scaler, error) {
	n, d := len(s.Labels), s.D
	mean, variance := make([]float64, d), make([]float64, d)
	x := s.features(nil)
	each := func(body func(row []float32)) error {
		for lo := 0; lo < n; lo += 2048 {
			if err := ctx.Err(); err != nil {
				return err
			}
			progress("linear probe: means and deviations", lo, n)
			block, err := x.block(lo, min(lo+2048, n))
			if err != nil {
				return err
			}
			for ; len(block) > 0; block = block[d:] {
				body(block[:d])
			}
		}
		return nil
	}
	if err := each(func(row []float32) {
		for j, v := range row {
			mean[j] += float64(v)
		}
	}); err != nil {
		return nil, err
	}
	for j := range mean {
		mean[j] /= float64(n)
	}
	if err := each(func(row []float32) {
		for j, v := range row {
			c := float64(v) - mean[j]
			variance[j] += c * c
		}
	}); err != nil {
		return nil, err
	}
	for j, v := range variance {
		v /= float64(n)
		variance[j] = 0
		if v > 1e-14*mean[j]*mean[j] { // more than the rounding of a constant
			variance[j] = 1 / math.Sqrt(v)
		}
	}
	return &scaler{mean, variance}, nil
}

// row standardises the features of an image.
func (s *scaler) row(to, from []float32) {
	for j, v := range from {
		to[j] = float32((float64(v) - s.mean[j]) * s.inv[j])
	}
}

// apply returns the standardised features of a set in memory.
func (s *scaler) apply(set Set) []float32 {
	d := set.D
	out := make([]float32, len(set.X))
	rows(len(set.Labels), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s.row(out[i*d:(i+1)*d], set.X[i*d:(i+1)*d])
		}
	})
	return out
}

// logistic is the mean log loss of n images with a penalty ½·penalty·‖W‖².
// Parameters are W, k × d, and after it the k intercepts. Products are in
// float32, sums over images in float64.
type logistic struct {
	x       features // n × d
	labels  []int
	d, k    int
	chunk   int // images at once
	penalty float64

	ctx    context.Context // ends the work early, with whatever has come out by then
	fail   func(error)     // ends it because features cannot be read
	at     []float32       // features of a chunk
	w      []float32       // W in float32
	logits []float32       // chunk × k; then probabilities, then the loss's gradient
	grad   []float32       // k × d, of a chunk
	loss   []float64       // of each image of a chunk
}

func newLogistic(ctx context.Context, fail func(error), x features, labels []int, d, k int, c float64) *logistic {
	f := &logistic{ctx: ctx, fail: fail, x: x, labels: labels, d: d, k: k, penalty: 1 / (c * float64(len(labels)))}
	// The gradients of a chunk are added in float32. The size of its logits, and the
	// time that a product takes, have a limit.
	f.chunk = max(16, min(2048, (1<<24)/k, int(int64(1<<32)/(int64(k)*int64(d)))))
	if k == 2 {
		// One vector w stands for two, ±w/2, whose squares add up to half of
		// w's: this makes it the usual logistic regression of two classes.
		f.penalty *= 2
	}
	f.w = make([]float32, k*d)
	return f
}

// room makes the arrays that a pass over the images needs.
func (f *logistic) room() {
	if f.logits == nil {
		rows := min(f.chunk, len(f.labels))
		f.logits, f.loss = make([]float32, rows*f.k), make([]float64, rows)
	}
}

func (f *logistic) params() int { return (f.d + 1) * f.k }

// chunks calls body with the bounds of each chunk of images, until ctx ends.
func (f *logistic) chunks(body func(lo, hi int)) {
	f.room()
	n := len(f.labels)
	for lo := 0; lo < n && f.ctx.Err() == nil; lo += f.chunk {
		hi := min(lo+f.chunk, n)
		var err error
		if f.at, err = f.x.block(lo, hi); err != nil {
			f.fail(err)
			return
		}
		body(lo, hi)
	}
}

// images returns the features of the chunk.
func (f *logistic) images() product.Mat {
	return product.Mat{Data: f.at, Rows: len(f.at) / f.d, Cols: f.d}
}

// score has each called with the logits, by f.w and bias, of every image of a chunk, in
// parallel; i counts from lo.
func (f *logistic) score(lo, hi int, bias []float64, each func(i int, z []float32)) {
	k := f.k
	product.Gemm(product.Mat{Data: f.logits, Rows: hi - lo, Cols: k}, f.images(),
		product.Mat{Data: f.w, Rows: k, Cols: f.d, Trans: true}, false)
	rows(hi-lo, func(from, to int) {
		for i := from; i < to; i++ {
			z := f.logits[i*k : (i+1)*k]
			for j, b := range bias {
				z[j] += float32(b)
			}
			each(i, z)
		}
	})
}

// set rounds the weights of w to float32 for the products to come.
func (f *logistic) set(w []float64) {
	for i := range f.w {
		f.w[i] = float32(w[i])
	}
}

// evaluate returns the loss at w and writes its gradient to g.
func (f *logistic) evaluate(g, w []float64) float64 {
	k := f.k
	f.set(w)
	if f.grad == nil {
		f.grad = make([]float32, len(f.w))
	}
	clear(g)
	gw, gb := g[:len(f.w)], g[len(f.w):]
	var sum float64
	f.chunks(func(lo, hi int) {
		f.score(lo, hi, w[len(f.w):], func(i int, z []float32) {
			label := f.labels[lo+i]
			at := z[label]
			f.loss[i] = softmax(z) - float64(at)
			z[label]--
		})
		for i := range hi - lo {
			sum += f.loss[i]
			for j, v := range f.logits[i*k : (i+1)*k] {
				gb[j] += float64(v)
			}
		}
		product.Gemm(product.Mat{Data: f.grad, Rows: k, Cols: f.d},
			product.Mat{Data: f.logits, Rows: hi - lo, Cols: k, Trans: true}, f.images(), false)
		for i, v := range f.grad {
			gw[i] += float64(v)
		}
	})
	inv := 1 / float64(len(f.labels))
	loss := sum * inv
	for i := range g {
		g[i] *= inv
	}
	for i := range gw {
		loss += 0.5 * f.penalty * w[i] * w[i]
		gw[i] += f.penalty * w[i]
	}
	return loss
}

// softmax turns logits into probabilities and returns the logarithm of the sum
// of their exponentials.
func softmax(z []float32) float64 {
	top := z[0]
	for _, v := range z {
		top = max(top, v)
	}
	var sum float64
	for j, v := range z {
		e := math.Exp(float64(v - top))
		sum += e
		z[j] = float32(e)
	}
	inv := float32(1 / sum)
	for j := range z {
		z[j] *= inv
	}
	return math.Log(sum) + float64(top)
}

// classify counts the images whose greatest logits, by f.w and bias, are the label's, until
// ctx ends.
func (f *logistic) classify(bias []float64) (*Tally, error) {
	var wild atomic.Int64 // 1 + an image whose logits are not finite
	right := NewTally(f.k)
	f.chunks(func(lo, hi int) {
		f.score(lo, hi, bias, func(i int, z []float32) {
			for _, v := range z {
				if v-v != 0 {
					wild.Store(int64(lo + i + 1))
				}
			}
		})
		right.Add(f.logits[:(hi-lo)*f.k], f.labels[lo:hi])
	})
	if i := wild.Load(); i > 0 {
		return nil, fmt.Errorf("the linear probe's scores of image %d of %d are not finite: its features lie too far from those of the other images", i, len(f.labels))
	}
	return right, nil
}
