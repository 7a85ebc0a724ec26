package conv

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// The input gradient of a convolution of stride t. Input pixels fall into t × t classes,
// by the remainders of their padded positions. All pixels of a class meet the same
// weights, r = y mod t, y mod t + t, …, so a class is like the output of a convolution
// of stride 1 over the output gradient. Thus no sum is scattered, and each piece owns
// whole rows of the result.

// class is one class of input pixels.
type class struct {
	y, x           int // first row and column of the class
	rows, cols     int // taps: from the last to the first, t apart
	tapY, tapX     int // the first taps
	outY, outX     int // the output pixel of the last taps, at the first pixel
	depth          int // rows · cols · k
	packed, length int // its weights
}

// classesOf appends the classes of s to list.
func classesOf(list []class, s shape.Conv) []class {
	packed := 0
	for y := range min(s.Stride, s.H) {
		for x := range min(s.Stride, s.W) {
			c := class{y: y, x: x, tapY: (y + s.Pad) % s.Stride, tapX: (x + s.PadW()) % s.Stride}
			c.rows = max(0, (s.R-c.tapY+s.Stride-1)/s.Stride)
			c.cols = max(0, (s.S-c.tapX+s.Stride-1)/s.Stride)
			c.outY = (y+s.Pad-c.tapY)/s.Stride - (c.rows - 1)
			c.outX = (x+s.PadW()-c.tapX)/s.Stride - (c.cols - 1)
			c.depth = c.rows * c.cols * s.K
			c.packed, c.length = packed, product.PackedLen(c.depth, s.C)
			packed += scratch.RoundUp(c.length, scratch.LineFloats)
			list = append(list, c)
		}
	}
	return list
}

func directInputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	d := &direct
	d.Conv, d.out, d.w, d.half = s, dx, w, s.BF16()
	d.fin = row.NewFinisher(dx, f, s.C)
	d.pairs = d.half && g.D.Half() && (g.Y.None() || g.Y.Half()) && s.K%2 == 0
	d.classes = classesOf(d.classes[:0], s)

	// borders that hold whatever a class reaches beside the rows of g
	left, right, deepest, packed := 0, 0, 0, 0
	for _, c := range d.classes {
		if c.depth == 0 {
			continue
		}
		reach := c.outX + (s.W-1-c.x)/s.Stride + c.cols // one past the last column
		left, right = max(left, -c.outX), max(right, reach-s.OutW())
		deepest = max(deepest, c.depth)
		packed = c.packed + c.length
	}
	d.in = row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW(), Left: left, Right: right}

	blocks := (s.C + product.ColumnBlock - 1) / product.ColumnBlock
	scratch.Shared.Reset(scratch.Room(packed))
	d.packed = scratch.Shared.Take(packed)
	scratch.Reserve(scratch.Room(deepest*product.ColumnBlock, product.PackedLen(deepest, product.ColumnBlock)))
	parallel.For(blocks*len(d.classes), packInputGrad)

	if pointwise(s) {
		pixels := s.N * s.H * s.W
		rows := scratch.RoundUp(max(1, d.pieceFloats()/((2*s.C+2*s.K)/d.unit())), 14)
		d.bands = scratch.Cut(1, pixels, min(rows, scratch.RoundUp((pixels+leastPieces-1)/leastPieces, 14)), 14)
		scratch.Reserve(scratch.Room(d.bands.Rows*scratch.Padded(s.K/d.unit()), d.bands.Rows*scratch.Padded(s.C),
			2*s.C))
	} else {
		wide := deepest / d.unit()
		perRow := max(1, (s.W+s.Stride-1)/s.Stride*(wide+s.C)/s.Stride+d.in.Width()*s.K/s.Stride/d.unit())
		rows := max(1, d.pieceFloats()/perRow)
		d.bands = scratch.Cut(s.N, s.H, min(rows, (s.N*s.H+leastPieces-1)/leastPieces), s.Stride)
		images, rows := d.bands.Images, d.bands.Rows
		pixels := images * ((rows + s.Stride - 1) / s.Stride) * ((s.W + s.Stride - 1) / s.Stride)
		scratch.Reserve(scratch.Room(images*gradRowsSeen(s, rows)*d.in.Width()*s.K,
			pixels*scratch.Padded(wide), pixels*scratch.Padded(s.C), 2*s.C))
	}
	d.workers = parallel.Workers()
	pieces := d.bands.Count()
	if f.Sums != nil {
		scratch.MakePartials(pieces * 2 * s.C)
	}
	parallel.For(pieces, directInputPiece)
	if f.Sums != nil {
		scratch.AddPartials(f.Sums, pieces, s.C)
	}
	d.in, d.out, d.w, d.fin = row.Image{}, shape.Values{}, nil, row.Finisher{}
}

// gradRowsSeen returns the most rows of the output gradient that some input rows need.
func gradRowsSeen(s shape.Conv, rows int) int { return (rows+s.R)/s.Stride + 4 }

// packInputGrad packs a block of columns of the weights of a class: row
// (r, s, k), taps from the last to the first, column c.
func packInputGrad(worker, piece int) {
	d := &direct
	c := &d.classes[piece%len(d.classes)]
	if c.depth == 0 {
		return
	}
	j := piece / len(d.classes) * product.ColumnBlock
	cols := min(product.ColumnBlock, d.C-j)
	m := &scratch.Arenas[worker]
	m.Used = 0
	block := m.Take(c.depth * cols)
	for r := range c.rows {
		for t := range c.cols {
			tapY, tapX := c.tapY+(c.rows-1-r)*d.Stride, c.tapX+(c.cols-1-t)*d.Stride
			tap := d.w[((tapY*d.S+tapX)*d.C+j)*d.K:]
			product.Transpose(block[(r*c.cols+t)*d.K*cols:], cols, tap, d.K, cols, d.K)
		}
	}
	b := product.Mat{Data: block, Rows: c.depth, Cols: cols}
	if d.half {
		product.PackPairs(d.packed[c.packed+j*product.Half(c.depth):], m.Take(product.PackedLen(c.depth, cols)), b)
	} else {
		product.PackB(d.packed[c.packed+j*c.depth:], b)
	}
}

func directInputPiece(worker, piece int) {
	d := &direct
	m := &scratch.Arenas[worker]
	m.Used = 0
	b := d.bands.At(piece)
	part := m.Take(2 * d.C)
	clear(part)
	var sa, sb []float64
	if d.fin.Sums != nil {
		sa, sb = scratch.PiecePartials(piece, d.C)
	}
	ps := scratch.Padded(d.C)
	if pointwise(d.Conv) {
		pixels := b.Y1 - b.Y0
		k := d.K / d.unit()
		cols, stride := []float32(nil), scratch.Padded(k)
		switch {
		case d.in.Plain() && d.pairs && !product.Collide(k, true):
			cols, stride = row.Pairs(d.in.X.H[b.Y0*d.K:]), k
		case d.in.Plain() && !d.half && !d.in.X.Half():
			cols, stride = d.in.X.F[b.Y0*d.K:], k
		default:
			cols = m.Take(pixels * stride)
			d.in.Load(valuesOf(cols, d.pairs), stride*d.unit(), b.Y0*d.K, d.K, pixels)
		}
		if d.half && !d.pairs {
			product.NarrowColumns(cols, stride, pixels, d.K)
		}
		prod := m.Take(pixels * ps)
		var f product.Fetcher
		d.fin.Fetch(&f, d.out, b.Y0*d.C, b.Y1*d.C)
		if next := piece + d.workers; next < d.bands.Count() {
			b := d.bands.At(next)
			f.Add(d.in.X.Memory(b.Y0*d.K, b.Y1*d.K))
			if d.in.Other != nil {
				f.Add(d.in.Y.Memory(b.Y0*d.K, b.Y1*d.K))
			}
		}
		f.Plan(product.Steps(pixels, d.C))
		d.multiply(pixels, d.C, d.K, prod, ps, cols, stride, d.packed, &f)
		d.fin.Store(d.out, b.Y0*d.C, d.C, prod, ps, pixels, sa, sb, part)
		d.fin.Done()
		return
	}

	t := d.Stride
	across := d.in.Width() * d.K / d.unit()
	g0, g1 := (b.Y0+d.Pad-(d.R-1))/t-1, (b.Y1-1+d.Pad)/t+1
	grad := m.Take((b.N1 - b.N0) * (g1 - g0) * across)
	for n := b.N0; n < b.N1; n++ {
		d.in.LoadRows(valuesOf(grad[(n-b.N0)*(g1-g0)*across:], d.pairs), n, g0, g1)
	}
	var f product.Fetcher
	d.fin.Fetch(&f, d.out, (b.N0*d.H+b.Y0)*d.W*d.C, ((b.N1-1)*d.H+b.Y1)*d.W*d.C)
	if next := piece + d.workers; next < d.bands.Count() {
		b := d.bands.At(next)
		d.in.FetchRows(&f, b.N0, b.N1, (b.Y0+d.Pad-(d.R-1))/t, (b.Y1-1+d.Pad)/t+1)
	}
	f.Plan(product.Steps((b.N1-b.N0)*(b.Y1-b.Y0)*d.W, d.C))
	mark := m.Used
	for i := range d.classes {
		c := &d.classes[i]
		m.Used = mark
		y0 := c.y + (b.Y0+t-1-c.y)/t*t // first row of the class in the band
		if b.Y0 <= c.y {
			y0 = c.y
		}
		rows, pixels := max(0, (b.Y1-y0+t-1)/t), (d.W-c.x+t-1)/t
		if rows == 0 {
			continue
		}
		total := (b.N1 - b.N0) * rows * pixels
		var prod []float32
		if c.depth > 0 {
			o := (y0-c.y)/t + c.outY - g0 // what the first row sees
			cols, stride := d.gradColumns(m, c, grad[o*across:], (g1-g0)*across, b.N1-b.N0, rows, pixels)
			prod = m.Take(total * ps)
			if d.half && !d.pairs {
				product.NarrowColumns(cols, stride, total, c.depth)
			}
			d.multiply(total, d.C, c.depth, prod, ps, cols, stride, d.packed[c.packed:], &f)
		}
		for n := b.N0; n < b.N1; n++ {
			if d.Sequence {
				var p []float32
				if prod != nil {
					p = prod[(n-b.N0)*rows*ps:]
				}
				d.fin.Store(d.out, (n*d.H+y0)*d.C, t*d.C, p, ps, rows, sa, sb, part)
				continue
			}
			for r := range rows {
				off := ((n*d.H+y0+r*t)*d.W + c.x) * d.C
				var p []float32
				if prod != nil {
					p = prod[((n-b.N0)*rows+r)*pixels*ps:]
				}
				d.fin.Store(d.out, off, t*d.C, p, ps, pixels, sa, sb, part)
			}
		}
	}
	d.fin.Done()
}

// column.gradColumns returns, for each input pixel of a class in some images, the row of output
// gradients that it meets, with rows stride apart. grad holds the gradients of those
// images, next apart, and begins with the first row that is needed.
func (d *directJob) gradColumns(m *scratch.Arena, c *class, grad []float32, next, images, rows,
	pixels int) (cols []float32,
	stride int) {
	k, depth := d.K/d.unit(), c.depth/d.unit()
	across := d.in.Width() * k
	if d.Sequence && images == 1 && overlaps(across, d.half && !d.pairs) {
		return grad, across
	}
	stride = scratch.Padded(depth)
	cols = m.Take(images * rows * pixels * stride)
	for n := range images {
		to, from := cols[n*rows*pixels*stride:], grad[n*next:]
		if d.Sequence {
			row.Gather(to, stride, from, across, rows, 1, 0, depth)
			continue
		}
		for r := range rows {
			row.Gather(to[r*pixels*stride:], stride, from[r*across+(c.outX+d.in.Left)*k:],
				k, pixels, c.rows, across, c.cols*k)
		}
	}
	return cols, stride
}
