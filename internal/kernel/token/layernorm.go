package token

import (
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// layerNorm is the call under way.
var layerNorm struct {
	c, n int
	y, d shape.Values
	src  RowSource
	fin  RowFinish
}

// LayerNorm writes the normalised rows of x, n × c, to y, and their statistics.
func LayerNorm(y, x shape.Values, norm RowNorm) {
	c := len(norm.Gamma)
	shape.CheckRows("LayerNorm", c, y.Len(), x.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &layerNorm
	j.c, j.n, j.y, j.src = c, x.Len()/c, y, RowSource{X: x, Norm: norm}
	scratch.Reserve(scratch.Room(widenRoom(x, c), widenRoom(y, c)))
	parallel.For((j.n+denseRows-1)/denseRows, layerNormPiece)
	j.y, j.src = shape.Values{}, RowSource{}
}

func layerNormPiece(worker, piece int) {
	j := &layerNorm
	m := &scratch.Arenas[worker]
	m.Used = 0
	first := piece * denseRows
	rows := min(denseRows, j.n-first)
	x, y := j.src.X.From(first*j.c), j.y.From(first*j.c)
	to := roomFor(m, y, rows, j.c)
	normRows(to, j.c, widened(m, x, rows, j.c), j.c, rows, j.c, &j.src.Norm, first)
	narrowed(y, to, rows*j.c)
}

// LayerNormGrad finishes the gradient d of the normalised rows, n × c, as f says,
// into dx, which may be d.
func LayerNormGrad(dx, d shape.Values, f RowFinish) {
	c := len(f.Norm.Gamma)
	shape.CheckRows("LayerNormGrad", c, dx.Len(), d.Len(), f.X.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &layerNorm
	j.c, j.n, j.y, j.d, j.fin = c, d.Len()/c, dx, d, f
	pieces := (j.n + denseRows - 1) / denseRows
	scratch.Reserve(scratch.Room(c, c, denseRows*c, widenRoom(dx, c), widenRoom(f.X, c), widenRoom(f.Add, c)))
	scratch.MakePartials(pieces * 2 * c)
	parallel.For(pieces, layerNormGradPiece)
	for piece := range pieces {
		part := scratch.Partials[piece*2*c:][:2*c]
		row.AddNarrow(f.DGamma, part[:c])
		row.AddNarrow(f.DBeta, part[c:])
	}
	j.y, j.d, j.fin = shape.Values{}, shape.Values{}, RowFinish{}
}

func layerNormGradPiece(worker, piece int) {
	j := &layerNorm
	m := &scratch.Arenas[worker]
	m.Used = 0
	first := piece * denseRows
	rows := min(denseRows, j.n-first)
	gamma, beta := m.Take(j.c), m.Take(j.c)
	clear(gamma)
	clear(beta)
	d := m.Take(rows * j.c)
	row.CopyTo(shape.Floats(d), j.c, j.d.From(first*j.c), j.c, rows, j.c)
	normGradRows(m, j.y.From(first*j.c), d, j.c, &j.fin, first, rows, j.c, gamma, beta)
	a, b := scratch.PiecePartials(piece, j.c)
	row.AddWide(a, gamma)
	row.AddWide(b, beta)
}
