package kernel

import "vicreg/internal/parallel"

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
	Conv
	in      image     // what is gathered into columns
	out, w  []float32 // y, or dx
	packed  []float32 // weights
	half    bool      // products of bfloat16
	bands   bands     // pieces of the output
	workers int
	sums    bool
	tail    Tail     // inference
	fin     finisher // input gradient
	classes []class  // input gradient
}

func directForward(y []float32, s Conv, src Source, w []float32, sums *Sums, t Tail) {
	d := &direct
	d.Conv, d.out, d.w, d.sums, d.half, d.tail = s, y, w, sums != nil, s.bf16(), t
	d.in = image{reader: sourceReader(src, s.C), h: s.H, w: s.W, left: s.padW(), right: s.padW()}
	depth := s.R * s.S * s.C

	size, filled := packedLen(depth, s.K), false
	if t.Packed != nil {
		d.packed, filled = t.Packed.buffer(w, s, "direct", size)
	} else {
		sharedArena.reset(room(size))
		d.packed = sharedArena.take(size)
	}
	if !filled {
		if d.half {
			reserve(packedLen(depth, columnBlock))
		}
		parallel.For((s.K+columnBlock-1)/columnBlock, packForward)
	}

	rows := 0
	if pointwise(s) {
		// rows of one pixel
		pixels := s.N * s.H * s.W
		rows = roundUp(max(1, pieceFloats/(depth+s.K)), 14)
		d.bands = cut(1, pixels, min(rows, roundUp((pixels+7)/8, 14)), 14)
		reserve(room(d.bands.rows*padded(depth), 2*s.K))
	} else {
		perRow := s.OutW()*(depth+s.K) + s.Stride*d.in.width()*s.C
		rows = max(1, pieceFloats/perRow)
		d.bands = cut(s.N, s.OutH(), min(rows, (s.N*s.OutH()+7)/8), 1)
		images, rows := d.bands.images, d.bands.rows
		reserve(room(images*rows*s.OutW()*padded(depth), seen(s, rows)*d.in.width()*s.C, 2*s.K))
	}
	d.workers = parallel.Workers()
	pieces := d.bands.count()
	if d.sums {
		zeroPartials(pieces * 2 * s.K)
	}
	parallel.For(pieces, directForwardPiece)
	if d.sums {
		addPartials(sums, pieces, s.K)
	}
	d.in, d.out, d.w, d.packed, d.tail = image{}, nil, nil, nil, Tail{}
}

// pointwise reports whether input and output have the same pixels, each output pixel made of
// one input pixel: then the convolution is a matrix product.
func pointwise(s Conv) bool { return s.R == 1 && s.S == 1 && s.Pad == 0 && s.Stride == 1 }

// overlaps reports whether the input of a sequence can be multiplied where it lies.
// Neighbouring output pixels see r·c elements each, which overlap: that is a matrix
// whose rows lie less than their length apart. It does not work where values must be
// rounded, nor at distances that put the rows of a tile on the same cache lines.
func overlaps(apart int, half bool) bool { return !half && apart%512 != 0 }

// seen returns how many input rows are needed for some output rows.
func seen(s Conv, rows int) int { return (rows-1)*s.Stride + s.R }

func packForward(worker, piece int) {
	d := &direct
	depth, j := d.R*d.S*d.C, piece*columnBlock
	cols := min(columnBlock, d.K-j)
	b := Mat{Data: d.w[j:], Rows: depth, Cols: cols, Stride: d.K}
	if d.half {
		packPairs(d.packed[j*half(depth):], arenas[worker].buf, b)
	} else {
		packB(d.packed[j*depth:], b)
	}
}

func directForwardPiece(worker, piece int) {
	d := &direct
	m := &arenas[worker]
	m.used = 0
	b := d.bands.at(piece)
	depth := d.R * d.S * d.C
	cols, stride, first, pixels := gather(d.Conv, &d.in, m, b, d.room(m, d.bands, depth))
	if d.half {
		narrowColumns(cols, stride, pixels, depth)
	}
	var f fetcher
	f.add(d.out[first*d.K:][:pixels*d.K])
	if next := piece + d.workers; next < d.bands.count() {
		fetchColumns(d.Conv, &f, &d.in, d.bands.at(next))
	}
	f.plan(steps(pixels, d.K))
	d.multiply(pixels, d.K, depth, d.out[first*d.K:], d.K, cols, stride, d.packed, &f)
	if d.tail.on() {
		d.tail.rows(d.out, first*d.K, pixels)
	}
	if d.sums {
		sa, sb := piecePartials(piece, d.K)
		addSums(sa, sb, d.out[first*d.K:], d.K, pixels, d.K, m.take(2*d.K))
	}
}

// room returns memory to copy the rows of a dense convolution's pixels to, where they
// must be rounded; else nil.
func (d *directJob) room(m *arena, b bands, depth int) []float32 {
	if d.half && pointwise(d.Conv) {
		return m.take(b.rows * padded(depth))
	}
	return nil
}

// multiply multiplies by the packed weights, k values deep.
func (d *directJob) multiply(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, f *fetcher) {
	if d.half {
		k = half(k)
	}
	multiply(d.half, m, n, k, c, crs, a, ars, b, f)
}

// gather returns, for each output pixel of a band, the row of r·s·c elements that it
// sees, with rows stride apart; first is the first of those pixels. If dst is not nil
// the rows are written there.
func gather(s Conv, in *image, m *arena, b band, dst []float32) (cols []float32, stride, first, pixels int) {
	depth := s.R * s.S * s.C
	if pointwise(s) {
		first, pixels = b.y0, b.y1-b.y0
		if in.plain() && dst == nil && s.C%256 != 0 { // else rows of a tile would fall on the same cache lines
			return in.x[first*s.C:], s.C, first, pixels
		}
		stride = padded(depth)
		if cols = dst; cols == nil {
			cols = m.take(pixels * stride)
		}
		in.load(cols, stride, first*s.C, s.C, pixels)
		return cols, stride, first, pixels
	}
	stride = padded(depth)
	rows, ow, width := b.y1-b.y0, s.OutW(), in.width()
	first, pixels = (b.n0*s.OutH()+b.y0)*ow, (b.n1-b.n0)*rows*ow
	if dst == nil && s.Sequence && b.n1-b.n0 == 1 && overlaps(s.Stride*s.C, s.bf16()) {
		cols = m.take(seen(s, rows) * s.C)
		y := b.y0*s.Stride - s.Pad
		in.loadRows(cols, b.n0, y, y+seen(s, rows))
		return cols, s.Stride * s.C, first, pixels
	}
	if cols = dst; cols == nil {
		cols = m.take(pixels * stride)
	}
	if s.R == 1 && s.S == 1 && s.Pad == 0 { // some of the pixels, each a row
		if s.W == 1 { // of an image in one go
			for n := b.n0; n < b.n1; n++ {
				in.load(cols[(n-b.n0)*rows*stride:], stride, (n*s.H+b.y0*s.Stride)*s.C, s.Stride*s.C, rows)
			}
			return cols, stride, first, pixels
		}
		for n := b.n0; n < b.n1; n++ {
			for r := range rows {
				off := (n*s.H + (b.y0+r)*s.Stride) * s.W * s.C
				in.load(cols[((n-b.n0)*rows+r)*ow*stride:], stride, off, s.Stride*s.C, ow)
			}
		}
		return cols, stride, first, pixels
	}
	buf := m.take(seen(s, rows) * width * s.C)
	for n := b.n0; n < b.n1; n++ {
		y := b.y0*s.Stride - s.Pad
		in.loadRows(buf, n, y, y+seen(s, rows))
		if s.Sequence {
			gatherRows(cols[(n-b.n0)*rows*stride:], stride, buf, s.Stride*s.C, rows, 1, 0, depth)
			continue
		}
		for r := range rows {
			gatherRows(cols[((n-b.n0)*rows+r)*ow*stride:], stride, buf[r*s.Stride*width*s.C:],
				s.Stride*s.C, ow, s.R, width*s.C, s.S*s.C)
		}
	}
	return cols, stride, first, pixels
}

// fetchColumns queues what columns will read.
func fetchColumns(s Conv, f *fetcher, in *image, b band) {
	if pointwise(s) {
		f.add(in.x[b.y0*s.C : b.y1*s.C])
		return
	}
	y := b.y0*s.Stride - s.Pad
	in.fetchRows(f, b.n0, b.n1, y, y+seen(s, b.y1-b.y0))
}
