package conv

import (
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Direct convolution. The output is cut into pieces small enough for their operands to
// stay in the second-level cache. A piece loads its input through the Source into a
// zero-bordered buffer, gathers r·s·c elements for each output pixel into a row
// (im2col), and multiplies these rows by the weights, which are packed once a call.

// pieceFloats is how much of the cache the operands of a piece may take.
var pieceFloats = 112 << 10

// direct is the direct convolution under way. The functions of its pieces read
// it, so that a call allocates nothing.
var direct directJob

type directJob struct {
	shape.Conv
	in      row.Image    // what is gathered into columns
	out     shape.Values // y, or dx
	w       []float32
	packed  []float32     // weights
	half    bool          // products of bfloat16
	bands   scratch.Bands // pieces of the output
	workers int
	sums    bool
	tail    pass.Tail    // inference
	fin     row.Finisher // input gradient
	classes []class      // input gradient
}

func directForward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums, t pass.Tail) {
	d := &direct
	d.Conv, d.out, d.w, d.sums, d.half, d.tail = s, y, w, sums != nil, s.BF16(), t
	d.in = row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W, Left: s.PadW(), Right: s.PadW()}
	depth := s.R * s.S * s.C

	size, filled := product.PackedLen(depth, s.K), false
	if t.Packed != nil {
		d.packed, filled = t.Packed.Buffer(w, s, "direct", size)
	} else {
		scratch.Shared.Reset(scratch.Room(size))
		d.packed = scratch.Shared.Take(size)
	}
	if !filled {
		if d.half {
			scratch.Reserve(product.PackedLen(depth, product.ColumnBlock))
		}
		parallel.For((s.K+product.ColumnBlock-1)/product.ColumnBlock, packForward)
	}

	rows := 0
	if pointwise(s) {
		// rows of one pixel
		pixels := s.N * s.H * s.W
		rows = scratch.RoundUp(max(1, pieceFloats/(depth+s.K)), 14)
		d.bands = scratch.Cut(1, pixels, min(rows, scratch.RoundUp((pixels+7)/8, 14)), 14)
		scratch.Reserve(scratch.Room(d.bands.Rows*scratch.Padded(depth), 2*s.K))
	} else {
		perRow := s.OutW()*(depth+s.K) + s.Stride*d.in.Width()*s.C
		rows = max(1, pieceFloats/perRow)
		d.bands = scratch.Cut(s.N, s.OutH(), min(rows, (s.N*s.OutH()+7)/8), 1)
		images, rows := d.bands.Images, d.bands.Rows
		scratch.Reserve(scratch.Room(images*rows*s.OutW()*scratch.Padded(depth), seen(s, rows)*d.in.Width()*s.C, 2*s.K))
	}
	d.workers = parallel.Workers()
	pieces := d.bands.Count()
	if d.sums {
		scratch.ZeroPartials(pieces * 2 * s.K)
	}
	parallel.For(pieces, directForwardPiece)
	if d.sums {
		scratch.AddPartials(sums, pieces, s.K)
	}
	d.in, d.out, d.w, d.packed, d.tail = row.Image{}, shape.Values{}, nil, nil, pass.Tail{}
}

// pointwise reports whether input and output have the same pixels, each output pixel made of
// one input pixel: then the convolution is a matrix product.
func pointwise(s shape.Conv) bool { return s.R == 1 && s.S == 1 && s.Pad == 0 && s.Stride == 1 }

// overlaps reports whether the input of a sequence can be multiplied where it lies.
// Neighbouring output pixels see r·c elements each, which overlap: that is a matrix
// whose rows lie less than their length apart. It does not work where values must be
// rounded, nor at distances that put the rows of a tile on the same cache lines.
func overlaps(apart int, half bool) bool { return !half && apart%512 != 0 }

// seen returns how many input rows are needed for some output rows.
func seen(s shape.Conv, rows int) int { return (rows-1)*s.Stride + s.R }

func packForward(worker, piece int) {
	d := &direct
	depth, j := d.R*d.S*d.C, piece*product.ColumnBlock
	cols := min(product.ColumnBlock, d.K-j)
	b := product.Mat{Data: d.w[j:], Rows: depth, Cols: cols, Stride: d.K}
	if d.half {
		product.PackPairs(d.packed[j*product.Half(depth):], scratch.Arenas[worker].Buf, b)
	} else {
		product.PackB(d.packed[j*depth:], b)
	}
}

func directForwardPiece(worker, piece int) {
	d := &direct
	m := &scratch.Arenas[worker]
	m.Used = 0
	b := d.bands.At(piece)
	depth := d.R * d.S * d.C
	cols, stride, first, pixels := gather(d.Conv, &d.in, m, b, d.room(m, d.bands, depth))
	if d.half {
		product.NarrowColumns(cols, stride, pixels, depth)
	}
	var f product.Fetcher
	out := d.out.Floats()
	f.Add(d.out.Memory(first*d.K, (first+pixels)*d.K))
	if next := piece + d.workers; next < d.bands.Count() {
		fetchColumns(d.Conv, &f, &d.in, d.bands.At(next))
	}
	f.Plan(product.Steps(pixels, d.K))
	d.multiply(pixels, d.K, depth, out[first*d.K:], d.K, cols, stride, d.packed, &f)
	if d.tail.On() {
		d.tail.Rows(out, first*d.K, pixels)
	}
	if d.sums {
		sa, sb := scratch.PiecePartials(piece, d.K)
		row.AddSums(sa, sb, out[first*d.K:], d.K, pixels, d.K, m.Take(2*d.K))
	}
}

// room returns memory to copy the rows of a pointwise convolution's pixels to, where they
// must be rounded; else nil.
func (d *directJob) room(m *scratch.Arena, b scratch.Bands, depth int) []float32 {
	if d.half && pointwise(d.Conv) {
		return m.Take(b.Rows * scratch.Padded(depth))
	}
	return nil
}

// multiply multiplies by the packed weights, k values deep.
func (d *directJob) multiply(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, f *product.Fetcher) {
	if d.half {
		k = product.Half(k)
	}
	product.Multiply(d.half, m, n, k, c, crs, a, ars, b, f)
}

// gather returns, for each output pixel of a band, the row of r·s·c elements that it
// sees, with rows stride apart; first is the first of those pixels. If dst is not nil
// the rows are written there.
func gather(s shape.Conv, in *row.Image, m *scratch.Arena, b scratch.Band, dst []float32) (cols []float32,
	stride, first, pixels int) {
	depth := s.R * s.S * s.C
	if pointwise(s) {
		first, pixels = b.Y0, b.Y1-b.Y0
		if in.Plain() && dst == nil && s.C%256 != 0 { // else rows of a tile would fall on the same cache lines
			return in.X.Floats()[first*s.C:], s.C, first, pixels
		}
		stride = scratch.Padded(depth)
		if cols = dst; cols == nil {
			cols = m.Take(pixels * stride)
		}
		in.Load(cols, stride, first*s.C, s.C, pixels)
		return cols, stride, first, pixels
	}
	stride = scratch.Padded(depth)
	rows, ow, width := b.Y1-b.Y0, s.OutW(), in.Width()
	first, pixels = (b.N0*s.OutH()+b.Y0)*ow, (b.N1-b.N0)*rows*ow
	if dst == nil && s.Sequence && b.N1-b.N0 == 1 && overlaps(s.Stride*s.C, s.BF16()) {
		cols = m.Take(seen(s, rows) * s.C)
		y := b.Y0*s.Stride - s.Pad
		in.LoadRows(cols, b.N0, y, y+seen(s, rows))
		return cols, s.Stride * s.C, first, pixels
	}
	if cols = dst; cols == nil {
		cols = m.Take(pixels * stride)
	}
	if s.R == 1 && s.S == 1 && s.Pad == 0 { // some of the pixels, each a row
		if s.W == 1 { // of an image in one go
			for n := b.N0; n < b.N1; n++ {
				in.Load(cols[(n-b.N0)*rows*stride:], stride, (n*s.H+b.Y0*s.Stride)*s.C, s.Stride*s.C, rows)
			}
			return cols, stride, first, pixels
		}
		for n := b.N0; n < b.N1; n++ {
			for r := range rows {
				off := (n*s.H + (b.Y0+r)*s.Stride) * s.W * s.C
				in.Load(cols[((n-b.N0)*rows+r)*ow*stride:], stride, off, s.Stride*s.C, ow)
			}
		}
		return cols, stride, first, pixels
	}
	buf := m.Take(seen(s, rows) * width * s.C)
	for n := b.N0; n < b.N1; n++ {
		y := b.Y0*s.Stride - s.Pad
		in.LoadRows(buf, n, y, y+seen(s, rows))
		if s.Sequence {
			row.Gather(cols[(n-b.N0)*rows*stride:], stride, buf, s.Stride*s.C, rows, 1, 0, depth)
			continue
		}
		for r := range rows {
			row.Gather(cols[((n-b.N0)*rows+r)*ow*stride:], stride, buf[r*s.Stride*width*s.C:],
				s.Stride*s.C, ow, s.R, width*s.C, s.S*s.C)
		}
	}
	return cols, stride, first, pixels
}

// fetchColumns queues what columns will read.
func fetchColumns(s shape.Conv, f *product.Fetcher, in *row.Image, b scratch.Band) {
	if pointwise(s) {
		f.Add(in.X.Memory(b.Y0*s.C, b.Y1*s.C))
		return
	}
	y := b.Y0*s.Stride - s.Pad
	in.FetchRows(f, b.N0, b.N1, y, y+seen(s, b.Y1-b.Y0))
}
