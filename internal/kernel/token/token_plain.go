package token

import "math"

// Row kernels of transformers in Go; tests compare the fast ones with them.

// geluOf returns GELU (Hendrycks & Gimpel 2016), exact: u·Φ(u), Φ the normal
// distribution, and its derivative Φ(u) + u·φ(u).
func geluOf(u float32) (value, derivative float32) {
	x := float64(u)
	phi := 0.5 * math.Erfc(-x/math.Sqrt2)
	return float32(x * phi), float32(phi + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi))
}

// geluPlain: dst = gelu(u).
func geluPlain(dst, u []float32) {
	for i, v := range u {
		dst[i], _ = geluOf(v)
	}
}

// geluGradPlain: dst = d·gelu′(u), u = gelu(u).
func geluGradPlain(dst, d, u []float32) {
	for i, v := range u {
		value, slope := geluOf(v)
		dst[i], u[i] = d[i]*slope, value
	}
}

// softmaxRowPlain turns a row of scores into exp(scale·(x − peak)), not yet
// divided by their sum.
func softmaxRowPlain(x []float32, scale float32, peak, sum *float32) {
	top := x[0]
	for _, v := range x[1:] {
		top = max(top, v)
	}
	var total float32
	for j, v := range x {
		x[j] = float32(math.Exp(float64(scale * (v - top))))
		total += x[j]
	}
	*peak, *sum = top, total
}

// softmaxGradRowPlain takes a row of scores x and one of gradients d of their
// probabilities. It replaces x by the probabilities and d by the gradients of the
// scores: x = exp(scale·x − lse), d = scale·x·(d − dot).
func softmaxGradRowPlain(x, d []float32, scale, lse, dot float32) {
	for j, v := range x {
		x[j] = float32(math.Exp(float64(scale*v - lse)))
		d[j] = scale * x[j] * (d[j] - dot)
	}
}

// normRowPlain: dst = γ·(x − mean)·rstd + β, and the statistics.
func normRowPlain(dst, x, gamma, beta []float32, eps float32, mean, rstd *float32) {
	var sum, square float64
	for _, v := range x {
		sum += float64(v)
	}
	n := float64(len(x))
	m := sum / n
	for _, v := range x {
		square += (float64(v) - m) * (float64(v) - m)
	}
	*mean, *rstd = float32(m), float32(1/math.Sqrt(square/n+float64(eps)))
	for j, v := range x {
		dst[j] = gamma[j]*(v-*mean)**rstd + beta[j]
	}
}

// normGradRowPlain turns the gradient d of γ·x̂ + β into that of x, and adds add. With g
// = d·γ and means over the row,
//
//	dst = add + rstd·(g − mean(g) − x̂·mean(g·x̂))
//	dγ += d·x̂, dβ += d, x = γ·x̂ + β
func normGradRowPlain(dst, add, d, x, gamma, beta []float32, mean, rstd float32, dGamma, dBeta []float32) {
	var sum, dot float64
	for j, v := range x {
		g, hat := d[j]*gamma[j], (v-mean)*rstd
		sum += float64(g)
		dot += float64(g) * float64(hat)
		dGamma[j] += d[j] * hat
		dBeta[j] += d[j]
	}
	n := float64(len(x))
	a, b := float32(sum/n), float32(dot/n)
	for j, v := range x {
		hat := (v - mean) * rstd
		dst[j] = add[j] + rstd*(d[j]*gamma[j]-a-hat*b)
		x[j] = gamma[j]*hat + beta[j]
	}
}
