package row

import "math"

// The plain twins of the row kernels. A row is the c channels of one pixel;
// consecutive rows lie a stride apart, counted in elements. A stride of 0 reads
// the same row again and again.

// affineRowsPlain: dst = max(lo, src·scale + shift).
func affineRowsPlain(dst []float32, ds int, src []float32, ss, rows, c int, scale, shift []float32, lo float32) {
	scale, shift = scale[:c], shift[:c]
	for r := range rows {
		d, s := dst[r*ds:][:c], src[r*ss:][:c]
		for i, v := range s {
			d[i] = max(lo, v*scale[i]+shift[i])
		}
	}
}

// gradRowsPlain: dst = a·d + b·y + k.
func gradRowsPlain(dst []float32, ds int, d, y []float32, ss, rows, c int, a, b, k []float32) {
	for r := range rows {
		o, d, y := dst[r*ds:][:c], d[r*ss:][:c], y[r*ss:][:c]
		for i := range o {
			o[i] = a[i]*d[i] + b[i]*y[i] + k[i]
		}
	}
}

// joinRowsPlain: dst = max(lo, max(loA, a·as + at) + max(loB, b·bs + bt)).
func joinRowsPlain(dst, a, b []float32, rows, c int, as, at, bs, bt []float32, lo, loA, loB float32) {
	for r := range rows {
		d, a, b := dst[r*c:][:c], a[r*c:][:c], b[r*c:][:c]
		for i := range d {
			d[i] = max(lo, max(loA, a[i]*as[i]+at[i])+max(loB, b[i]*bs[i]+bt[i]))
		}
	}
}

// sumRowsPlain: sum[i] = Σ y, square[i] = Σ y² over the rows.
func sumRowsPlain(y []float32, ys, rows, c int, sum, square []float32) {
	sum, square = sum[:c], square[:c]
	clear(sum)
	clear(square)
	for r := range rows {
		for i, v := range y[r*ys:][:c] {
			sum[i] += v
			square[i] += v * v
		}
	}
}

// gatherRowsPlain fills a row of dst for each of some pixels, with segments of n
// elements one after the other: row p, segment s = src[p·step + s·skip:][:n].
func gatherRowsPlain(dst []float32, ds int, src []float32, step, pixels, segments, skip, n int) {
	for p := range pixels {
		d, s := dst[p*ds:], src[p*step:]
		for g := range segments {
			copy(d[g*n:][:n], s[g*skip:])
		}
	}
}

// finishArgs are the operands of finishRows. In place of an absent one stands a constant
// row with stride 0.
type finishArgs struct {
	dst    *float32
	ds     int
	prod   *float32
	ps     int
	add    *float32
	as     int
	mask   *float32
	ms     int
	dot    *float32
	dots   int
	scale  *float32 // c: of the mask
	shift  *float32 // c
	sum    *float32 // c: += Σ d
	sumDot *float32 // c: += Σ d·dot
	rows   int
	c      int
}

// finishRowsPlain: d = prod + add, or 0 where mask·scale + shift ≤ 0; dst = d;
// sum += d; sumDot += d·dot.
func finishRowsPlain(f *finishArgs) {
	c := f.c
	scale, shift := span(f.scale, c), span(f.shift, c)
	sum, sumDot := span(f.sum, c), span(f.sumDot, c)
	for r := range f.rows {
		dst, prod, add := row(f.dst, r*f.ds, c), row(f.prod, r*f.ps, c), row(f.add, r*f.as, c)
		mask, dot := row(f.mask, r*f.ms, c), row(f.dot, r*f.dots, c)
		for i := range dst {
			d := prod[i] + add[i]
			if mask[i]*scale[i]+shift[i] <= 0 {
				d = 0
			}
			dst[i] = d
			sum[i] += d
			sumDot[i] += d * dot[i]
		}
	}
}

// addWidePlain: sum += part, part = 0.
func addWidePlain(sum []float64, part []float32) {
	for i, v := range part {
		sum[i] += float64(v)
		part[i] = 0
	}
}

func axpyPlain(y []float32, a float32, x []float32) {
	for i, v := range x {
		y[i] += a * v
	}
}

func scalePlain(x []float32, a float32) {
	for i := range x {
		x[i] *= a
	}
}

// dotPlain sums in 16 lanes; the fast variants use more.
func dotPlain(a, b []float32) float64 {
	var lane [16]float32
	for i, v := range a {
		lane[i&15] += v * b[i]
	}
	var sum float64
	for _, v := range lane {
		sum += float64(v)
	}
	return sum
}

func momentumPlain(w, m, g []float32, lr, momentum, weightDecay, scale float32) {
	for i := range w {
		m[i] = momentum*m[i] + scale*(g[i]+weightDecay*w[i])
		w[i] -= lr * m[i]
	}
}

func adamPlain(w, m, v, g []float32, a *AdamArgs) {
	for i := range w {
		m[i] = a.Beta1*m[i] + a.Rest1*g[i]
		v[i] = a.Beta2*v[i] + a.Rest2*(g[i]*g[i])
		root := float32(math.Sqrt(float64(v[i])))
		w[i] = a.Keep*w[i] - a.Rate*m[i]/(root*a.RootScale+a.Eps)
	}
}

// AddNarrow adds float64 to float32.
func AddNarrow(sum []float32, part []float64) {
	for i, v := range part {
		sum[i] += float32(v)
	}
}

// AdamArgs are the constants of an AdamW step.
type AdamArgs struct {
	Beta1, Rest1, Beta2, Rest2 float32 // rest = 1 − beta
	Keep, Rate, RootScale, Eps float32
}
