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
	y, d []float32
	src  RowSource
	fin  RowFinish
}

// LayerNorm writes the normalised rows of x, n × c, to y, and their statistics.
func LayerNorm(y, x []float32, norm RowNorm) {
	c := len(norm.Gamma)
	shape.CheckRows("LayerNorm", c, len(y), len(x))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &layerNorm
	j.c, j.n, j.y, j.src = c, len(x)/c, y, RowSource{X: x, Norm: norm}
	parallel.For((j.n+denseRows-1)/denseRows, layerNormPiece)
	j.y, j.src = nil, RowSource{}
}

func layerNormPiece(_, piece int) {
	j := &layerNorm
	first := piece * denseRows
	rows := min(denseRows, j.n-first)
	normRows(j.y[first*j.c:], j.c, j.src.X[first*j.c:], j.c, rows, j.c, &j.src.Norm, first)
}

// LayerNormGrad finishes the gradient d of the normalised rows, n × c, as f says,
// into dx, which may be d.
func LayerNormGrad(dx, d []float32, f RowFinish) {
	c := len(f.Norm.Gamma)
	shape.CheckRows("LayerNormGrad", c, len(dx), len(d), len(f.X))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &layerNorm
	j.c, j.n, j.y, j.d, j.fin = c, len(d)/c, dx, d, f
	pieces := (j.n + denseRows - 1) / denseRows
	scratch.Reserve(scratch.Room(c, c, denseRows*c))
	scratch.ZeroPartials(pieces * 2 * c)
	parallel.For(pieces, layerNormGradPiece)
	for piece := range pieces {
		part := scratch.Partials[piece*2*c:][:2*c]
		row.AddNarrow(f.DGamma, part[:c])
		row.AddNarrow(f.DBeta, part[c:])
	}
	j.y, j.d, j.fin = nil, nil, RowFinish{}
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
	copy(d, j.d[first*j.c:])
	normGradRows(j.y[first*j.c:], d, j.c, &j.fin, first, rows, j.c, gamma, beta)
	a, b := scratch.PiecePartials(piece, j.c)
	row.AddWide(a, gamma)
	row.AddWide(b, beta)
}
