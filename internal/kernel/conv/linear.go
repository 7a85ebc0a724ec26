package conv

import (
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
)

// A linear layer is a matrix product over n rows: few rows, and weights that may be too
// large to pack a copy of. It runs on Gemm; loading the input and finishing the result
// are passes of their own.

func linear(s shape.Conv) bool { return s.H == 1 && s.W == 1 && s.R == 1 && s.S == 1 && s.Pad == 0 }

// linearForward finishes what it computes as t says, unless t is nil.
func linearForward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums, t *pass.Tail) {
	r := row.ReadSource(src, s.C)
	scratch.Shared.Reset(matrixRoom(&r, s.N) + productRoom(y))
	x, prod := matrix(&r, s.N), productOf(y)
	multiply(s.BF16() || y.Half() || src.X.Half(), s.N, product.Mat{Data: prod, Rows: s.N, Cols: s.K}, x,
		product.Mat{Data: w, Rows: s.C, Cols: s.K}, false)
	switch {
	case t != nil:
		t.Pass(y, prod)
	case sums != nil || y.Half():
		pass.Store(y, prod, s.K, sums)
	}
}

func linearInputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	r := row.ReadGrad(g, s.K)
	scratch.Shared.Reset(matrixRoom(&r, s.N) + productRoom(dx))
	d, prod := matrix(&r, s.N), productOf(dx)
	accumulate := f.Add.Same(dx) && !dx.Half()
	if accumulate {
		f.Add = shape.Values{}
	}
	multiply(s.BF16() || dx.Half() || g.D.Half(), s.N, product.Mat{Data: prod, Rows: s.N, Cols: s.C}, d,
		product.Mat{Data: w, Rows: s.C, Cols: s.K}.T(), accumulate)
	switch {
	case dx.Half():
		pass.Finish(dx, prod, s.C, f)
	case !f.Add.None() || !f.Mask.X.None() || f.Sums != nil:
		pass.Finish(dx, nil, s.C, f)
	}
}

func linearWeightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	rx, rd := row.ReadSource(src, s.C), row.ReadGrad(g, s.K)
	scratch.Shared.Reset(matrixRoom(&rx, s.N) + matrixRoom(&rd, s.N))
	x, d := matrix(&rx, s.N), matrix(&rd, s.N)
	multiply(s.BF16() || g.D.Half() || src.X.Half(), s.N, product.Mat{Data: dw, Rows: s.C, Cols: s.K}, x.T(), d, true)
}

// halfRows is the fewest rows for which products of bfloat16 pay. The weights, which are
// float32, are rounded on the way, which takes about as long as loading them; with fewer
// rows that is what a product waits for.
const halfRows = 64

// multiply computes c = a·b, or c += a·b, for a layer of some rows. It rounds the operands
// to bfloat16 if some activation is stored like that or asks for it, and the processor is
// faster with it.
func multiply(half bool, rows int, c, a, b product.Mat, accumulate bool) {
	if half && rows >= halfRows && shape.HasBF16() {
		product.GemmPairs(c, a, b, accumulate)
	} else {
		product.Gemm(c, a, b, accumulate)
	}
}

// productRoom returns how much productOf needs of the shared arena.
func productRoom(y shape.Values) int {
	if y.Half() {
		return scratch.Room(y.Len())
	}
	return 0
}

// productOf returns where products go that become y: y itself, if it is of float32.
func productOf(y shape.Values) []float32 {
	if y.Half() {
		return scratch.Shared.Take(y.Len())
	}
	return y.F
}

// matrixRoom returns how much matrix needs of the shared arena.
func matrixRoom(r *row.Reader, rows int) int {
	if r.Plain() && !r.X.Half() {
		return 0
	}
	return scratch.Room(rows * r.C)
}

// matrix returns what r reads, as rows × c: a copy, unless r changes nothing.
func matrix(r *row.Reader, rows int) product.Mat {
	m := product.Mat{Data: r.X.F, Rows: rows, Cols: r.C}
	if !r.Plain() || r.X.Half() {
		m.Data = scratch.Shared.Take(rows * r.C)
		pass.ReadTo(shape.Floats(m.Data), *r)
	}
	return m
}

// Matrix is an operand of [Gemm]: a matrix of H, if those are its values, else of Data.
type Matrix struct {
	product.Mat
	H []uint16
}

// Gemm is product.Gemm for operands of both types. Two of bfloat16 are multiplied as such.
func Gemm(c product.Mat, a, b Matrix, accumulate bool) {
	if a.H == nil && b.H == nil {
		product.Gemm(c, a.Mat, b.Mat, accumulate)
		return
	}
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	scratch.Shared.Reset(scratch.Room(len(a.H), len(b.H)))
	_, rows := a.Dims()
	multiply(a.H != nil && b.H != nil, rows, c, a.widened(), b.widened(), accumulate)
}

func (m *Matrix) widened() product.Mat {
	if m.H != nil {
		m.Data = scratch.Shared.Take(len(m.H))
		pass.ReadTo(shape.Floats(m.Data), row.Reader{X: shape.Halves(m.H), C: m.Cols})
	}
	return m.Mat
}
