// Package token holds what transformers need: dense layers, attention, layer normalisation
// and embeddings.
package token

import (
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
)

// softmaxRows turns rows of n scores, stride apart, into exp(scale·(s − peak)),
// not yet divided by their sum.
func softmaxRows(s []float32, stride, rows, n int, scale float32, peak, sum []float32) {
	for r := range rows {
		softmaxRow(s[r*stride:][:n], scale, &peak[r], &sum[r])
	}
}

// softmaxGradRows takes rows of n scores s and gradients d of their probabilities. It
// replaces the scores by the probabilities, and d by the gradients of the scores.
func softmaxGradRows(s, d []float32, stride, rows, n int, scale float32, lse, dot []float32) {
	for r := range rows {
		softmaxGradRow(s[r*stride:][:n], d[r*stride:][:n], scale, lse[r], dot[r])
	}
}

// normRows normalises rows of x, of c elements and xs apart. The first of them is row
// number first of the whole.
func normRows(dst []float32, ds int, x []float32, xs, rows, c int, n *RowNorm, first int) {
	for r := range rows {
		normRow(dst[r*ds:][:c], x[r*xs:][:c], n.Gamma, n.Beta, n.Eps, &n.Mean[first+r], &n.Rstd[first+r])
	}
}

// normGradRows takes rows of gradients d, ds apart, back through the layer normalisation
// of f. The first of them is row number first of the whole; dst is their part of the
// destination.
func normGradRows(m *scratch.Arena, dst shape.Values, d []float32, ds int, f *RowFinish, first, rows, c int, dGamma,
	dBeta []float32) {
	at, of := first*c, rows*c
	to, x, n := roomFor(m, dst, rows, c), widened(m, f.X.From(at), rows, c), &f.Norm
	add := to
	if !f.Add.None() {
		add = widened(m, f.Add.From(at), rows, c)
	} else {
		clear(to[:of])
	}
	for r := range rows {
		normGradRow(to[r*c:][:c], add[r*c:][:c], d[r*ds:][:c], x[r*c:][:c], n.Gamma, n.Beta, n.Mean[first+r],
			n.Rstd[first+r], dGamma, dBeta)
	}
	narrowed(dst, to, of)
	narrowed(f.X.From(at), x, of)
}
