package token

import (
	"fmt"

	"vicreg/internal/kernel/conv"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// A dense layer is a linear layer on many rows, the tokens of transformers. Like a
// convolution it is the middle of a fused pass: it reads its input through the layer
// normalisation or GELU that comes before (a [RowSource]), and its input gradient goes
// back through that (a [RowFinish]) while it is in the cache.

// Dense is the shape of a linear layer: n rows of c, weights c × k, n rows of k.
type Dense struct {
	N, C, K   int
	Precision shape.Precision
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
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &dense
	j.Dense, j.src, j.y, j.w, j.bias, j.add = s, src, y, w, bias, add
	j.half = s.Precision == shape.BF16 && shape.HasBF16()
	row.Constants(s.K)
	j.prepare(s.C, s.K, scratch.Room(denseRows*scratch.Padded(s.C)), densePackForward)
	parallel.For(j.pieces(), denseForwardPiece)
	j.forget()
}

// pieces returns the number of pieces that the rows are cut into.
func (s Dense) pieces() int { return (s.N + denseRows - 1) / denseRows }

// prepare packs the weights, a k × n matrix, and makes room for the pieces.
func (j *Dense) prepare(k, n, each int, pack func(worker, piece int)) {
	dense.workers = parallel.Workers()
	scratch.Reserve(max(each, product.PackedLen(k, min(n, product.ColumnBlock))))
	scratch.Shared.Reset(scratch.Room(product.PackedLen(k, n)))
	dense.packed = scratch.Shared.Take(product.PackedLen(k, n))
	parallel.For((n+product.ColumnBlock-1)/product.ColumnBlock, pack)
}

func (j *Dense) forget() {
	d := &dense
	d.src, d.y, d.w, d.bias, d.add, d.d, d.dx, d.fin, d.packed = RowSource{}, nil, nil, nil, nil, nil, nil,
		RowFinish{}, nil
}

func densePackForward(worker, piece int) {
	j := &dense
	at := piece * product.ColumnBlock
	densePack(worker, at, product.Mat{Data: j.w[at:], Rows: j.C, Cols: min(product.ColumnBlock, j.K-at), Stride: j.K})
}

func densePackBackward(worker, piece int) {
	j := &dense
	at := piece * product.ColumnBlock
	densePack(worker, at, product.Mat{Data: j.w[at*j.K:], Rows: min(product.ColumnBlock, j.C-at), Cols: j.K,
		Trans: true})
}

// densePack packs a block of the weights that begins at column at.
func densePack(worker, at int, b product.Mat) {
	k, _ := b.Dims()
	if dense.half {
		product.PackPairs(dense.packed[at*product.Half(k):], scratch.Arenas[worker].Buf, b)
	} else {
		product.PackB(dense.packed[at*k:], b)
	}
}

// denseProduct sets c to a·weights and fetches on the way.
func denseProduct(m, n, k int, c []float32, crs int, a []float32, ars int, f *product.Fetcher) {
	if dense.half {
		k = product.Half(k)
	}
	f.Plan(product.Steps(m, n))
	product.Multiply(dense.half, m, n, k, c, crs, a, ars, dense.packed, f)
}

// denseNext queues the rows of x, of c elements, that the worker is likely to
// take next.
func denseNext(f *product.Fetcher, x []float32, piece, c int) {
	j := &dense
	if first := (piece + j.workers) * denseRows; first < j.N {
		f.Add(x[first*c : min(first+denseRows, j.N)*c])
	}
}

// denseOperand returns rows of x, of c elements, as the left operand of a product, and
// their distance. It copies them to m where they must be rounded or would fall on the
// same cache lines.
func denseOperand(m *scratch.Arena, x []float32, rows, c int) ([]float32, int) {
	if !dense.half && c%1024 != 0 {
		return x, c
	}
	stride := scratch.Padded(c)
	a := m.Take(rows * stride)
	row.Copy(a, stride, x, c, rows, c)
	denseNarrow(a, stride, rows, c)
	return a, stride
}

func denseNarrow(a []float32, stride, rows, c int) {
	if dense.half {
		product.NarrowColumns(a, stride, rows, c)
	}
}

func denseForwardPiece(worker, piece int) {
	j := &dense
	m := &scratch.Arenas[worker]
	m.Used = 0
	first := piece * denseRows
	rows := min(denseRows, j.N-first)
	x, y := j.src.X[first*j.C:], j.y[first*j.K:]

	a, stride := x, scratch.Padded(j.C)
	switch norm := &j.src.Norm; {
	case norm.Gamma != nil:
		a = m.Take(rows * stride)
		normRows(a, stride, x, j.C, rows, j.C, norm, first)
		denseNarrow(a, stride, rows, j.C)
	case j.src.GELU:
		a = m.Take(rows * stride)
		for r := range rows {
			gelu(a[r*stride:][:j.C], x[r*j.C:][:j.C])
		}
		denseNarrow(a, stride, rows, j.C)
	default:
		a, stride = denseOperand(m, x, rows, j.C)
	}
	var f product.Fetcher
	f.Add(y[:rows*j.K])
	if j.add != nil {
		f.Add(j.add[first*j.K:][:rows*j.K])
	}
	denseNext(&f, j.src.X, piece, j.C)
	denseProduct(rows, j.K, j.C, y, j.K, a, stride, &f)
	if j.add != nil {
		row.Join(y, y, j.add[first*j.K:], rows, j.K, row.Ones, j.bias, row.Ones, row.Zeros, row.MinusInf,
			row.MinusInf, row.MinusInf, false)
	} else {
		row.Affine(y, j.K, y, j.K, rows, j.K, row.Ones, j.bias, row.MinusInf)
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
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &dense
	j.Dense, j.dx, j.d, j.w, j.fin = s, dx, d, w, f
	j.half = s.Precision == shape.BF16 && shape.HasBF16()
	row.Constants(s.C)
	j.prepare(s.K, s.C, scratch.Room(denseRows*scratch.Padded(s.K), denseRows*scratch.Padded(s.C), 2*s.K,
		2*s.C), densePackBackward)
	pieces, sums := j.pieces(), s.K+2*s.C
	scratch.ZeroPartials(pieces * sums)
	parallel.For(pieces, denseInputPiece)
	for piece := range pieces {
		part := scratch.Partials[piece*sums:][:sums]
		row.AddNarrow(dbias, part[:s.K])
		if f.X != nil {
			row.AddNarrow(f.DGamma, part[s.K:s.K+s.C])
			row.AddNarrow(f.DBeta, part[s.K+s.C:])
		}
	}
	j.forget()
}

func denseInputPiece(worker, piece int) {
	j := &dense
	m := &scratch.Arenas[worker]
	m.Used = 0
	first := piece * denseRows
	rows := min(denseRows, j.N-first)
	d, dx, f := j.d[first*j.K:], j.dx[first*j.C:], &j.fin
	part := scratch.Partials[piece*(j.K+2*j.C):][:j.K+2*j.C]

	sums := m.Take(2 * j.K)
	for r := 0; r < rows; r += row.SumBlock {
		row.Sum(d[r*j.K:], j.K, min(row.SumBlock, rows-r), j.K, sums[:j.K], sums[j.K:])
		row.AddWide(part[:j.K], sums[:j.K])
	}
	a, stride := denseOperand(m, d, rows, j.K)
	at, prod, ps := first*j.C, dx, j.C
	if f.U != nil || f.X != nil || f.Add != nil {
		prod, ps = m.Take(rows*scratch.Padded(j.C)), scratch.Padded(j.C)
	}
	var ahead product.Fetcher
	for _, x := range [][]float32{f.U, f.X, f.Add} {
		if x != nil {
			ahead.Add(x[at:][:rows*j.C])
		}
	}
	if f.Add == nil || &f.Add[0] != &j.dx[0] {
		ahead.Add(dx[:rows*j.C])
	}
	denseNext(&ahead, j.d, piece, j.K)
	denseProduct(rows, j.C, j.K, prod, ps, a, stride, &ahead)
	switch {
	case f.U != nil:
		for r := range rows {
			geluGrad(dx[r*j.C:][:j.C], prod[r*ps:][:j.C], f.U[at+r*j.C:][:j.C])
		}
	case f.X != nil:
		gamma, beta := m.Take(j.C), m.Take(j.C)
		clear(gamma)
		clear(beta)
		normGradRows(dx, prod, ps, f, first, rows, j.C, gamma, beta)
		row.AddWide(part[j.K:j.K+j.C], gamma)
		row.AddWide(part[j.K+j.C:], beta)
	case f.Add != nil:
		affineAdd(dx, f.Add[at:], prod, ps, rows, j.C)
	}
}

// affineAdd computes dst = add + prod, rows of c, those of prod ps apart.
func affineAdd(dst, add, prod []float32, ps, rows, c int) {
	for r := range rows {
		row.Join(dst[r*c:], add[r*c:], prod[r*ps:], 1, c, row.Ones, row.Zeros, row.Ones, row.Zeros,
			row.MinusInf, row.MinusInf, row.MinusInf, false)
	}
}

// DenseWeightGrad adds xᵀ·d to dw; x (n × c) is the input as the layer read it.
func DenseWeightGrad(dw []float32, s Dense, x, d []float32) {
	s.check(len(x), len(d), len(dw))
	if s.Precision == shape.BF16 && shape.HasBF16() {
		c := shape.Conv{N: 1, H: s.N, W: 1, C: s.C, K: s.K, R: 1, S: 1, Stride: 1, Precision: shape.BF16}
		conv.WeightGrad(dw, c, shape.Grad{D: shape.Floats(d)}, shape.Source{X: shape.Floats(x)})
		return
	}
	product.Gemm(product.Mat{Data: dw, Rows: s.C, Cols: s.K}, product.Mat{Data: x, Rows: s.N, Cols: s.C}.T(),
		product.Mat{Data: d, Rows: s.N, Cols: s.K}, true)
}
