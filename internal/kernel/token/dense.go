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
	X    shape.Values // n × c
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
	U             shape.Values
	X             shape.Values
	Norm          RowNorm
	DGamma, DBeta []float32    // c each
	Add           shape.Values // n × c
}

// denseRows is how many rows make a piece: they and the weights of some columns
// should fit the second-level cache.
const denseRows = 56

// dense is the call under way.
var dense struct {
	Dense
	src     RowSource
	y, add  shape.Values
	w, bias []float32
	d, dx   shape.Values
	dbias   []float32
	fin     RowFinish
	packed  []float32
	half    bool // products of bfloat16
	workers int
}

func (s Dense) check(x, y, w int) {
	if x != s.N*s.C || y != s.N*s.K || w != s.C*s.K {
		panic(fmt.Sprintf("kernel: dense layer %+v wants %d, %d, %d elements in x, y, w; got %d, %d, %d",
			s, s.N*s.C, s.N*s.K, s.C*s.K, x, y, w))
	}
}

// DenseForward computes y = src·w + bias, plus add (n × k) unless that is nil,
// and writes the statistics of src.Norm.
func DenseForward(y shape.Values, s Dense, src RowSource, w, bias []float32, add shape.Values) {
	s.check(src.X.Len(), y.Len(), len(w))
	if s.N == 0 {
		return
	}
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &dense
	j.Dense, j.src, j.y, j.w, j.bias, j.add = s, src, y, w, bias, add
	j.half = s.Precision == shape.BF16 && shape.HasBF16()
	row.Constants(s.K)
	j.prepare(s.C, s.K, scratch.Room(denseRows*scratch.Padded(s.C), widenRoom(src.X, s.C), widenRoom(y, s.K)),
		densePackForward)
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
	none := shape.Values{}
	d.src, d.y, d.w, d.bias, d.add, d.d, d.dx, d.fin, d.packed = RowSource{}, none, nil, nil, none, none, none,
		RowFinish{}, nil
	d.dbias = nil
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
func denseNext(f *product.Fetcher, x shape.Values, piece, c int) {
	j := &dense
	if first := (piece + j.workers) * denseRows; first < j.N {
		f.Add(x.Memory(first*c, min(first+denseRows, j.N)*c))
	}
}

// denseOperand returns rows of x, of c elements, as the left operand of a product, and
// their distance. It copies them to m where they must be rounded or would fall on the
// same cache lines.
func denseOperand(m *scratch.Arena, x shape.Values, rows, c int) ([]float32, int) {
	switch {
	case dense.half && x.Half() && c%2 == 0 && c%2048 != 0:
		return row.Pairs(x.H), c / 2
	case !dense.half && !x.Half() && c%1024 != 0:
		return x.F, c
	}
	stride := scratch.Padded(c)
	a := m.Take(rows * stride)
	row.CopyTo(shape.Floats(a), stride, x, c, rows, c)
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
	x, y := j.src.X.From(first*j.C), j.y.From(first*j.K)

	var a []float32
	stride := scratch.Padded(j.C)
	switch norm := &j.src.Norm; {
	case norm.Gamma != nil:
		a = m.Take(rows * stride)
		normRows(a, stride, widened(m, x, rows, j.C), j.C, rows, j.C, norm, first)
		denseNarrow(a, stride, rows, j.C)
	case j.src.GELU:
		a = m.Take(rows * stride)
		u := widened(m, x, rows, j.C)
		for r := range rows {
			gelu(a[r*stride:][:j.C], u[r*j.C:][:j.C])
		}
		denseNarrow(a, stride, rows, j.C)
	default:
		a, stride = denseOperand(m, x, rows, j.C)
	}
	var f product.Fetcher
	f.Add(y.Memory(0, rows*j.K))
	if !j.add.None() {
		f.Add(j.add.Memory(first*j.K, (first+rows)*j.K))
	}
	denseNext(&f, j.src.X, piece, j.C)
	prod := y.F
	if y.Half() {
		prod = m.Take(rows * j.K)
	}
	denseProduct(rows, j.K, j.C, prod, j.K, a, stride, &f)
	if from := shape.Floats(prod); !j.add.None() {
		addRows(y, from, j.K, j.add.From(first*j.K), rows, j.K, j.bias)
	} else {
		row.AffineTo(y, j.K, from, j.K, rows, j.K, row.Ones, j.bias, row.MinusInf)
	}
}

// DenseInputGrad computes the gradient of the layer's input, d·wᵀ finished as f
// says, into dx, and adds Σ d over the rows to dbias. d is n × k; dx may be
// f.Add.
func DenseInputGrad(dx shape.Values, s Dense, d shape.Values, w, dbias []float32, f RowFinish) {
	s.check(dx.Len(), d.Len(), len(w))
	if s.N == 0 {
		return
	}
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &dense
	j.Dense, j.dx, j.d, j.w, j.fin = s, dx, d, w, f
	j.half = s.Precision == shape.BF16 && shape.HasBF16()
	row.Constants(s.C)
	j.prepare(s.K, s.C, scratch.Room(denseRows*scratch.Padded(s.K), denseRows*scratch.Padded(s.C), 2*s.K, s.C, s.C,
		widenRoom(d, s.K), widenRoom(dx, s.C), widenRoom(f.U, s.C), widenRoom(f.X, s.C), widenRoom(f.Add, s.C)),
		densePackBackward)
	pieces, sums := j.pieces(), s.K+2*s.C
	j.dbias = dbias
	scratch.MakePartials(pieces * sums)
	parallel.For(pieces, denseInputPiece)
	parallel.For((sums+denseAdded-1)/denseAdded, denseAddPiece)
	j.forget()
}

// denseAdded is how many columns of the partial sums of all pieces one worker adds.
const denseAdded = 64

// denseAddPiece adds some columns of the partial sums, in the order of the pieces.
func denseAddPiece(_, piece int) {
	j := &dense
	sums := j.K + 2*j.C
	lo, hi := piece*denseAdded, min((piece+1)*denseAdded, sums)
	add := func(to []float32, at int) {
		from, end := max(lo, at), min(hi, at+len(to))
		if from >= end {
			return
		}
		for p := range j.pieces() {
			row.AddNarrow(to[from-at:end-at], scratch.Partials[p*sums+from:p*sums+end])
		}
	}
	add(j.dbias, 0)
	if !j.fin.X.None() {
		add(j.fin.DGamma, j.K)
		add(j.fin.DBeta, j.K+j.C)
	}
}

func denseInputPiece(worker, piece int) {
	j := &dense
	m := &scratch.Arenas[worker]
	m.Used = 0
	first := piece * denseRows
	rows := min(denseRows, j.N-first)
	at, of := first*j.C, rows*j.C
	d, dx, f := j.d.From(first*j.K), j.dx.From(at), &j.fin
	part := scratch.Partials[piece*(j.K+2*j.C):][:j.K+2*j.C]
	clear(part)

	sums, wide := m.Take(2*j.K), widened(m, d, rows, j.K)
	for r := 0; r < rows; r += row.SumBlock {
		row.Sum(wide[r*j.K:], j.K, min(row.SumBlock, rows-r), j.K, sums[:j.K], sums[j.K:])
		row.AddWide(part[:j.K], sums[:j.K])
	}
	a, stride := denseOperand(m, d, rows, j.K)
	prod, ps := dx.F, j.C
	if dx.Half() || !f.U.None() || !f.X.None() || !f.Add.None() {
		prod, ps = m.Take(rows*scratch.Padded(j.C)), scratch.Padded(j.C)
	}
	var ahead product.Fetcher
	for _, x := range [...]shape.Values{f.U, f.X, f.Add} {
		if !x.None() {
			ahead.Add(x.Memory(at, at+of))
		}
	}
	if !f.Add.Same(j.dx) {
		ahead.Add(dx.Memory(0, of))
	}
	denseNext(&ahead, j.d, piece, j.K)
	denseProduct(rows, j.C, j.K, prod, ps, a, stride, &ahead)
	switch {
	case !f.U.None():
		u, to := widened(m, f.U.From(at), rows, j.C), roomFor(m, dx, rows, j.C)
		for r := range rows {
			geluGrad(to[r*j.C:][:j.C], prod[r*ps:][:j.C], u[r*j.C:][:j.C])
		}
		narrowed(dx, to, of)
		narrowed(f.U.From(at), u, of)
	case !f.X.None():
		gamma, beta := m.Take(j.C), m.Take(j.C)
		clear(gamma)
		clear(beta)
		normGradRows(m, dx, prod, ps, f, first, rows, j.C, gamma, beta)
		row.AddWide(part[j.K:j.K+j.C], gamma)
		row.AddWide(part[j.K+j.C:], beta)
	case !f.Add.None():
		addRows(dx, shape.Floats(prod), ps, f.Add.From(at), rows, j.C, row.Zeros)
	case dx.Half():
		row.CopyTo(dx, j.C, shape.Floats(prod), ps, rows, j.C)
	}
}

// addRows computes dst = prod + bias + add, rows of c, those of prod ps apart.
func addRows(dst, prod shape.Values, ps int, add shape.Values, rows, c int, bias []float32) {
	row.JoinTo(dst, c, prod, ps, add, c, rows, c, &row.Joining{AS: row.Ones, AT: bias, BS: row.Ones, BT: row.Zeros,
		Lo: row.MinusInf, LoA: row.MinusInf, LoB: row.MinusInf}, false)
}

// widenRoom returns the room that rows of x, of c elements, take in float32, if they are not
// that already.
func widenRoom(x shape.Values, c int) int {
	if x.Half() {
		return denseRows * c
	}
	return 0
}

// widened returns rows of x, of c elements, in float32: themselves, or a copy.
func widened(m *scratch.Arena, x shape.Values, rows, c int) []float32 {
	if !x.Half() {
		return x.F
	}
	to := m.Take(rows * c)
	row.CopyTo(shape.Floats(to), c, x, c, rows, c)
	return to
}

// roomFor returns room for rows of c elements that become x: x itself, if it is float32.
func roomFor(m *scratch.Arena, x shape.Values, rows, c int) []float32 {
	if !x.Half() {
		return x.F
	}
	return m.Take(rows * c)
}

// narrowed stores n elements of what widened or roomFor returned.
func narrowed(x shape.Values, from []float32, n int) {
	if x.Half() {
		row.CopyTo(x, n, shape.Floats(from), n, 1, n)
	}
}

// DenseWeightGrad adds xᵀ·d to dw; x (n × c) is the input as the layer read it.
func DenseWeightGrad(dw []float32, s Dense, x, d shape.Values) {
	s.check(x.Len(), d.Len(), len(dw))
	if s.Precision == shape.BF16 && shape.HasBF16() || x.Half() || d.Half() {
		c := shape.Conv{N: 1, H: s.N, W: 1, C: s.C, K: s.K, R: 1, S: 1, Stride: 1, Precision: s.Precision}
		conv.WeightGrad(dw, c, shape.Grad{D: d}, shape.Source{X: x})
		return
	}
	product.Gemm(product.Mat{Data: dw, Rows: s.C, Cols: s.K}, product.Mat{Data: x.F, Rows: s.N, Cols: s.C}.T(),
		product.Mat{Data: d.F, Rows: s.N, Cols: s.K}, true)
}
