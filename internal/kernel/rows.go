package kernel

import (
	"vicreg/internal/parallel"
)

// Passes over activations of pixels × c, on all workers. Pieces depend on the
// shape alone, so the bits do not depend on the number of workers.

// passFloats is the size of a piece of a pass, in elements.
const passFloats = 32 << 10

// pass is the pass under way; its pieces read it, so that a call allocates nothing.
var pass struct {
	dst     []float32
	a, b    reader
	lo      float32
	stream  bool
	fin     finisher
	c, rows int // rows of a piece
	pixels  int
	pieces  int
}

// runPass runs body over pieces of n/c rows and forgets the operands.
func runPass(n, c int, body func(worker, piece int)) {
	p := &pass
	planPass(n, c)
	parallel.For(p.pieces, body)
	p.dst, p.a, p.b, p.fin = nil, reader{}, reader{}, finisher{}
}

func planPass(n, c int) {
	p := &pass
	p.c, p.pixels = c, n/c
	p.rows = max(1, passFloats/c)
	p.pieces = (p.pixels + p.rows - 1) / p.rows
}

// pieceRows returns the first row and the number of rows of a piece.
func pieceRows(piece int) (first, rows int) {
	first = piece * pass.rows
	return first, min(pass.rows, pass.pixels-first)
}

// Apply writes what src reads, pixels × c, to dst. dst may be src.X.
func Apply(dst []float32, src Source, c int) {
	checkRows("Apply", c, len(dst), len(src.X))
	busy.Lock()
	defer busy.Unlock()
	applyTo(dst, sourceReader(src, c))
}

// ApplyGrad writes what g reads, pixels × c, to dst. dst may be g.D or g.Y.
func ApplyGrad(dst []float32, g Grad, c int) {
	checkRows("ApplyGrad", c, len(dst), len(g.D))
	busy.Lock()
	defer busy.Unlock()
	applyTo(dst, gradReader(g, c))
}

func applyPiece(_, piece int) {
	p := &pass
	first, rows := pieceRows(piece)
	p.a.load(p.dst[first*p.c:], p.c, first*p.c, p.c, rows)
}

// AddReLU writes a + b, each as its Source reads it, to out, or max(0, a + b) if relu.
// It joins the branches of a residual block. out may be a.X or b.X.
func AddReLU(out []float32, a, b Source, c int, relu bool) {
	checkRows("AddReLU", c, len(out), len(a.X), len(b.X))
	busy.Lock()
	defer busy.Unlock()
	p := &pass
	p.dst, p.a, p.b, p.lo = out, sourceReader(a, c), sourceReader(b, c), minusInf
	one, zero := constants(c)
	if p.a.plain() {
		p.a.scale, p.a.coef = one, zero
	}
	if p.b.plain() {
		p.b.scale, p.b.coef = one, zero
	}
	if relu {
		p.lo = 0
	}
	p.stream = streams(out, c) && &out[0] != &a.X[0] && &out[0] != &b.X[0]
	runPass(len(out), c, joinPiece)
}

func joinPiece(_, piece int) {
	p := &pass
	first, rows := pieceRows(piece)
	o := first * p.c
	joinRows(p.dst[o:], p.a.x[o:], p.b.x[o:], rows, p.c, p.a.scale, p.a.coef, p.b.scale, p.b.coef, p.lo, p.a.lo,
		p.b.lo, p.stream)
	if p.stream {
		fence()
	}
}

// FinishGrad does what f says to a gradient, pixels × c, that is already in d. With
// neither Add nor Mask it only computes the sums.
func FinishGrad(d []float32, c int, f Finish) {
	checkRows("FinishGrad", c, len(d))
	busy.Lock()
	defer busy.Unlock()
	finishPass(d, c, f)
}

func finishPass(d []float32, c int, f Finish) {
	p := &pass
	p.dst, p.fin = d, newFinisher(d, f, c)
	p.fin.stream, p.fin.sumsOnly = false, f.Add == nil && f.Mask.X == nil
	planPass(len(d), c)
	pieces := p.pieces
	reserve(room(3 * c))
	if f.Sums != nil {
		zeroPartials(pieces * 2 * c)
	}
	runPass(len(d), c, finishPiece)
	if f.Sums != nil {
		addPartials(f.Sums, pieces, c)
	}
}

func finishPiece(worker, piece int) {
	p := &pass
	first, rows := pieceRows(piece)
	part := arenas[worker].buf[:3*p.c]
	clear(part)
	var sa, sb []float64
	if p.fin.Sums != nil {
		sa, sb = piecePartials(piece, p.c)
	}
	p.fin.store(p.dst, first*p.c, p.c, p.dst[first*p.c:], p.c, rows, sa, sb, part)
}

// sumPass sets s to Σ y and Σ y² per channel of y, pixels × c.
func sumPass(s *Sums, y []float32, c int) {
	p := &pass
	p.a = reader{x: y, lo: minusInf, c: c}
	planPass(len(y), c)
	pieces := p.pieces
	reserve(room(2 * c))
	zeroPartials(pieces * 2 * c)
	runPass(len(y), c, sumPiece)
	addPartials(s, pieces, c)
}

func sumPiece(worker, piece int) {
	p := &pass
	first, rows := pieceRows(piece)
	m := &arenas[worker]
	m.used = 0
	sa, sb := piecePartials(piece, p.c)
	addSums(sa, sb, p.a.x[first*p.c:], p.c, rows, p.c, m.take(2*p.c))
}

// applyTo writes what r reads, rows × r.c, to dst. It belongs to a call under way.
func applyTo(dst []float32, r reader) {
	pass.dst, pass.a = dst, r
	runPass(len(dst), r.c, applyPiece)
}
