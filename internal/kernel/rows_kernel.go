package kernel

import (
	"math"
	"unsafe"
)

// reader reads pixels of an activation through its [Source], or of a gradient
// through its [Grad], in the load stage of a kernel.
type reader struct {
	x, y               []float32
	scale, other, coef []float32 // scale·x + other·y + coef, or nil
	lo                 float32
	c                  int
}

var minusInf = float32(math.Inf(-1))

func sourceReader(s Source, c int) reader {
	r := reader{x: s.X, scale: s.Scale, coef: s.Shift, lo: minusInf, c: c}
	if s.ReLU {
		r.lo = 0
		if r.scale == nil {
			r.scale, r.coef = constants(c)
		}
	}
	return r
}

func gradReader(g Grad, c int) reader {
	return reader{x: g.D, y: g.Y, scale: g.A, other: g.B, coef: g.K, lo: minusInf, c: c}
}

// plain reports whether reading is mere copying.
func (r *reader) plain() bool { return r.scale == nil }

// load reads pixels whose first channels are at off, off+stride, … into rows of dst,
// which lie ds apart.
func (r *reader) load(dst []float32, ds, off, stride, pixels int) {
	if pixels == 0 {
		return
	}
	switch {
	case r.scale == nil && ds == r.c && stride == r.c:
		copy(dst[:pixels*r.c], r.x[off:])
	case r.scale == nil:
		copyRows(dst, ds, r.x[off:], stride, pixels, r.c)
	case r.other == nil:
		affineRows(dst, ds, r.x[off:], stride, pixels, r.c, r.scale, r.coef, r.lo)
	default:
		gradRows(dst, ds, r.x[off:], r.y[off:], stride, pixels, r.c, r.scale, r.other, r.coef)
	}
}

func copyRows(dst []float32, ds int, src []float32, ss, rows, c int) {
	for r := range rows {
		copy(dst[r*ds:][:c], src[r*ss:])
	}
}

// ones and zeros stand in for operands that are absent. They only grow, and never while
// a parallel loop runs.
var ones, zeros []float32

func constants(c int) (one, zero []float32) {
	if len(ones) < c {
		n := max(c, 1024)
		ones, zeros = make([]float32, n), make([]float32, n)
		for i := range ones {
			ones[i] = 1
		}
	}
	return ones[:c], zeros[:c]
}

// sumBlock is how many rows are summed in float32 before the sum goes into a float64.
const sumBlock = 64

// addSums adds Σ y and Σ y² over rows to sums a and b. part holds 2·c elements.
func addSums(a, b []float64, y []float32, ys, rows, c int, part []float32) {
	for r := 0; r < rows; r += sumBlock {
		sumRows(y[r*ys:], ys, min(sumBlock, rows-r), c, part[:c], part[c:2*c])
		addWide(a[:c], part[:c])
		addWide(b[:c], part[c:2*c])
	}
}

// finisher applies a [Finish] to products as they are made.
type finisher struct {
	Finish
	scale, shift []float32 // of the mask
	c            int
	stream       bool // dst goes past the caches
	sumsOnly     bool // dst is not written, and part holds 3·c elements
}

// streamFloats is the size from which a result is too large to be in a cache still when
// it is read next.
var streamFloats = 8 << 20

// newFinisher returns a finisher for gradients that go to dst.
func newFinisher(dst []float32, f Finish, c int) finisher {
	one, zero := constants(c)
	aliased := f.Add != nil && &f.Add[0] == &dst[0]
	r := finisher{Finish: f, scale: one, shift: zero, c: c, stream: !aliased && streams(dst, c)}
	if f.Mask.X != nil && f.Mask.Scale != nil {
		r.scale, r.shift = f.Mask.Scale, f.Mask.Shift
	}
	return r
}

// store finishes pixels of all channels; see storeColumns.
func (f *finisher) store(dst []float32, off, stride int, prod []float32, ps, rows int, a, b []float64, part []float32) {
	f.storeColumns(dst, off, stride, prod, ps, rows, 0, f.c, a, b, part)
}

// storeColumns finishes channels [col, col+c) of pixels. Products come in rows of prod,
// ps apart; nil means that all are zero. They go to dst[off:], stride apart, where off
// counts from the start of the gradient and is in channel col. If f.Sums is set, a and b
// get the sums of all channels; part holds 2·c zeros.
func (f *finisher) storeColumns(dst []float32, off, stride int, prod []float32, ps, rows, col, c int, a, b []float64,
	part []float32) {
	if rows == 0 {
		return
	}
	last := off + (rows-1)*stride + c - 1
	_ = dst[last]
	args := finishArgs{
		ds: stride, prod: &zeros[0], add: &zeros[0], mask: &ones[0], dot: &zeros[0],
		scale: &f.scale[col], shift: &f.shift[col],
		sum: &part[0], sumDot: &part[c], c: c,
	}
	if prod != nil {
		_ = prod[(rows-1)*ps+c-1]
		args.ps = ps
	}
	if f.Add != nil {
		_ = f.Add[last]
		args.as = stride
	}
	if f.Mask.X != nil {
		_ = f.Mask.X[last]
		args.ms = stride
	}
	block := rows
	if f.Sums != nil {
		_ = f.Dot[last]
		args.dots, block = stride, sumBlock
	}
	for r := 0; r < rows; r += block {
		o := off + r*stride
		args.rows = min(block, rows-r)
		if args.dst = &dst[o]; f.sumsOnly {
			args.dst, args.ds = &part[2*c], 0
		}
		if prod != nil {
			args.prod = &prod[r*ps]
		}
		if f.Add != nil {
			args.add = &f.Add[o]
		}
		if f.Mask.X != nil {
			args.mask = &f.Mask.X[o]
		}
		if f.Sums == nil {
			finishRows(&args, f.stream)
			continue
		}
		args.dot = &f.Dot[o]
		finishRows(&args, f.stream)
		addWide(a[col:col+c], part[:c])
		addWide(b[col:col+c], part[c:2*c])
	}
}

// done ends a piece.
func (f *finisher) done() {
	if f.stream {
		fence()
	}
}

func span(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// row returns the c elements that begin off elements after p.
func row(p *float32, off, c int) []float32 {
	return span((*float32)(unsafe.Add(unsafe.Pointer(p), off*4)), c)
}

// image is how a tensor of n × h × w pixels is read into zero-bordered buffers.
type image struct {
	reader
	h, w        int
	left, right int // columns of zeros around each row
}

// width returns the pixels of a row with its border.
func (m *image) width() int { return m.left + m.w + m.right }

// loadRows reads rows [y0, y1) of image n; rows outside of the image become zeros.
func (m *image) loadRows(dst []float32, n, y0, y1 int) { m.loadWide(dst, m.c, n, y0, y1) }

// loadWide is loadRows with pixels ds ≥ c apart; it does not write to the gaps between
// them.
func (m *image) loadWide(dst []float32, ds, n, y0, y1 int) {
	row := m.width() * ds
	if m.left == 0 && m.right == 0 { // one row after the other
		lo := min(max(y0, 0), y1)
		hi := max(lo, min(y1, m.h))
		clear(dst[:(lo-y0)*row])
		m.load(dst[(lo-y0)*row:], ds, (n*m.h+lo)*m.w*m.c, m.c, (hi-lo)*m.w)
		clear(dst[(hi-y0)*row:][:(y1-hi)*row])
		return
	}
	for y := y0; y < y1; y++ {
		d := dst[(y-y0)*row:][:row]
		if y < 0 || y >= m.h {
			clear(d)
			continue
		}
		clear(d[:m.left*ds])
		m.load(d[m.left*ds:], ds, (n*m.h+y)*m.w*m.c, m.c, m.w)
		clear(d[(m.left+m.w)*ds:])
	}
}
