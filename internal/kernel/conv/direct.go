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

// leastPieces is the least number of pieces to have, where there are as many rows.
const leastPieces = 16

// endsInRegisters lets products be finished where they are made.
var endsInRegisters = true

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
	pairs   bool          // of values that are bfloat16 already, gathered as pairs of neighbours
	bands   scratch.Bands // pieces of the output
	workers int
	sums    bool
	tail    pass.Tail    // inference
	ends    bool         // the tail is done in registers
	fin     row.Finisher // input gradient
	classes []class      // input gradient
}

func directForward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums, t pass.Tail) {
	d := &direct
	d.Conv, d.out, d.w, d.sums, d.half, d.tail = s, y, w, sums != nil, s.BF16(), t
	d.in = row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W, Left: s.PadW(), Right: s.PadW()}
	d.pairs = d.half && src.X.Half() && s.C%2 == 0
	d.ends = d.half && endsInRegisters && t.Ends(y)
	depth, wide := s.R*s.S*s.C, s.R*s.S*s.C/d.unit()

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
		rows = scratch.RoundUp(max(1, d.pieceFloats()/(wide+s.K)), 14)
		d.bands = scratch.Cut(1, pixels, min(rows, scratch.RoundUp((pixels+leastPieces-1)/leastPieces, 14)), 14)
		scratch.Reserve(scratch.Room(d.bands.Rows*scratch.Padded(wide), 2*s.K, d.productRoom(d.bands.Rows)))
	} else {
		perRow := s.OutW()*(wide+s.K) + s.Stride*d.in.Width()*s.C/d.unit()
		rows = max(1, d.pieceFloats()/perRow)
		d.bands = scratch.Cut(s.N, s.OutH(), min(rows, (s.N*s.OutH()+leastPieces-1)/leastPieces), 1)
		pixels := d.bands.Images * d.bands.Rows * s.OutW()
		scratch.Reserve(scratch.Room(pixels*scratch.Padded(wide), seen(s, d.bands.Rows)*d.in.Width()*s.C, 2*s.K,
			d.productRoom(pixels)))
	}
	d.workers = parallel.Workers()
	pieces := d.bands.Count()
	if d.sums {
		scratch.MakePartials(pieces * 2 * s.K)
	}
	parallel.For(pieces, directForwardPiece)
	if d.sums {
		scratch.AddPartials(sums, pieces, s.K)
	}
	d.in, d.out, d.w, d.packed, d.tail, d.ends = row.Image{}, shape.Values{}, nil, nil, pass.Tail{}, false
}

// pieceFloats is less where products are so fast that they would wait for what is not in the cache, of which another
// thread of the core may have half: see tiledFloats.
func (d *directJob) pieceFloats() int {
	if d.half && product.HasRuns() {
		return pieceFloats / 2
	}
	return pieceFloats
}

// unit returns how many values an element of what is gathered holds.
func (d *directJob) unit() int { return unit(d.pairs) }

func unit(pairs bool) int {
	if pairs {
		return 2
	}
	return 1
}

// valuesOf returns room for what is gathered: float32, or twice as many bfloat16.
func valuesOf(x []float32, pairs bool) shape.Values {
	if pairs {
		return shape.Halves(row.Halves(x))
	}
	return shape.Floats(x)
}

// productRoom returns the room for the products of some output pixels, which an output of
// bfloat16 is rounded from.
func (d *directJob) productRoom(pixels int) int {
	switch {
	case d.ends:
		return product.EndRoom(pixels, product.Half(d.R*d.S*d.C))
	case d.out.Half():
		return pixels * scratch.Padded(d.K)
	}
	return 0
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
	cols, stride, first, pixels := gather(d.Conv, &d.in, m, b, d.room(m, d.bands, depth), d.pairs)
	if d.half && !d.pairs {
		product.NarrowColumns(cols, stride, pixels, depth)
	}
	var f product.Fetcher
	d.tail.Fetch(&f, d.out, first*d.K, (first+pixels)*d.K)
	if next := piece + d.workers; next < d.bands.Count() {
		fetchColumns(d.Conv, &f, &d.in, d.bands.At(next))
	}
	f.Plan(product.Steps(pixels, d.K))
	if d.ends {
		end := d.tail.End(d.out, first*d.K)
		k := product.Half(depth)
		product.MultiplyEnd(&end, pixels, d.K, k, m.Take(product.EndRoom(pixels, k)), cols, stride, d.packed, &f)
		return
	}
	var prod []float32
	ps := d.K
	if d.out.Half() {
		ps = scratch.Padded(d.K)
		prod = m.Take(pixels * ps)
	} else {
		prod = d.out.F[first*d.K:]
	}
	d.multiply(pixels, d.K, depth, prod, ps, cols, stride, d.packed, &f)
	switch {
	case d.tail.On():
		d.tail.Store(d.out, first*d.K, d.K, prod, ps, pixels, 0, d.K)
	case d.sums:
		sa, sb := scratch.PiecePartials(piece, d.K)
		row.Store(d.out, first*d.K, d.K, prod, ps, pixels, d.K, sa, sb, m.Take(2*d.K))
	default:
		row.Store(d.out, first*d.K, d.K, prod, ps, pixels, d.K, nil, nil, nil)
	}
}

// room returns memory to copy the rows of a pointwise convolution's pixels to, where they
// must be rounded; else nil.
func (d *directJob) room(m *scratch.Arena, b scratch.Bands, depth int) []float32 {
	if d.half && !d.pairs && pointwise(d.Conv) {
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
// the rows are written there. As pairs, an element holds two values of bfloat16.
func gather(s shape.Conv, in *row.Image, m *scratch.Arena, b scratch.Band, dst []float32, pairs bool) (cols []float32,
	stride, first, pixels int) {
	u := unit(pairs)
	c := s.C / u
	depth := s.R * s.S * c
	if pointwise(s) {
		first, pixels = b.Y0, b.Y1-b.Y0
		if in.Plain() && dst == nil && !product.Collide(c, s.BF16()) {
			switch {
			case pairs:
				return row.Pairs(in.X.H[first*s.C:]), c, first, pixels
			case !in.X.Half():
				return in.X.F[first*c:], c, first, pixels
			}
		}
		stride = scratch.Padded(depth)
		if cols = dst; cols == nil {
			cols = m.Take(pixels * stride)
		}
		in.Load(valuesOf(cols, pairs), stride*u, first*s.C, s.C, pixels)
		return cols, stride, first, pixels
	}
	stride = scratch.Padded(depth)
	rows, ow, width := b.Y1-b.Y0, s.OutW(), in.Width()
	first, pixels = (b.N0*s.OutH()+b.Y0)*ow, (b.N1-b.N0)*rows*ow
	if dst == nil && s.Sequence && b.N1-b.N0 == 1 && overlaps(s.Stride*c, s.BF16() && !pairs) {
		cols = m.Take(seen(s, rows) * c)
		y := b.Y0*s.Stride - s.Pad
		in.LoadRows(valuesOf(cols, pairs), b.N0, y, y+seen(s, rows))
		return cols, s.Stride * c, first, pixels
	}
	if cols = dst; cols == nil {
		cols = m.Take(pixels * stride)
	}
	if s.R == 1 && s.S == 1 && s.Pad == 0 { // some of the pixels, each a row
		to := valuesOf(cols, pairs)
		if s.W == 1 { // of an image in one go
			for n := b.N0; n < b.N1; n++ {
				in.Load(to.From((n-b.N0)*rows*stride*u), stride*u, (n*s.H+b.Y0*s.Stride)*s.C, s.Stride*s.C, rows)
			}
			return cols, stride, first, pixels
		}
		for n := b.N0; n < b.N1; n++ {
			for r := range rows {
				off := (n*s.H + (b.Y0+r)*s.Stride) * s.W * s.C
				in.Load(to.From(((n-b.N0)*rows+r)*ow*stride*u), stride*u, off, s.Stride*s.C, ow)
			}
		}
		return cols, stride, first, pixels
	}
	buf := m.Take(seen(s, rows) * width * c)
	for n := b.N0; n < b.N1; n++ {
		y := b.Y0*s.Stride - s.Pad
		in.LoadRows(valuesOf(buf, pairs), n, y, y+seen(s, rows))
		if s.Sequence {
			row.Gather(cols[(n-b.N0)*rows*stride:], stride, buf, s.Stride*c, rows, 1, 0, depth)
			continue
		}
		for r := range rows {
			row.Gather(cols[((n-b.N0)*rows+r)*ow*stride:], stride, buf[r*s.Stride*width*c:],
				s.Stride*c, ow, s.R, width*c, s.S*c)
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
