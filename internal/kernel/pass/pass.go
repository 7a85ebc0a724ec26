// Package pass holds passes over whole activations, on all workers.
package pass

import (
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Passes over activations of pixels × c, on all workers. Pieces depend on the
// shape alone, so the bits do not depend on the number of workers.

// passFloats is the size of a piece of a pass, in elements.
const passFloats = 32 << 10

// pass is the pass under way; its pieces read it, so that a call allocates nothing.
var pass struct {
	dst     shape.Values
	a, b    row.Reader
	lo      float32
	stream  bool
	fin     row.Finisher
	c, rows int // rows of a piece
	pixels  int
	pieces  int
}

// runPass runs body over pieces of n/c rows and forgets the operands.
func runPass(n, c int, body func(worker, piece int)) {
	p := &pass
	Plan(n, c)
	parallel.For(p.pieces, body)
	p.dst, p.a, p.b, p.fin = shape.Values{}, row.Reader{}, row.Reader{}, row.Finisher{}
}

func Plan(n, c int) {
	p := &pass
	p.c, p.pixels = c, n/c
	p.rows = max(1, passFloats/c)
	p.pieces = (p.pixels + p.rows - 1) / p.rows
}

// Rows returns the first row and the number of rows of a piece.
func Rows(piece int) (first, rows int) {
	first = piece * pass.rows
	return first, min(pass.rows, pass.pixels-first)
}

// Apply writes what src reads, pixels × c, to dst. dst may be src.X.
func Apply(dst shape.Values, src shape.Source, c int) {
	shape.CheckRows("Apply", c, dst.Len(), src.X.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	ReadTo(dst, row.ReadSource(src, c))
}

// ApplyGrad writes what g reads, pixels × c, to dst. dst may be g.D or g.Y.
func ApplyGrad(dst shape.Values, g shape.Grad, c int) {
	shape.CheckRows("ApplyGrad", c, dst.Len(), g.D.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	ReadTo(dst, row.ReadGrad(g, c))
}

func applyPiece(_, piece int) {
	p := &pass
	first, rows := Rows(piece)
	p.a.Load(p.dst.Floats()[first*p.c:], p.c, first*p.c, p.c, rows)
}

// AddReLU writes a + b, each as its Source reads it, to out, or max(0, a + b) if relu.
// It joins the branches of a residual block. out may be a.X or b.X.
func AddReLU(out shape.Values, a, b shape.Source, c int, relu bool) {
	shape.CheckRows("AddReLU", c, out.Len(), a.X.Len(), b.X.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	p := &pass
	p.dst, p.a, p.b, p.lo = out, row.ReadSource(a, c), row.ReadSource(b, c), row.MinusInf
	one, zero := row.Constants(c)
	if p.a.Plain() {
		p.a.Scale, p.a.Coef = one, zero
	}
	if p.b.Plain() {
		p.b.Scale, p.b.Coef = one, zero
	}
	if relu {
		p.lo = 0
	}
	p.stream = row.Streams(out.Floats(), c) && !out.Same(a.X) && !out.Same(b.X)
	runPass(out.Len(), c, joinPiece)
}

func joinPiece(_, piece int) {
	p := &pass
	first, rows := Rows(piece)
	o := first * p.c
	row.Join(p.dst.Floats()[o:], p.a.X.Floats()[o:], p.b.X.Floats()[o:], rows, p.c, p.a.Scale, p.a.Coef,
		p.b.Scale, p.b.Coef, p.lo, p.a.Lo, p.b.Lo, p.stream)
	if p.stream {
		row.Fence()
	}
}

// FinishGrad does what f says to a gradient, pixels × c, that is already in d. With
// neither Add nor Mask it only computes the sums.
func FinishGrad(d shape.Values, c int, f shape.Finish) {
	shape.CheckRows("FinishGrad", c, d.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	Finish(d, c, f)
}

func Finish(d shape.Values, c int, f shape.Finish) {
	p := &pass
	p.dst, p.fin = d, row.NewFinisher(d, f, c)
	p.fin.Stream, p.fin.SumsOnly = false, f.Add.None() && f.Mask.X.None()
	Plan(d.Len(), c)
	pieces := p.pieces
	scratch.Reserve(scratch.Room(3 * c))
	if f.Sums != nil {
		scratch.ZeroPartials(pieces * 2 * c)
	}
	runPass(d.Len(), c, finishPiece)
	if f.Sums != nil {
		scratch.AddPartials(f.Sums, pieces, c)
	}
}

func finishPiece(worker, piece int) {
	p := &pass
	first, rows := Rows(piece)
	part := scratch.Arenas[worker].Buf[:3*p.c]
	clear(part)
	var sa, sb []float64
	if p.fin.Sums != nil {
		sa, sb = scratch.PiecePartials(piece, p.c)
	}
	p.fin.Store(p.dst, first*p.c, p.c, p.dst.Floats()[first*p.c:], p.c, rows, sa, sb, part)
}

// Sum sets s to Σ y and Σ y² per channel of y, pixels × c.
func Sum(s *shape.Sums, y shape.Values, c int) {
	p := &pass
	p.a = row.Reader{X: y, Lo: row.MinusInf, C: c}
	Plan(y.Len(), c)
	pieces := p.pieces
	scratch.Reserve(scratch.Room(2 * c))
	scratch.ZeroPartials(pieces * 2 * c)
	runPass(y.Len(), c, sumPiece)
	scratch.AddPartials(s, pieces, c)
}

func sumPiece(worker, piece int) {
	p := &pass
	first, rows := Rows(piece)
	m := &scratch.Arenas[worker]
	m.Used = 0
	sa, sb := scratch.PiecePartials(piece, p.c)
	row.AddSums(sa, sb, p.a.X.Floats()[first*p.c:], p.c, rows, p.c, m.Take(2*p.c))
}

// ReadTo writes what r reads, rows × r.c, to dst. It belongs to a call under way.
func ReadTo(dst shape.Values, r row.Reader) {
	pass.dst, pass.a = dst, r
	runPass(dst.Len(), r.C, applyPiece)
}
