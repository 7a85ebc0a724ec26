// Package row holds passes over rows of channels, on the calling worker: convolutions and
// the passes over whole activations are made of them.
package row

import (
	"math"
	"unsafe"

	"vicreg/internal/kernel/shape"
)

// Reader reads pixels of an activation through its [shape.Source], or of a gradient
// through its [shape.Grad], in the load stage of a kernel.
type Reader struct {
	X, Y               shape.Values
	Scale, Other, Coef []float32 // scale·x + other·y + coef, or nil
	Lo                 float32
	C                  int
}

var MinusInf = float32(math.Inf(-1))

func ReadSource(s shape.Source, c int) Reader {
	r := Reader{X: s.X, Scale: s.Scale, Coef: s.Shift, Lo: MinusInf, C: c}
	if s.ReLU {
		r.Lo = 0
		if r.Scale == nil {
			r.Scale, r.Coef = Constants(c)
		}
	}
	return r
}

func ReadGrad(g shape.Grad, c int) Reader {
	return Reader{X: g.D, Y: g.Y, Scale: g.A, Other: g.B, Coef: g.K, Lo: MinusInf, C: c}
}

// Plain reports whether reading is mere copying.
func (r *Reader) Plain() bool { return r.Scale == nil }

// Load reads pixels whose first channels are at off, off+stride, … into rows of dst,
// which lie ds apart.
func (r *Reader) Load(dst shape.Values, ds, off, stride, pixels int) {
	if pixels == 0 {
		return
	}
	switch x := r.X.From(off); {
	case r.Scale == nil:
		CopyTo(dst, ds, x, stride, pixels, r.C)
	case r.Other == nil:
		AffineTo(dst, ds, x, stride, pixels, r.C, r.Scale, r.Coef, r.Lo)
	default:
		GradTo(dst, ds, x, r.Y.From(off), stride, pixels, r.C, r.Scale, r.Other, r.Coef)
	}
}

func Copy(dst []float32, ds int, src []float32, ss, rows, c int) {
	for r := range rows {
		copy(dst[r*ds:][:c], src[r*ss:])
	}
}

// Ones and zeros stand in for operands that are absent. They only grow, and never while
// a parallel loop runs.
var Ones, Zeros []float32

func Constants(c int) (one, zero []float32) {
	if len(Ones) < c {
		n := max(c, 1024)
		Ones, Zeros = make([]float32, n), make([]float32, n)
		halfOnes, halfZeros = make([]uint16, n), make([]uint16, n)
		for i := range Ones {
			Ones[i], halfOnes[i] = 1, shape.Narrow(1)
		}
	}
	return Ones[:c], Zeros[:c]
}

// SumBlock is how many rows are summed in float32 before the sum goes into a float64.
const SumBlock = 64

// AddSums adds Σ y and Σ y² over rows to sums a and b. part holds 2·c elements.
func AddSums(a, b []float64, y []float32, ys, rows, c int, part []float32) {
	for r := 0; r < rows; r += SumBlock {
		Sum(y[r*ys:], ys, min(SumBlock, rows-r), c, part[:c], part[c:2*c])
		AddWide(a[:c], part[:c])
		AddWide(b[:c], part[c:2*c])
	}
}

// Finisher applies a [shape.Finish] to products as they are made.
type Finisher struct {
	shape.Finish
	scale, shift []float32 // of the mask
	c            int
	Stream       bool // dst goes past the caches
	SumsOnly     bool // dst is not written, and part holds 3·c elements
}

// StreamFloats is the size from which a result is too large to be in a cache still when
// it is read next.
var StreamFloats = 8 << 20

// NewFinisher returns a finisher for gradients that go to dst.
func NewFinisher(dst shape.Values, f shape.Finish, c int) Finisher {
	one, zero := Constants(c)
	aliased := f.Add.Same(dst)
	r := Finisher{Finish: f, scale: one, shift: zero, c: c, Stream: !aliased && !dst.Half() && Streams(dst.F, c)}
	if !f.Mask.X.None() && f.Mask.Scale != nil {
		r.scale, r.shift = f.Mask.Scale, f.Mask.Shift
	}
	return r
}

// Store finishes pixels of all channels; see storeColumns.
func (f *Finisher) Store(dst shape.Values, off, stride int, prod []float32, ps, rows int, a, b []float64,
	part []float32) {
	f.StoreColumns(dst, off, stride, prod, ps, rows, 0, f.c, a, b, part)
}

// StoreColumns finishes channels [col, col+c) of pixels. Products come in rows of prod,
// ps apart; nil means that all are zero. They go to dst[off:], stride apart, where off
// counts from the start of the gradient and is in channel col. If f.Sums is set, a and b
// get the sums of all channels; part holds 2·c zeros.
func (f *Finisher) StoreColumns(to shape.Values, off, stride int, prod []float32, ps, rows, col, c int, a, b []float64,
	part []float32) {
	if rows == 0 {
		return
	}
	switch {
	case f.mixed(to):
		f.storeMixed(to, off, stride, prod, ps, rows, col, c, a, b)
		return
	case to.Half():
		f.storeHalf(to, off, stride, prod, ps, rows, col, c, a, b, part)
		return
	}
	dst, add, mask, dot := to.F, f.Add.F, f.Mask.X.F, f.Dot.F
	last := off + (rows-1)*stride + c - 1
	_ = dst[last]
	args := finishArgs{
		ds: stride, prod: &Zeros[0], add: &Zeros[0], mask: &Ones[0], dot: &Zeros[0],
		scale: &f.scale[col], shift: &f.shift[col],
		sum: &part[0], sumDot: &part[c], c: c,
	}
	if prod != nil {
		_ = prod[(rows-1)*ps+c-1]
		args.ps = ps
	}
	if add != nil {
		_ = add[last]
		args.as = stride
	}
	if mask != nil {
		_ = mask[last]
		args.ms = stride
	}
	block := rows
	if f.Sums != nil {
		_ = dot[last]
		args.dots, block = stride, SumBlock
	}
	for r := 0; r < rows; r += block {
		o := off + r*stride
		args.rows = min(block, rows-r)
		if args.dst = &dst[o]; f.SumsOnly {
			args.dst, args.ds = &part[2*c], 0
		}
		if prod != nil {
			args.prod = &prod[r*ps]
		}
		if add != nil {
			args.add = &add[o]
		}
		if mask != nil {
			args.mask = &mask[o]
		}
		if f.Sums == nil {
			finishRows(&args, f.Stream)
			continue
		}
		args.dot = &dot[o]
		finishRows(&args, f.Stream)
		AddWide(a[col:col+c], part[:c])
		AddWide(b[col:col+c], part[c:2*c])
	}
}

// Done ends a piece.
func (f *Finisher) Done() {
	if f.Stream {
		Fence()
	}
}

func span(p *float32, n int) []float32 { return unsafe.Slice(p, n) }

// row returns the c elements that begin off elements after p.
func row(p *float32, off, c int) []float32 {
	return span((*float32)(unsafe.Add(unsafe.Pointer(p), off*4)), c)
}

// Image is how a tensor of n × h × w pixels is read into zero-bordered buffers.
type Image struct {
	Reader
	H, W        int
	Left, Right int // columns of zeros around each row
}

// Width returns the pixels of a row with its border.
func (m *Image) Width() int { return m.Left + m.W + m.Right }

// LoadRows reads rows [y0, y1) of image n; rows outside of the image become zeros.
func (m *Image) LoadRows(dst shape.Values, n, y0, y1 int) { m.LoadWide(dst, m.C, n, y0, y1) }

// LoadWide is loadRows with pixels ds ≥ c apart; it does not write to the gaps between
// them.
func (m *Image) LoadWide(dst shape.Values, ds, n, y0, y1 int) {
	row := m.Width() * ds
	if m.Left == 0 && m.Right == 0 { // one row after the other
		lo := min(max(y0, 0), y1)
		hi := max(lo, min(y1, m.H))
		dst.Clear(0, (lo-y0)*row)
		if hi > lo {
			m.Load(dst.From((lo-y0)*row), ds, (n*m.H+lo)*m.W*m.C, m.C, (hi-lo)*m.W)
		}
		dst.Clear((hi-y0)*row, (y1-y0)*row)
		return
	}
	for y := y0; y < y1; y++ {
		at := (y - y0) * row
		if y < 0 || y >= m.H {
			dst.Clear(at, at+row)
			continue
		}
		dst.Clear(at, at+m.Left*ds)
		m.Load(dst.From(at+m.Left*ds), ds, (n*m.H+y)*m.W*m.C, m.C, m.W)
		dst.Clear(at+(m.Left+m.W)*ds, at+row)
	}
}
