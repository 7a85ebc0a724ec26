package kernel

// Each function here checks that its operands are long enough, then runs the
// active variant; the loop it stands for is its twin's in tokens_plain.go.

func gelu(dst, u []float32) { geluPlain(dst, u) }

func geluGrad(dst, d, u []float32) { geluGradPlain(dst, d, u) }

func softmaxRows(s []float32, stride, rows, n int, scale float32, peak, sum []float32) {
	softmaxRowsPlain(s, stride, rows, n, scale, peak, sum)
}

func softmaxGradRows(s, d []float32, stride, rows, n int, scale float32, lse, dot []float32) {
	softmaxGradRowsPlain(s, d, stride, rows, n, scale, lse, dot)
}

// normRows normalises rows of x, the first of which is row first of all.
func normRows(dst []float32, ds int, x []float32, xs, rows, c int, n *RowNorm, first int) {
	normRowsPlain(dst, ds, x, xs, rows, c, n.Gamma, n.Beta, n.Eps, n.Mean[first:], n.Rstd[first:])
}

// normGradRows finishes rows of gradients d, ds apart, the first of which is row
// first of all, through the layer normalisation of f. dst is the destination's
// part.
func normGradRows(dst, d []float32, ds int, f *RowFinish, first, rows, c int, dGamma, dBeta []float32) {
	add := dst
	if f.Add != nil {
		add = f.Add[first*c:]
	} else {
		clear(dst[:rows*c])
	}
	normGradRowsPlain(dst, add, d, ds, f.X[first*c:], rows, c, f.Norm.Gamma, f.Norm.Beta, f.Norm.Mean[first:], f.Norm.Rstd[first:], dGamma, dBeta)
}
