package loss

import (
	"math"

	"vicreg/internal/kernel/token"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// sinkhorn makes the assignments of SwAV (main_swav.py, distributed_sinkhorn). The
// matrix exp(scores/ε), m images × k prototypes, is scaled so that every prototype has
// 1/k of the whole, and then so that every image has 1/m; this is repeated some times:
//
//	Q_ij = a_j·exp(s_ij/ε)·b_i,  a_j = 1/(k·Σ_i exp(s_ij/ε)·b_i),  b_i = 1/(m·Σ_j a_j·exp(s_ij/ε))
//
// Only a and b change. So that nothing overflows and no sum is 0, scores are taken
// relative to the highest of their prototype, h_j, and then to the highest of their
// image, r_i. The first scaling undoes h; b starts as exp(r_i/ε), where the reference
// starts at 1.
type sinkhorn struct {
	scores  [2][]float32 // older ones, then those asked for
	rows    [2]int       // of each
	m, k    int
	eps     float64
	high    []float32 // k
	e       []float32 // m × k: exp((s_ij − h_j − r_i)/ε)
	a, b    []float64
	out     []float32
	pieceOf struct{ rows, cols int } // size of a piece

	top, exp, columns, images, finish func(worker, piece int)
}

func (x *sinkhorn) run(out, scores, older []float32, k int, eps float64, iterations int) {
	if x.top == nil {
		x.top, x.exp, x.columns, x.images, x.finish = x.topPiece, x.expPiece, x.columnPiece, x.imagePiece, x.finishPiece
	}
	x.scores, x.rows = [2][]float32{older, scores}, [2]int{len(older) / k, len(scores) / k}
	x.m, x.k, x.eps, x.out = x.rows[0]+x.rows[1], k, eps, out
	x.high = tensor.Grow(x.high, k)
	x.e = tensor.Grow(x.e, x.m*k)
	x.a, x.b = grow(x.a, k), grow(x.b, x.m)
	x.pieceOf.rows, x.pieceOf.cols = rowsOf(k), 128
	byRows, byColumns := (x.m+x.pieceOf.rows-1)/x.pieceOf.rows, (k+x.pieceOf.cols-1)/x.pieceOf.cols

	parallel.For(byColumns, x.top)
	parallel.For(byRows, x.exp)
	for range iterations {
		parallel.For(byColumns, x.columns)
		parallel.For(byRows, x.images)
	}
	parallel.For((x.rows[1]+x.pieceOf.rows-1)/x.pieceOf.rows, x.finish)
	x.scores, x.out = [2][]float32{}, nil
}

// row returns the scores of image i.
func (x *sinkhorn) row(i int) []float32 {
	if i < x.rows[0] {
		return x.scores[0][i*x.k:][:x.k]
	}
	return x.scores[1][(i-x.rows[0])*x.k:][:x.k]
}

func (x *sinkhorn) columnsOf(piece int) (lo, hi int) {
	lo = piece * x.pieceOf.cols
	return lo, min(lo+x.pieceOf.cols, x.k)
}

func (x *sinkhorn) rowsOf(piece, of int) (lo, hi int) {
	lo = piece * x.pieceOf.rows
	return lo, min(lo+x.pieceOf.rows, of)
}

// topPiece finds the highest score of some prototypes.
func (x *sinkhorn) topPiece(_, piece int) {
	lo, hi := x.columnsOf(piece)
	high := x.high[lo:hi]
	copy(high, x.row(0)[lo:])
	for i := 1; i < x.m; i++ {
		for j, v := range x.row(i)[lo:hi] {
			high[j] = max(high[j], v)
		}
	}
}

// expPiece fills rows of e, and their b.
func (x *sinkhorn) expPiece(_, piece int) {
	inverse := float32(1 / x.eps)
	lo, hi := x.rowsOf(piece, x.m)
	for i := lo; i < hi; i++ {
		s, e := x.row(i), x.e[i*x.k:][:x.k]
		for j, v := range s {
			e[j] = v - x.high[j]
		}
		top, _ := token.ExpRow(e, inverse)
		x.b[i] = math.Exp(float64(top) / x.eps)
	}
}

// columnPiece sets a of some prototypes.
func (x *sinkhorn) columnPiece(_, piece int) {
	lo, hi := x.columnsOf(piece)
	a := x.a[lo:hi]
	clear(a)
	for i := range x.m {
		b := x.b[i]
		for j, v := range x.e[i*x.k:][lo:hi] {
			a[j] += float64(v) * b
		}
	}
	for j, v := range a {
		a[j] = 1 / (float64(x.k) * v)
	}
}

// imagePiece sets b of some images.
func (x *sinkhorn) imagePiece(_, piece int) {
	lo, hi := x.rowsOf(piece, x.m)
	for i := lo; i < hi; i++ {
		x.b[i] = 1 / (float64(x.m) * x.weight(i))
	}
}

// weight returns Σ_j a_j·e_ij.
func (x *sinkhorn) weight(i int) float64 {
	var sum [4]float64
	e, a := x.e[i*x.k:][:x.k], x.a[:x.k]
	j := 0
	for ; j+4 <= len(e); j += 4 {
		sum[0] += float64(e[j]) * a[j]
		sum[1] += float64(e[j+1]) * a[j+1]
		sum[2] += float64(e[j+2]) * a[j+2]
		sum[3] += float64(e[j+3]) * a[j+3]
	}
	for ; j < len(e); j++ {
		sum[0] += float64(e[j]) * a[j]
	}
	return sum[0] + sum[1] + sum[2] + sum[3]
}

// finishPiece writes rows of assignments, each of which adds up to 1.
func (x *sinkhorn) finishPiece(_, piece int) {
	lo, hi := x.rowsOf(piece, x.rows[1])
	for r := lo; r < hi; r++ {
		i := x.rows[0] + r
		scale := x.b[i] * float64(x.m)
		e, out := x.e[i*x.k:][:x.k], x.out[r*x.k:][:x.k]
		for j, v := range e {
			out[j] = float32(x.a[j] * float64(v) * scale)
		}
	}
}
