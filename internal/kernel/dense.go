package kernel

import (
	"fmt"

	"vicreg/internal/parallel"
)

// A dense layer is a linear layer on many rows, the tokens of transformers. Like a
// convolution it is the middle of a fused pass: it reads its input through the layer
// normalisation or GELU that comes before (a [RowSource]), and its input gradient goes
// back through that (a [RowFinish]) while it is in the cache.

// Dense is the shape of a linear layer: n rows of c, weights c × k, n rows of k.
type Dense struct {
	N, C, K   int
	Precision Precision
}

// Flops counts a multiply-add as two operations.
func (s Dense) Flops() int { return 2 * s.N * s.C * s.K }

// RowNorm is layer normalisation (Ba et al. 2016), each row x of c elements by
// its own mean and biased variance:
//
//	y = γ·(x − mean)·rstd + β,  rstd = 1/√(var + ε)
type RowNorm struct {
	Gamma, Beta []float32 // c each
	Eps         float32
	Mean, Rstd  []float32 // n each: written by forward, read by backward
}

// RowSource is how a dense layer reads its input: as it is, normalised if
// Norm.Gamma is set, or through GELU.
type RowSource struct {
	X    []float32 // n × c
	Norm RowNorm
	GELU bool
}

// RowFinish says what is done to the input gradient d of a dense layer before it is
// stored. d is the gradient of what the layer read:
//
//	d = d·gelu′(U); U = gelu(U)                   with U: n × c
//	d = backward of Norm for X; X = norm(X)       with X: n × c
//	d = d + Add                                   with Add, which may be the destination
//
// U or X is overwritten by what the layer had read, which its weight gradient needs.
// With X, the gradients of Norm's parameters are added to DGamma and DBeta.
type RowFinish struct {
	U             []float32
	X             []float32
	Norm          RowNorm
	DGamma, DBeta []float32 // c each
	Add           []float32 // n × c
}

// denseRows is how many rows make a piece: they and the weights of some columns
// should fit the second-level cache.
const denseRows = 56

// dense is the call under way.
var dense struct {
	Dense
	src             RowSource
	y, w, bias, add []float32
	d, dx           []float32
	fin             RowFinish
	packed          []float32
	half            bool // bfloat16
	workers         int
}

func (s Dense) check(x, y, w int) {
	if x != s.N*s.C || y != s.N*s.K || w != s.C*s.K {
		panic(fmt.Sprintf("kernel: dense layer %+v wants %d, %d, %d elements in x, y, w; got %d, %d, %d",
			s, s.N*s.C, s.N*s.K, s.C*s.K, x, y, w))
	}
}

// DenseForward computes y = src·w + bias, plus add (n × k) unless that is nil,
// and writes the statistics of src.Norm.
func DenseForward(y []float32, s Dense, src RowSource, w, bias, add []float32) {
	s.check(len(src.X), len(y), len(w))
	if s.N == 0 {
		return
	}
	busy.Lock()
	defer busy.Unlock()
	j := &dense
	j.Dense, j.src, j.y, j.w, j.bias, j.add = s, src, y, w, bias, add
	j.half = s.Precision == BF16 && HasBF16()
	constants(s.K)
	j.prepare(s.C, s.K, room(denseRows*padded(s.C)), densePackForward)
	parallel.For(j.pieces(), denseForwardPiece)
	j.forget()
}

// pieces returns the number of pieces that the rows are cut into.
func (s Dense) pieces() int { return (s.N + denseRows - 1) / denseRows }

// prepare packs the weights, a k × n matrix, and makes room for the pieces.
func (j *Dense) prepare(k, n, each int, pack func(worker, piece int)) {
	dense.workers = parallel.Workers()
	reserve(max(each, packedLen(k, min(n, columnBlock))))
	sharedArena.reset(room(packedLen(k, n)))
	dense.packed = sharedArena.take(packedLen(k, n))
	parallel.For((n+columnBlock-1)/columnBlock, pack)
}

func (j *Dense) forget() {
	d := &dense
	d.src, d.y, d.w, d.bias, d.add, d.d, d.dx, d.fin, d.packed = RowSource{}, nil, nil, nil, nil, nil, nil,
		RowFinish{}, nil
}

func densePackForward(worker, piece int) {
	j := &dense
	at := piece * columnBlock
	densePack(worker, at, Mat{Data: j.w[at:], Rows: j.C, Cols: min(columnBlock, j.K-at), Stride: j.K})
}

func densePackBackward(worker, piece int) {
	j := &dense
	at := piece * columnBlock
	densePack(worker, at, Mat{Data: j.w[at*j.K:], Rows: min(columnBlock, j.C-at), Cols: j.K, Trans: true})
}

// densePack packs a block of the weights that begins at column at.
func densePack(worker, at int, b Mat) {
	k, _ := b.dims()
	if dense.half {
		packPairs(dense.packed[at*half(k):], arenas[worker].buf, b)
	} else {
		packB(dense.packed[at*k:], b)
	}
}

// denseProduct sets c to a·weights and fetches on the way.
func denseProduct(m, n, k int, c []float32, crs int, a []float32, ars int, f *fetcher) {
	if dense.half {
		k = half(k)
	}
	f.plan(steps(m, n))
	multiply(dense.half, m, n, k, c, crs, a, ars, dense.packed, f)
}

// denseNext queues the rows of x, of c elements, that the worker is likely to
// take next.
func denseNext(f *fetcher, x []float32, piece, c int) {
	j := &dense
	if first := (piece + j.workers) * denseRows; first < j.N {
		f.add(x[first*c : min(first+denseRows, j.N)*c])
	}
}

// denseOperand returns rows of x, of c elements, as the left operand of a product, and
// their distance. It copies them to m where they must be rounded or would fall on the
// same cache lines.
func denseOperand(m *arena, x []float32, rows, c int) ([]float32, int) {
	if !dense.half && c%1024 != 0 {
		return x, c
	}
	stride := padded(c)
	a := m.take(rows * stride)
	copyRows(a, stride, x, c, rows, c)
	denseNarrow(a, stride, rows, c)
	return a, stride
}

func denseNarrow(a []float32, stride, rows, c int) {
	if dense.half {
		narrowColumns(a, stride, rows, c)
	}
}

func denseForwardPiece(worker, piece int) {
	j := &dense
	m := &arenas[worker]
	m.used = 0
	first := piece * denseRows
	rows := min(denseRows, j.N-first)
	x, y := j.src.X[first*j.C:], j.y[first*j.K:]

	a, stride := x, padded(j.C)
	switch norm := &j.src.Norm; {
	case norm.Gamma != nil:
		a = m.take(rows * stride)
		normRows(a, stride, x, j.C, rows, j.C, norm, first)
		denseNarrow(a, stride, rows, j.C)
	case j.src.GELU:
		a = m.take(rows * stride)
		for r := range rows {
			gelu(a[r*stride:][:j.C], x[r*j.C:][:j.C])
		}
		denseNarrow(a, stride, rows, j.C)
	default:
		a, stride = denseOperand(m, x, rows, j.C)
	}
	var f fetcher
	f.add(y[:rows*j.K])
	if j.add != nil {
		f.add(j.add[first*j.K:][:rows*j.K])
	}
	denseNext(&f, j.src.X, piece, j.C)
	denseProduct(rows, j.K, j.C, y, j.K, a, stride, &f)
	if j.add != nil {
		joinRows(y, y, j.add[first*j.K:], rows, j.K, ones, j.bias, ones, zeros, minusInf, minusInf, minusInf, false)
	} else {
		affineRows(y, j.K, y, j.K, rows, j.K, ones, j.bias, minusInf)
	}
}

// DenseInputGrad computes the gradient of the layer's input, d·wᵀ finished as f
// says, into dx, and adds Σ d over the rows to dbias. d is n × k; dx may be
// f.Add.
func DenseInputGrad(dx []float32, s Dense, d, w, dbias []float32, f RowFinish) {
	s.check(len(dx), len(d), len(w))
	if s.N == 0 {
		return
	}
	busy.Lock()
	defer busy.Unlock()
	j := &dense
	j.Dense, j.dx, j.d, j.w, j.fin = s, dx, d, w, f
	j.half = s.Precision == BF16 && HasBF16()
	constants(s.C)
	j.prepare(s.K, s.C, room(denseRows*padded(s.K), denseRows*padded(s.C), 2*s.K, 2*s.C), densePackBackward)
	pieces, sums := j.pieces(), s.K+2*s.C
	zeroPartials(pieces * sums)
	parallel.For(pieces, denseInputPiece)
	for piece := range pieces {
		part := partials[piece*sums:][:sums]
		addNarrow(dbias, part[:s.K])
		if f.X != nil {
			addNarrow(f.DGamma, part[s.K:s.K+s.C])
			addNarrow(f.DBeta, part[s.K+s.C:])
		}
	}
	j.forget()
}

func denseInputPiece(worker, piece int) {
	j := &dense
	m := &arenas[worker]
	m.used = 0
	first := piece * denseRows
	rows := min(denseRows, j.N-first)
	d, dx, f := j.d[first*j.K:], j.dx[first*j.C:], &j.fin
	part := partials[piece*(j.K+2*j.C):][:j.K+2*j.C]

	sums := m.take(2 * j.K)
	for r := 0; r < rows; r += sumBlock {
		sumRows(d[r*j.K:], j.K, min(sumBlock, rows-r), j.K, sums[:j.K], sums[j.K:])
		addWide(part[:j.K], sums[:j.K])
	}
	a, stride := denseOperand(m, d, rows, j.K)
	at, prod, ps := first*j.C, dx, j.C
	if f.U != nil || f.X != nil || f.Add != nil {
		prod, ps = m.take(rows*padded(j.C)), padded(j.C)
	}
	var ahead fetcher
	for _, x := range [][]float32{f.U, f.X, f.Add} {
		if x != nil {
			ahead.add(x[at:][:rows*j.C])
		}
	}
	if f.Add == nil || &f.Add[0] != &j.dx[0] {
		ahead.add(dx[:rows*j.C])
	}
	denseNext(&ahead, j.d, piece, j.K)
	denseProduct(rows, j.C, j.K, prod, ps, a, stride, &ahead)
	switch {
	case f.U != nil:
		for r := range rows {
			geluGrad(dx[r*j.C:][:j.C], prod[r*ps:][:j.C], f.U[at+r*j.C:][:j.C])
		}
	case f.X != nil:
		gamma, beta := m.take(j.C), m.take(j.C)
		clear(gamma)
		clear(beta)
		normGradRows(dx, prod, ps, f, first, rows, j.C, gamma, beta)
		addWide(part[j.K:j.K+j.C], gamma)
		addWide(part[j.K+j.C:], beta)
	case f.Add != nil:
		affineAdd(dx, f.Add[at:], prod, ps, rows, j.C)
	}
}

// affineAdd computes dst = add + prod, rows of c, those of prod ps apart.
func affineAdd(dst, add, prod []float32, ps, rows, c int) {
	for r := range rows {
		joinRows(dst[r*c:], add[r*c:], prod[r*ps:], 1, c, ones, zeros, ones, zeros, minusInf, minusInf, minusInf, false)
	}
}

// DenseWeightGrad adds xᵀ·d to dw; x (n × c) is the input as the layer read it.
func DenseWeightGrad(dw []float32, s Dense, x, d []float32) {
	s.check(len(x), len(d), len(dw))
	if s.Precision == BF16 && HasBF16() {
		c := Conv{N: 1, H: s.N, W: 1, C: s.C, K: s.K, R: 1, S: 1, Stride: 1, Precision: BF16}
		ConvWeightGrad(dw, c, Grad{D: d}, Source{X: x})
		return
	}
	Gemm(Mat{Data: dw, Rows: s.C, Cols: s.K}, Mat{Data: x, Rows: s.N, Cols: s.C}.T(),
		Mat{Data: d, Rows: s.N, Cols: s.K}, true)
}
