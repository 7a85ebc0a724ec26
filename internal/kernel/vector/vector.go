// Package vector holds passes over long vectors, on all workers.
package vector

import (
	"math"

	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Passes over long vectors, on all workers.

// vectorPiece is the length of a piece. Its sum is made in 64 lanes of float32, each of
// which adds up 64 numbers.
const vectorPiece = 4096

// vectorPieces is how many pieces a worker takes at a time.
const vectorPieces = 8

// vector is the pass under way.
var vector struct {
	w, m, v, g        []float32
	lr, mu, wd, scale float32
	adam              row.AdamArgs
}

func runVector(n int, body func(worker, piece int)) {
	const size = vectorPiece * vectorPieces
	parallel.For((n+size-1)/size, body)
	v := &vector
	v.w, v.m, v.v, v.g = nil, nil, nil, nil
}

func vectorRange(piece int) (lo, hi int) {
	const size = vectorPiece * vectorPieces
	return piece * size, min((piece+1)*size, len(vector.w))
}

// Axpy computes y += a·x.
func Axpy(y []float32, a float32, x []float32) {
	shape.CheckVectors("Axpy", len(y), len(x))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.g, vector.scale = y, x, a
	runVector(len(y), axpyPiece)
}

func axpyPiece(_, piece int) {
	lo, hi := vectorRange(piece)
	row.Axpy(vector.w[lo:hi], vector.scale, vector.g[lo:hi])
}

// Scale computes x *= a.
func Scale(x []float32, a float32) {
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.scale = x, a
	runVector(len(x), scalePiece)
}

func scalePiece(_, piece int) {
	lo, hi := vectorRange(piece)
	row.Scale(vector.w[lo:hi], vector.scale)
}

// Dot returns Σ a·b.
func Dot(a, b []float32) float64 {
	shape.CheckVectors("Dot", len(a), len(b))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.g = a, b
	pieces := (len(a) + vectorPiece*vectorPieces - 1) / (vectorPiece * vectorPieces)
	scratch.ZeroPartials(pieces)
	runVector(len(a), dotPiece)
	var sum float64
	for _, v := range scratch.Partials[:pieces] {
		sum += v
	}
	return sum
}

func dotPiece(_, piece int) {
	lo, hi := vectorRange(piece)
	for ; lo < hi; lo += vectorPiece {
		end := min(lo+vectorPiece, hi)
		scratch.Partials[piece] += row.Dot(vector.w[lo:end], vector.g[lo:end])
	}
}

// SumSquares returns Σ x².
func SumSquares(x []float32) float64 { return Dot(x, x) }

// MomentumStep is a step of gradient descent with momentum, in one pass:
//
//	m = momentum·m + scale·(g + weightDecay·w)
//	w -= lr·m
//
// scale is the trust ratio of LARS, or 1.
func MomentumStep(w, m, g []float32, lr, momentum, weightDecay, scale float32) {
	shape.CheckVectors("MomentumStep", len(w), len(m), len(g))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	v := &vector
	v.w, v.m, v.g = w, m, g
	v.lr, v.mu, v.wd, v.scale = lr, momentum, weightDecay, scale
	runVector(len(w), momentumPiece)
}

func momentumPiece(_, piece int) {
	v := &vector
	lo, hi := vectorRange(piece)
	row.Momentum(v.w[lo:hi], v.m[lo:hi], v.g[lo:hi], v.lr, v.mu, v.wd, v.scale)
}

// AdamStep is step number step ≥ 1 of AdamW (Loshchilov & Hutter 2019,
// Algorithm 2), in one pass:
//
//	m = beta1·m + (1−beta1)·g
//	v = beta2·v + (1−beta2)·g²
//	w = (1−lr·weightDecay)·w − lr·m̂/(√v̂ + eps), m̂ = m/(1−beta1^step), v̂ = v/(1−beta2^step)
func AdamStep(w, m, v, g []float32, step int, lr, beta1, beta2, eps, weightDecay float64) {
	shape.CheckVectors("AdamStep", len(w), len(m), len(v), len(g))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	x := &vector
	x.w, x.m, x.v, x.g = w, m, v, g
	x.adam = row.AdamArgs{
		Beta1: float32(beta1), Rest1: float32(1 - beta1),
		Beta2: float32(beta2), Rest2: float32(1 - beta2),
		Keep:      float32(1 - lr*weightDecay),
		Rate:      float32(lr / (1 - math.Pow(beta1, float64(step)))),
		RootScale: float32(1 / math.Sqrt(1-math.Pow(beta2, float64(step)))),
		Eps:       float32(eps),
	}
	runVector(len(w), adamPiece)
}

func adamPiece(_, piece int) {
	v := &vector
	lo, hi := vectorRange(piece)
	row.Adam(v.w[lo:hi], v.m[lo:hi], v.v[lo:hi], v.g[lo:hi], &v.adam)
}

// Norms returns Σ w², Σ g² and Σ w·g. It runs on all workers.
func Norms(w, g []float32) (ww, gg, wg float64) {
	shape.CheckVectors("Norms", len(w), len(g))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.g = w, g
	pieces := (len(w) + vectorPiece*vectorPieces - 1) / (vectorPiece * vectorPieces)
	scratch.ZeroPartials(3 * pieces)
	runVector(len(w), normsPiece)
	for i := range pieces {
		ww += scratch.Partials[3*i]
		gg += scratch.Partials[3*i+1]
		wg += scratch.Partials[3*i+2]
	}
	return ww, gg, wg
}

func normsPiece(_, piece int) {
	lo, hi := vectorRange(piece)
	for ; lo < hi; lo += vectorPiece {
		end := min(lo+vectorPiece, hi)
		ww, gg, wg := norms(vector.w[lo:end], vector.g[lo:end])
		scratch.Partials[3*piece] += ww
		scratch.Partials[3*piece+1] += gg
		scratch.Partials[3*piece+2] += wg
	}
}
