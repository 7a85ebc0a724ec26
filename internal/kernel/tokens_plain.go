package kernel

import "math"

// Row kernels of transformers in Go, which the fast ones are held to.

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

// softmaxRowsPlain turns rows of n scores, stride apart, into
// exp(scale·(s − peak)), not yet divided by their sum.
func softmaxRowsPlain(s []float32, stride, rows, n int, scale float32, peak, sum []float32) {
	for r := range rows {
		row := s[r*stride:][:n]
		top := row[0]
		for _, v := range row[1:] {
			top = max(top, v)
		}
		var total float32
		for j, v := range row {
			e := float32(math.Exp(float64(scale * (v - top))))
			row[j] = e
			total += e
		}
		peak[r], sum[r] = top, total
	}
}

// softmaxGradRowsPlain turns rows of n scores s and of gradients d of their
// probabilities, stride apart, into the probabilities and the gradients of the
// scores: p = exp(scale·s − lse), d = scale·p·(d − dot).
func softmaxGradRowsPlain(s, d []float32, stride, rows, n int, scale float32, lse, dot []float32) {
	for r := range rows {
		row, grad := s[r*stride:][:n], d[r*stride:][:n]
		for j, v := range row {
			p := float32(math.Exp(float64(scale*v - lse[r])))
			row[j] = p
			grad[j] = scale * p * (grad[j] - dot[r])
		}
	}
}

// normRowsPlain: dst = γ·(x − mean)·rstd + β, and the statistics of each row.
func normRowsPlain(dst []float32, ds int, x []float32, xs, rows, c int, gamma, beta []float32, eps float32, mean, rstd []float32) {
	for r := range rows {
		row, out := x[r*xs:][:c], dst[r*ds:][:c]
		var sum, square float64
		for _, v := range row {
			sum += float64(v)
		}
		m := sum / float64(c)
		for _, v := range row {
			square += (float64(v) - m) * (float64(v) - m)
		}
		s := 1 / math.Sqrt(square/float64(c)+float64(eps))
		mean[r], rstd[r] = float32(m), float32(s)
		for j, v := range row {
			out[j] = gamma[j]*(v-mean[r])*rstd[r] + beta[j]
		}
	}
}

// normGradRowsPlain turns gradients d, rows ds apart, of γ·x̂ + β into those of x,
// plus add: with g = d·γ and means over the row,
//
//	dst = add + rstd·(g − mean(g) − x̂·mean(g·x̂))
//	dγ += d·x̂, dβ += d, x = γ·x̂ + β
func normGradRowsPlain(dst, add, d []float32, ds int, x []float32, rows, c int, gamma, beta, mean, rstd, dGamma, dBeta []float32) {
	for r := range rows {
		row, grad, out, more := x[r*c:][:c], d[r*ds:][:c], dst[r*c:][:c], add[r*c:][:c]
		var sum, dot float64
		for j, v := range row {
			g := float64(grad[j] * gamma[j])
			sum += g
			dot += g * float64((v-mean[r])*rstd[r])
		}
		a, b := float32(sum/float64(c)), float32(dot/float64(c))
		for j, v := range row {
			hat := (v - mean[r]) * rstd[r]
			dGamma[j] += grad[j] * hat
			dBeta[j] += grad[j]
			out[j] = more[j] + rstd[r]*(grad[j]*gamma[j]-a-hat*b)
			row[j] = gamma[j]*hat + beta[j]
		}
	}
}
