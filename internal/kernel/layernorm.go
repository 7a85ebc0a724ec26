package kernel

import "vicreg/internal/parallel"

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
	checkRows("LayerNorm", c, len(y), len(x))
	busy.Lock()
	defer busy.Unlock()
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
	checkRows("LayerNormGrad", c, len(dx), len(d), len(f.X))
	busy.Lock()
	defer busy.Unlock()
	j := &layerNorm
	j.c, j.n, j.y, j.d, j.fin = c, len(d)/c, dx, d, f
	pieces := (j.n + denseRows - 1) / denseRows
	reserve(room(c, c, denseRows*c))
	zeroPartials(pieces * 2 * c)
	parallel.For(pieces, layerNormGradPiece)
	for piece := range pieces {
		part := partials[piece*2*c:][:2*c]
		addNarrow(f.DGamma, part[:c])
		addNarrow(f.DBeta, part[c:])
	}
	j.y, j.d, j.fin = nil, nil, RowFinish{}
}

func layerNormGradPiece(worker, piece int) {
	j := &layerNorm
	m := &arenas[worker]
	m.used = 0
	first := piece * denseRows
	rows := min(denseRows, j.n-first)
	gamma, beta := m.take(j.c), m.take(j.c)
	clear(gamma)
	clear(beta)
	d := m.take(rows * j.c)
	copy(d, j.d[first*j.c:])
	normGradRows(j.y[first*j.c:], d, j.c, &j.fin, first, rows, j.c, gamma, beta)
	a, b := piecePartials(piece, j.c)
	addWide(a, gamma)
	addWide(b, beta)
}
