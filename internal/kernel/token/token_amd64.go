package token

import "vicreg/internal/cpu"

//go:generate go -C ../_asm run ./tokens -out ../token/token_amd64.s -stubs ../token/token_stubs_amd64.go -pkg token

// Each function checks that its operands are long enough, then runs the active
// variant; the loop it stands for is its twin's in tokens_plain.go. No row is
// empty.

func gelu(dst, u []float32) {
	n := len(u)
	_ = dst[n-1]
	switch {
	case cpu.AVX512:
		geluRowAVX512(&dst[0], &u[0], n)
	case cpu.AVX2:
		geluRowAVX2(&dst[0], &u[0], n)
	default:
		geluPlain(dst, u)
	}
}

func geluGrad(dst, d, u []float32) {
	n := len(u)
	_, _ = dst[n-1], d[n-1]
	switch {
	case cpu.AVX512:
		geluGradRowAVX512(&dst[0], &d[0], &u[0], n)
	case cpu.AVX2:
		geluGradRowAVX2(&dst[0], &d[0], &u[0], n)
	default:
		geluGradPlain(dst, d, u)
	}
}

func softmaxRow(x []float32, scale float32, peak, sum *float32) {
	switch {
	case cpu.AVX512:
		softmaxRowAVX512(&x[0], len(x), scale, peak, sum)
	case cpu.AVX2:
		softmaxRowAVX2(&x[0], len(x), scale, peak, sum)
	default:
		softmaxRowPlain(x, scale, peak, sum)
	}
}

func softmaxGradRow(x, d []float32, scale, lse, dot float32) {
	n := len(x)
	_ = d[n-1]
	switch {
	case cpu.AVX512:
		softmaxGradRowAVX512(&x[0], &d[0], n, scale, lse, dot)
	case cpu.AVX2:
		softmaxGradRowAVX2(&x[0], &d[0], n, scale, lse, dot)
	default:
		softmaxGradRowPlain(x, d, scale, lse, dot)
	}
}

func normRow(dst, x, gamma, beta []float32, eps float32, mean, rstd *float32) {
	n := len(x)
	_, _, _ = dst[n-1], gamma[n-1], beta[n-1]
	switch {
	case cpu.AVX512:
		normRowAVX512(&dst[0], &x[0], n, &gamma[0], &beta[0], 1/float32(n), eps, mean, rstd)
	case cpu.AVX2:
		normRowAVX2(&dst[0], &x[0], n, &gamma[0], &beta[0], 1/float32(n), eps, mean, rstd)
	default:
		normRowPlain(dst, x, gamma, beta, eps, mean, rstd)
	}
}

func normGradRow(dst, add, d, x, gamma, beta []float32, mean, rstd float32, dGamma, dBeta []float32) {
	n := len(x)
	_, _, _, _, _, _, _ = dst[n-1], add[n-1], d[n-1], gamma[n-1], beta[n-1], dGamma[n-1], dBeta[n-1]
	switch {
	case cpu.AVX512:
		normGradRowAVX512(&dst[0], &add[0], &d[0], &x[0], n, &gamma[0], &beta[0], &dGamma[0], &dBeta[0], 1/float32(n),
			mean, rstd)
	case cpu.AVX2:
		normGradRowAVX2(&dst[0], &add[0], &d[0], &x[0], n, &gamma[0], &beta[0], &dGamma[0], &dBeta[0], 1/float32(n),
			mean, rstd)
	default:
		normGradRowPlain(dst, add, d, x, gamma, beta, mean, rstd, dGamma, dBeta)
	}
}
