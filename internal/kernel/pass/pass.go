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
	prod    []float32 // what becomes of dst, if that is bfloat16
	a, b    row.Reader
	join    row.Joining
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
	p.dst, p.prod, p.a, p.b, p.fin = shape.Values{}, nil, row.Reader{}, row.Reader{}, row.Finisher{}
	p.join = row.Joining{}
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
	p.a.Load(p.dst.From(first*p.c), p.c, first*p.c, p.c, rows)
}

// AddReLU writes a + b, each as its Source reads it, to out, or max(0, a + b) if relu.
// It joins the branches of a residual block. out may be a.X or b.X.
func AddReLU(out shape.Values, a, b shape.Source, c int, relu bool) {
	shape.CheckRows("AddReLU", c, out.Len(), a.X.Len(), b.X.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	p := &pass
	p.dst, p.a, p.b = out, row.ReadSource(a, c), row.ReadSource(b, c)
	one, zero := row.Constants(c)
	if p.a.Plain() {
		p.a.Scale, p.a.Coef = one, zero
	}
	if p.b.Plain() {
		p.b.Scale, p.b.Coef = one, zero
	}
	p.join = row.Joining{AS: p.a.Scale, AT: p.a.Coef, BS: p.b.Scale, BT: p.b.Coef, LoA: p.a.Lo, LoB: p.b.Lo,
		Lo: row.MinusInf}
	if relu {
		p.join.Lo = 0
	}
	p.stream = !out.Half() && row.Streams(out.F, c) && !out.Same(a.X) && !out.Same(b.X)
	runPass(out.Len(), c, joinPiece)
}

func joinPiece(_, piece int) {
	p := &pass
	first, rows := Rows(piece)
	o := first * p.c
	row.JoinTo(p.dst.From(o), p.c, p.a.X.From(o), p.c, p.b.X.From(o), p.c, rows, p.c, &p.join, p.stream)
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
	Finish(d, nil, c, f)
}

// Finish does what f says to a gradient: to prod, and leaves the result in d, or without
// prod to what is in d. It belongs to a call under way.
func Finish(d shape.Values, prod []float32, c int, f shape.Finish) {
	p := &pass
	p.dst, p.prod, p.fin = d, prod, row.NewFinisher(d, f, c)
	p.fin.Stream, p.fin.SumsOnly = false, prod == nil && f.Add.None() && f.Mask.X.None()
	Plan(d.Len(), c)
	pieces := p.pieces
	scratch.Reserve(scratch.Room(3*c, max(passFloats, c)))
	if f.Sums != nil {
		scratch.MakePartials(pieces * 2 * c)
	}
	runPass(d.Len(), c, finishPiece)
	if f.Sums != nil {
		scratch.AddPartials(f.Sums, pieces, c)
	}
}

func finishPiece(worker, piece int) {
	p := &pass
	first, rows := Rows(piece)
	m := &scratch.Arenas[worker]
	m.Used = 0
	part := m.Take(3 * p.c)
	clear(part)
	prod := p.dst.F
	switch {
	case p.prod != nil:
		prod = p.prod[first*p.c:]
	case p.dst.Half():
		prod = m.Take(rows * p.c)
		row.CopyTo(shape.Floats(prod), p.c, p.dst.From(first*p.c), p.c, rows, p.c)
	default:
		prod = prod[first*p.c:]
	}
	var sa, sb []float64
	if p.fin.Sums != nil {
		sa, sb = scratch.PiecePartials(piece, p.c)
	}
	p.fin.Store(p.dst, first*p.c, p.c, prod, p.c, rows, sa, sb, part)
}

// Store writes products, pixels × c, to y, and sets s to Σ y and Σ y² per channel of what
// it stored; without s it only writes. Products that are y already stay. It belongs to a
// call under way.
func Store(y shape.Values, prod []float32, c int, s *shape.Sums) {
	p := &pass
	p.dst, p.prod = y, prod
	if s == nil {
		runPass(y.Len(), c, storePiece)
		return
	}
	Plan(y.Len(), c)
	pieces := p.pieces
	scratch.Reserve(scratch.Room(2 * c))
	scratch.MakePartials(pieces * 2 * c)
	runPass(y.Len(), c, storeSumPiece)
	scratch.AddPartials(s, pieces, c)
}

func storePiece(_, piece int) {
	p := &pass
	first, rows := Rows(piece)
	row.Store(p.dst, first*p.c, p.c, p.prod[first*p.c:], p.c, rows, p.c, nil, nil, nil)
}

func storeSumPiece(worker, piece int) {
	p := &pass
	first, rows := Rows(piece)
	m := &scratch.Arenas[worker]
	m.Used = 0
	sa, sb := scratch.PiecePartials(piece, p.c)
	row.Store(p.dst, first*p.c, p.c, p.prod[first*p.c:], p.c, rows, p.c, sa, sb, m.Take(2*p.c))
}

// ReadTo writes what r reads, rows × r.c, to dst. It belongs to a call under way.
func ReadTo(dst shape.Values, r row.Reader) {
	pass.dst, pass.a = dst, r
	runPass(dst.Len(), r.C, applyPiece)
}
