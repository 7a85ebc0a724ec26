//go:build !amd64

package token

func gelu(dst, u []float32)        { geluPlain(dst, u) }
func geluGrad(dst, d, u []float32) { geluGradPlain(dst, d, u) }

func softmaxRow(x []float32, scale float32, peak, sum *float32) {
	softmaxRowPlain(x, scale, peak, sum)
}

func softmaxGradRow(x, d []float32, scale, lse, dot float32) {
	softmaxGradRowPlain(x, d, scale, lse, dot)
}

func normRow(dst, x, gamma, beta []float32, eps float32, mean, rstd *float32) {
	normRowPlain(dst, x, gamma, beta, eps, mean, rstd)
}

func normGradRow(dst, add, d, x, gamma, beta []float32, mean, rstd float32, dGamma, dBeta []float32) {
	normGradRowPlain(dst, add, d, x, gamma, beta, mean, rstd, dGamma, dBeta)
}
