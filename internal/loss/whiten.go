package loss

import (
	"math"
	"math/rand/v2"
)

// whiten is the workspace of W-MSE. A sub-batch X (size × d, centred) is whitened
// as htdt/self-supervised methods/whitening.py does, S = size − 1:
//
//	Σ = (1−ε)·XᵀX/S + ε·I = L·Lᵀ,  Y = X·L⁻ᵀ
//
// Backward, with Φ the lower triangle with half of the diagonal (Murray,
// "Differentiation of the Cholesky decomposition", arXiv:1602.07527):
//
//	D = dY·L⁻¹                      as if L were constant
//	dL = −lower(Dᵀ·Y)               for A = L⁻¹: dA = dYᵀ·X, dL = −Aᵀ·dA·Aᵀ
//	dΣ = sym(L⁻ᵀ·Φ(Lᵀ·dL)·L⁻¹)
//	dX = D + 2(1−ε)/S·X·dΣ,  centred
type whiten struct {
	n, d, size int
	eps        float64
	z          [][]float32
	order      []int     // which rows make the sub-batches
	x, y       []float64 // views × n × d, rows in that order
	dy         []float64 // views × n × d
	dz         []float64 // views × n × d, rows as in z, summed over iterations
	batch      []subBatch
	square     []float64 // of all sub-batches
	length     []float64 // of a row in each view, inverted

	forward, backward func(worker, piece int)
}

// subBatch is one sub-batch of one view.
type subBatch struct {
	view, first int       // row within order
	l           []float64 // d × d: Cholesky factor, below and on the diagonal
	a, b        []float64 // d × d each: scratch
	failed      int       // the pivot that is not positive, or −1
}

func (x *whiten) start(z [][]float32, n, d, size int, eps float64) {
	if x.forward == nil {
		x.forward, x.backward = x.forwardPiece, x.backwardPiece
	}
	x.z, x.n, x.d, x.size, x.eps = z, n, d, size, eps
	all := len(z) * n * d
	x.x, x.y, x.dy, x.dz = grow(x.x, all), grow(x.y, all), grow(x.dy, all), grow(x.dz, all)
	clear(x.dz)
	if cap(x.order) < n {
		x.order = make([]int, n)
	}
	x.order = x.order[:n]
	for i := range x.order {
		x.order[i] = i
	}
	count := len(z) * (n / size)
	if cap(x.batch) < count {
		x.batch = make([]subBatch, count)
	}
	x.batch = x.batch[:count]
	x.square = grow(x.square, count*3*d*d)
	for i := range x.batch {
		m := x.square[i*3*d*d:]
		x.batch[i] = subBatch{view: i % len(z), first: i / len(z) * size, l: m[:d*d], a: m[d*d : 2*d*d],
			b: m[2*d*d : 3*d*d], failed: -1}
	}
	x.length = grow(x.length, len(z))
}

// shuffle draws the sub-batches.
func (x *whiten) shuffle(r *rand.Rand) {
	if r == nil {
		return
	}
	for i := len(x.order) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		x.order[i], x.order[j] = x.order[j], x.order[i]
	}
}

// of returns the rows of a sub-batch in one of the arrays of views × n × d.
func (x *whiten) of(array []float64, b *subBatch) []float64 {
	return array[(b.view*x.n+b.first)*x.d:][:x.size*x.d]
}

func (x *whiten) forwardPiece(_, piece int) {
	b := &x.batch[piece]
	d := x.d
	c, y := x.of(x.x, b), x.of(x.y, b)
	mean := b.a[:d]
	clear(mean)
	for r := range x.size {
		from := x.z[b.view][x.order[b.first+r]*d:][:d]
		for j, v := range from {
			c[r*d+j] = float64(v)
			mean[j] += float64(v)
		}
	}
	for j := range mean {
		mean[j] /= float64(x.size)
	}
	for r := range x.size {
		row := c[r*d:][:d]
		for j, m := range mean {
			row[j] -= m
		}
	}
	// Σ, on and below the diagonal.
	clear(b.l)
	for r := range x.size {
		row := c[r*d:][:d]
		for i, v := range row {
			axpy(b.l[i*d:][:i+1], v, row)
		}
	}
	scale := (1 - x.eps) / float64(x.size-1)
	for i := range d {
		for j := range i + 1 {
			b.l[i*d+j] *= scale
		}
		b.l[i*d+i] += x.eps
	}
	if b.failed = cholesky(b.l, d); b.failed >= 0 {
		return
	}
	for r := range x.size {
		solveLower(y[r*d:][:d], c[r*d:][:d], b.l)
	}
}

// cholesky turns the symmetric matrix a (d × d, its lower triangle) into L with
// a = L·Lᵀ and returns −1, or the pivot that has fallen to rounding.
func cholesky(a []float64, d int) int {
	for j := range d {
		lj := a[j*d:][:j+1]
		before := lj[j]
		left := before - dot64(lj[:j], lj[:j])
		if !(left > 1e-14*before) || math.IsInf(left, 0) {
			return j
		}
		lj[j] = math.Sqrt(left)
		for i := j + 1; i < d; i++ {
			li := a[i*d:][:j+1]
			li[j] = (li[j] - dot64(li[:j], lj[:j])) / lj[j]
		}
	}
	return -1
}

// solveLower sets y to L⁻¹·c: a row c of X becomes one of X·L⁻ᵀ.
func solveLower(y, c, l []float64) {
	d := len(c)
	for i, v := range c {
		y[i] = (v - dot64(l[i*d:][:i], y[:i])) / l[i*d+i]
	}
}

// solveUpper solves xᵀ·L = yᵀ in place: a row y becomes one of Y·L⁻¹.
func solveUpper(y, l []float64) {
	d := len(y)
	for i := d - 1; i >= 0; i-- {
		y[i] /= l[i*d+i]
		axpy(y[:i], -y[i], l[i*d:][:i])
	}
}

// distance returns Σ cos(y_i, y'_i) over all rows and pairs of views and sets dy to
// the gradient of −weight times that.
func (x *whiten) distance(weight float64) (sum float64) {
	d, views := x.d, len(x.z)
	length := x.length[:views]
	for r := range x.n {
		for v := range views {
			y := x.y[(v*x.n+r)*d:][:d]
			length[v] = inverseLength(dot64(y, y))
			clear(x.dy[(v*x.n+r)*d:][:d])
		}
		for v := range views {
			for w := range v {
				a, b := x.y[(v*x.n+r)*d:][:d], x.y[(w*x.n+r)*d:][:d]
				da, db := x.dy[(v*x.n+r)*d:][:d], x.dy[(w*x.n+r)*d:][:d]
				p, q := length[v], length[w]
				c := dot64(a, b) * p * q
				sum += c
				axpy(da, -weight*p*q, b)
				axpy(da, weight*c*p*p, a)
				axpy(db, -weight*p*q, a)
				axpy(db, weight*c*q*q, b)
			}
		}
	}
	return sum
}

func (x *whiten) backwardPiece(_, piece int) {
	b := &x.batch[piece]
	d := x.d
	c, y, dy := x.of(x.x, b), x.of(x.y, b), x.of(x.dy, b)
	for r := range x.size {
		solveUpper(dy[r*d:][:d], b.l)
	}
	// a = dL = −lower(Dᵀ·Y)
	clear(b.a)
	for r := range x.size {
		row := y[r*d:][:d]
		for i, v := range dy[r*d:][:d] {
			axpy(b.a[i*d:][:i+1], -v, row)
		}
	}
	// b = Φ(Lᵀ·dL): element (i, j), j ≤ i, is Σ_{k≥i} L_ki·dL_kj.
	clear(b.b)
	for k := range d {
		for i := range k + 1 {
			axpy(b.b[i*d:][:i+1], b.l[k*d+i], b.a[k*d:][:i+1])
		}
	}
	for i := range d {
		b.b[i*d+i] /= 2
	}
	// b = Φ·L⁻¹, row by row, then a = (L⁻ᵀ·b)ᵀ, column by column of b.
	for i := range d {
		solveUpper(b.b[i*d:][:d], b.l)
	}
	for j := range d {
		col := b.a[j*d:][:d]
		for i := range d {
			col[i] = b.b[i*d+j]
		}
		solveUpper(col, b.l)
	}
	// dX = D + (1−ε)/S·X·(dΣ + dΣᵀ), with 2·dΣ = a + aᵀ in b.
	scale := (1 - x.eps) / float64(x.size-1)
	for i := range d {
		for j := range d {
			b.b[i*d+j] = scale * (b.a[i*d+j] + b.a[j*d+i])
		}
	}
	mean := b.a[:d]
	clear(mean)
	for r := range x.size {
		g := dy[r*d:][:d]
		for i, v := range c[r*d:][:d] {
			axpy(g, v, b.b[i*d:][:d])
		}
		axpy(mean, 1/float64(x.size), g)
	}
	for r := range x.size {
		to := x.dz[(b.view*x.n+x.order[b.first+r])*d:][:d]
		for j, v := range dy[r*d:][:d] {
			to[j] += v - mean[j]
		}
	}
}

// dot64 returns Σ a·b, in four sums.
func dot64(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += a[0] * b[0]
		s1 += a[1] * b[1]
		s2 += a[2] * b[2]
		s3 += a[3] * b[3]
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += v * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// axpy computes y += a·x.
func axpy(y []float64, a float64, x []float64) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] += a * v
	}
}
