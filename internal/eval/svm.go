package eval

import (
	"context"
	"math"

	"gonum.org/v1/gonum/floats"

	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
)

// machines are linear support vector machines, one a class, on the same images. Each
// minimises, as LIBLINEAR does (Fan et al., "LIBLINEAR: a library for large linear
// classification", 2008, equation 1, with its bias: a feature that is 1 and is penalised
// like the others),
//
//	½ ‖w‖² + Σ_i c_i max(0, 1 − y_i wᵀx_i)²
//
// by Newton's method: the directions come from conjugate gradients, all classes' at once,
// so that their products are those of matrices.
type machines struct {
	x       []float32 // n × e, the last feature is 1
	n, e, k int
	y       []int8    // n × k: 1, -1
	c       []float64 // n × k, 0: the image does not count for the class

	ctx context.Context
}

const (
	mostNewton    = 60  // iterations
	mostConjugate = 400 // in each
	chunkRows     = 2048
)

// fit moves w, k × e, to the minima, until no step changes a decision value of a training
// image by more than tolerance. With exact, decision values and gradients are float64, else
// products are float32. It reports whether each class got there.
func (m *machines) fit(w []float64, tolerance float64, exact bool) (converged []bool) {
	n, e := m.n, m.e
	converged = make([]bool, m.k)
	active := make([]int, m.k) // classes that are not there yet
	for i := range active {
		active[i] = i
	}
	for range mostNewton {
		ka := len(active)
		if ka == 0 || m.ctx.Err() != nil {
			break
		}
		f := m.values(w, active, exact)
		pull, curve := make([]float64, n*ka), make([]float32, n*ka)
		rows(n, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				for a, k := range active {
					y := float64(m.y[i*m.k+k])
					if short := 1 - y*f[i*ka+a]; short > 0 {
						c := m.c[i*m.k+k]
						pull[i*ka+a], curve[i*ka+a] = -2*c*y*short, float32(2*c)
					}
				}
			}
		})
		g := m.gradient(pull, ka, exact)
		for a, k := range active {
			floats.Add(g[a*e:(a+1)*e], w[k*e:(k+1)*e])
		}
		p := m.direction(g, curve, ka)
		q := m.values(p, nil, exact)
		var left []int
		for a, k := range active {
			change := m.step(w[k*e:(k+1)*e], p[a*e:(a+1)*e], g[a*e:(a+1)*e], f, q, a, ka, k)
			if change > tolerance {
				left = append(left, k)
			} else {
				converged[k] = true
			}
		}
		active = left
	}
	return converged
}

// step goes along p as far as brings the loss of class k down, and returns by how much a
// decision value changes at most.
func (m *machines) step(w, p, g, f, q []float64, a, ka, k int) float64 {
	ww, wp, pp, slope := floats.Dot(w, w), floats.Dot(w, p), floats.Dot(p, p), floats.Dot(g, p)
	loss := func(t float64) float64 {
		sum := 0.5 * (ww + 2*t*wp + t*t*pp)
		for i := range m.n {
			c := m.c[i*m.k+k]
			if c == 0 {
				continue
			}
			if short := 1 - float64(m.y[i*m.k+k])*(f[i*ka+a]+t*q[i*ka+a]); short > 0 {
				sum += c * short * short
			}
		}
		return sum
	}
	before := loss(0)
	t := 1.0
	for range 20 {
		if now := loss(t); now <= before+1e-4*t*slope || math.Abs(now-before) <= 1e-12*before {
			break
		}
		t /= 2
	}
	floats.AddScaled(w, t, p)
	most := 0.0
	for i := range m.n {
		if m.c[i*m.k+k] > 0 {
			most = max(most, math.Abs(t*q[i*ka+a]))
		}
	}
	return most
}

// direction solves (1 + Xᵀ curve X) p = -g, all ka classes at once.
func (m *machines) direction(g []float64, curve []float32, ka int) []float64 {
	const small = 1e-2 // share of the gradient that may be left
	e := m.e
	p, r := make([]float64, ka*e), make([]float64, ka*e)
	for i, v := range g {
		r[i] = -v
	}
	v := append([]float64(nil), r...)
	square, goal := make([]float64, ka), make([]float64, ka)
	for a := range ka {
		square[a] = floats.Dot(r[a*e:(a+1)*e], r[a*e:(a+1)*e])
		goal[a] = small * small * square[a]
	}
	single, along := make([]float32, ka*e), make([]float32, m.n*ka)
	for range mostConjugate {
		going := false
		for a := range ka {
			going = going || square[a] > goal[a]
		}
		if !going || m.ctx.Err() != nil {
			break
		}
		for i, x := range v {
			single[i] = float32(x)
		}
		m.times(along, single, ka)
		for i, c := range curve {
			along[i] *= c
		}
		hv := m.back(along, ka)
		for a := range ka {
			if square[a] <= goal[a] {
				continue
			}
			va, ra, ha := v[a*e:(a+1)*e], r[a*e:(a+1)*e], hv[a*e:(a+1)*e]
			floats.Add(ha, va)
			t := square[a] / floats.Dot(va, ha)
			floats.AddScaled(p[a*e:(a+1)*e], t, va)
			floats.AddScaled(ra, -t, ha)
			next := floats.Dot(ra, ra)
			floats.Scale(next/square[a], va)
			floats.Add(va, ra)
			square[a] = next
		}
	}
	return p
}

// values returns the decision values of all images, n × classes: of those classes of w, or
// of all that it has if they are nil.
func (m *machines) values(w []float64, classes []int, exact bool) []float64 {
	e := m.e
	if classes == nil {
		classes = make([]int, len(w)/e)
		for i := range classes {
			classes[i] = i
		}
	}
	ka := len(classes)
	out := make([]float64, m.n*ka)
	if !exact {
		single := make([]float32, 0, ka*e)
		for _, k := range classes {
			for _, v := range w[k*e : (k+1)*e] {
				single = append(single, float32(v))
			}
		}
		y := make([]float32, m.n*ka)
		m.times(y, single, ka)
		for i, v := range y {
			out[i] = float64(v)
		}
		return out
	}
	rows(m.n, func(lo, hi int) {
		if m.ctx.Err() != nil {
			return
		}
		for i := lo; i < hi; i++ {
			for a, k := range classes {
				out[i*ka+a] = dot(m.x[i*e:(i+1)*e], w[k*e:(k+1)*e])
			}
		}
	})
	return out
}

// dot is a product of vectors in float64.
func dot(x []float32, w []float64) float64 {
	var s [4]float64
	j := 0
	for ; j+4 <= len(x); j += 4 {
		a, b := x[j:j+4], w[j:j+4]
		s[0] += float64(a[0]) * b[0]
		s[1] += float64(a[1]) * b[1]
		s[2] += float64(a[2]) * b[2]
		s[3] += float64(a[3]) * b[3]
	}
	for ; j < len(x); j++ {
		s[0] += float64(x[j]) * w[j]
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// gradient returns Xᵀ pull, ka × e.
func (m *machines) gradient(pull []float64, ka int, exact bool) []float64 {
	if !exact {
		single := make([]float32, len(pull))
		for i, v := range pull {
			single[i] = float32(v)
		}
		return m.back(single, ka)
	}
	e := m.e
	g := make([]float64, ka*e)
	parallel.Range(e, 64, func(_, left, right int) {
		if m.ctx.Err() != nil {
			return
		}
		for i := range m.n {
			x := m.x[i*e+left : i*e+right]
			for a, v := range pull[i*ka : (i+1)*ka] {
				if v == 0 {
					continue
				}
				to := g[a*e+left : a*e+right]
				for j, u := range x {
					to[j] += v * float64(u)
				}
			}
		}
	})
	return g
}

// times writes X vᵀ, n × ka, to out.
func (m *machines) times(out, v []float32, ka int) {
	for lo := 0; lo < m.n && m.ctx.Err() == nil; lo += chunkRows {
		hi := min(lo+chunkRows, m.n)
		product.Gemm(product.Mat{Data: out[lo*ka:], Rows: hi - lo, Cols: ka},
			product.Mat{Data: m.x[lo*m.e:], Rows: hi - lo, Cols: m.e},
			product.Mat{Data: v, Rows: ka, Cols: m.e, Trans: true}, false)
	}
}

// back returns aᵀ X, ka × e, of a, n × ka.
func (m *machines) back(a []float32, ka int) []float64 {
	out, part := make([]float64, ka*m.e), make([]float32, ka*m.e)
	for lo := 0; lo < m.n && m.ctx.Err() == nil; lo += chunkRows {
		hi := min(lo+chunkRows, m.n)
		product.Gemm(product.Mat{Data: part, Rows: ka, Cols: m.e},
			product.Mat{Data: a[lo*ka:], Rows: hi - lo, Cols: ka, Trans: true},
			product.Mat{Data: m.x[lo*m.e:], Rows: hi - lo, Cols: m.e}, false)
		for i, v := range part {
			out[i] += float64(v)
		}
	}
	return out
}
