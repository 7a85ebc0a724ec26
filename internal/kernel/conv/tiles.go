package conv

import (
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Where products of bfloat16 run on tiles, arithmetic takes so little time that copying
// what each output pixel sees would take most of it. So a convolution of stride 1 loads its
// input into a zero-bordered buffer of bfloat16 and multiplies it there: the s·c values
// that an output pixel sees in one row of the input are a run, and those of the next pixel
// begin c values later. Rows of the buffer follow each other, so the pixels of all its rows
// make one product. That also computes what lies between the last pixel of a row and the
// first of the next, s − 1 pixels that no one reads.
//
// The input gradient is the same over the output gradient, with the weights turned by 180°.

// tiledFloats is how much of the second-level cache the operands of a piece may take. Two threads of a core share
// it, with the weights and what is fetched: at four times as much, inference on 16 threads of 8 cores took 1.1
// times as long.
var tiledFloats = 64 << 10

// tiledPieces is the least number of pieces to have.
const tiledPieces = 32

// tiled reports whether a convolution that reads so many channels goes this way.
func tiled(s shape.Conv, channels, width int) bool {
	return product.HasRuns() && s.BF16() && s.Stride == 1 && !s.Sequence && s.R > 1 && s.Pad < min(s.R, s.S) &&
		channels%2 == 0 && s.S-1 <= width
}

// tiledConv is the convolution under way.
var tiledConv tiledJob

type tiledJob struct {
	shape.Conv
	in       row.Image
	top      int // rows of the input above the first of the output
	c        int // channels that are read
	h, w, k  int // of what is written
	out      shape.Values
	weights  []float32
	backward bool
	packed   []float32
	bands    scratch.Bands // of the output
	workers  int
	sums     bool
	tail     pass.Tail
	fin      row.Finisher
}

func tiledForward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums, t pass.Tail) {
	d := &tiledConv
	*d = tiledJob{Conv: s, top: s.Pad, c: s.C, h: s.OutH(), w: s.OutW(), k: s.K, out: y, weights: w, sums: sums != nil,
		tail: t, in: row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W, Left: s.Pad, Right: s.Pad}}
	d.run(sums, t.Packed)
}

func tiledInputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	d := &tiledConv
	left := s.S - 1 - s.Pad
	*d = tiledJob{Conv: s, top: s.R - 1 - s.Pad, c: s.K, h: s.H, w: s.W, k: s.C, out: dx, weights: w, backward: true,
		sums: f.Sums != nil, fin: row.NewFinisher(dx, f, s.C),
		in: row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW(), Left: left, Right: left}}
	d.run(f.Sums, nil)
}

// depth returns how many rows of pairs the weights of one column take.
func (d *tiledJob) depth() int { return d.R * product.RunDepth(d.S*d.c/2) }

func (d *tiledJob) run(sums *shape.Sums, keep *pass.Packed) {
	depth := d.depth()
	size, filled := product.PackedLen(depth, d.k), false
	if keep != nil {
		d.packed, filled = keep.Buffer(d.weights, d.Conv, "tiled", size)
	} else {
		scratch.Shared.Reset(scratch.Room(size))
		d.packed = scratch.Shared.Take(size)
	}
	if !filled {
		run := 2 * product.RunDepth(d.S*d.c/2)
		scratch.Reserve(scratch.Room(run*product.ColumnBlock, product.PackedLen(run, product.ColumnBlock)))
		parallel.For((d.k+product.ColumnBlock-1)/product.ColumnBlock*d.R, tiledPack)
	}
	perRow := d.in.Width() * (d.c/2 + scratch.Padded(d.k))
	rows := max(1, tiledFloats/perRow)
	d.bands = scratch.Cut(d.N, d.h, min(rows, (d.N*d.h+tiledPieces-1)/tiledPieces), 1)
	images := d.bands.Images
	scratch.Reserve(scratch.Room(images*d.pitch(d.bands.Rows)+product.RunDepth(1),
		images*d.pixels(d.bands.Rows)*scratch.Padded(d.k), 2*d.k))
	d.workers = parallel.Workers()
	pieces := d.bands.Count()
	if d.sums {
		scratch.ZeroPartials(pieces * 2 * d.k)
	}
	parallel.For(pieces, tiledPiece)
	if d.sums {
		scratch.AddPartials(sums, pieces, d.k)
	}
	*d = tiledJob{}
}

// pitch returns how many pairs some output rows of an image read.
func (d *tiledJob) pitch(rows int) int { return (rows + d.R - 1) * d.in.Width() * d.c / 2 }

// pixels returns how many pixels are computed for some output rows of an image.
func (d *tiledJob) pixels(rows int) int { return (rows-1)*d.in.Width() + d.w }

// tiledPack packs a panel of the weights that a run meets, and zeros after them.
func tiledPack(worker, piece int) {
	d := &tiledConv
	m := &scratch.Arenas[worker]
	m.Used = 0
	j, r := piece/d.R*product.ColumnBlock, piece%d.R
	cols, run := min(product.ColumnBlock, d.k-j), d.S*d.c
	b := product.Mat{Rows: 2 * product.RunDepth(run/2), Cols: cols}
	if !d.backward && b.Rows == run {
		b.Data, b.Stride = d.weights[r*run*d.K+j:], d.K
	} else {
		b.Data = m.Take(b.Rows * cols)
		d.weightRows(b.Data, r, j, cols)
		clear(b.Data[run*cols:])
	}
	width := product.PackedLen(1, cols)
	product.PackPairs(d.packed[j*d.depth()+r*b.Rows/2*width:], m.Take(product.PackedLen(b.Rows, cols)), b)
}

// weightRows writes the weights that run r meets, columns from j on.
func (d *tiledJob) weightRows(rows []float32, r, j, cols int) {
	if !d.backward {
		for i := range d.S * d.C {
			copy(rows[i*cols:][:cols], d.weights[(r*d.S*d.C+i)*d.K+j:])
		}
		return
	}
	for t := range d.S { // taps from the last to the first
		tap := d.weights[(((d.R-1-r)*d.S+d.S-1-t)*d.C+j)*d.K:]
		product.Transpose(rows[t*d.K*cols:], cols, tap, d.K, cols, d.K)
	}
}

func tiledPiece(worker, piece int) {
	d := &tiledConv
	m := &scratch.Arenas[worker]
	m.Used = 0
	b := d.bands.At(piece)
	images, rows, across := b.N1-b.N0, b.Y1-b.Y0, d.in.Width()
	pitch, pixels, ps := d.pitch(rows), d.pixels(rows), scratch.Padded(d.k)
	in := m.Take(images*pitch + product.RunDepth(1)) // the last run goes on behind the image
	for n := range images {
		d.in.LoadRows(valuesOf(in[n*pitch:], true), b.N0+n, b.Y0-d.top, b.Y1-d.top+d.R-1)
	}
	clear(in[images*pitch:])
	prod := m.Take(images * pixels * ps)
	var f product.Fetcher
	d.fetch(&f, b, piece)
	product.MultiplyRuns(pixels, d.k, prod, ps, pixels*ps, product.Runs{Data: in, Step: d.c / 2, Count: d.R,
		Length: d.S * d.c / 2, Apart: across * d.c / 2, Blocks: images, Next: pitch}, d.packed, &f)

	var sa, sb []float64
	if d.sums {
		sa, sb = scratch.PiecePartials(piece, d.k)
	}
	part := m.Take(2 * d.k)
	clear(part)
	for n := range images {
		for y := range rows {
			d.store(((b.N0+n)*d.h+b.Y0+y)*d.w*d.k, prod[(n*pixels+y*across)*ps:], ps, sa, sb, part)
		}
	}
	if d.backward {
		d.fin.Done()
	}
}

// store finishes a row of the output, which begins at element off.
func (d *tiledJob) store(off int, prod []float32, ps int, sa, sb []float64, part []float32) {
	switch {
	case d.backward:
		d.fin.Store(d.out, off, d.k, prod, ps, d.w, sa, sb, part)
	case d.tail.On():
		d.tail.Store(d.out, off, d.k, prod, ps, d.w, 0, d.k)
	default:
		row.Store(d.out, off, d.k, prod, ps, d.w, d.k, sa, sb, part)
	}
}

// fetch queues what a band writes, and what the worker is likely to read next.
func (d *tiledJob) fetch(f *product.Fetcher, b scratch.Band, piece int) {
	lo, hi := (b.N0*d.h+b.Y0)*d.w*d.k, ((b.N1-1)*d.h+b.Y1)*d.w*d.k
	if d.backward {
		d.fin.Fetch(f, d.out, lo, hi)
	} else {
		d.tail.Fetch(f, d.out, lo, hi)
	}
	if next := piece + d.workers; next < d.bands.Count() {
		b := d.bands.At(next)
		d.in.FetchRows(f, b.N0, b.N1, b.Y0-d.top, b.Y1-d.top+d.R-1)
	}
}
