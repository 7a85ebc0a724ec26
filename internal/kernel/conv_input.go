package kernel

import "vicreg/internal/parallel"

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
func classesOf(list []class, s Conv) []class {
	packed := 0
	for y := range min(s.Stride, s.H) {
		for x := range min(s.Stride, s.W) {
			c := class{y: y, x: x, tapY: (y + s.Pad) % s.Stride, tapX: (x + s.padW()) % s.Stride}
			c.rows = max(0, (s.R-c.tapY+s.Stride-1)/s.Stride)
			c.cols = max(0, (s.S-c.tapX+s.Stride-1)/s.Stride)
			c.outY = (y+s.Pad-c.tapY)/s.Stride - (c.rows - 1)
			c.outX = (x+s.padW()-c.tapX)/s.Stride - (c.cols - 1)
			c.depth = c.rows * c.cols * s.K
			c.packed, c.length = packed, packedLen(c.depth, s.C)
			packed += roundUp(c.length, lineFloats)
			list = append(list, c)
		}
	}
	return list
}

func directInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	d := &direct
	d.Conv, d.out, d.w, d.half = s, dx, w, s.bf16()
	d.fin = newFinisher(dx, f, s.C)
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
	d.in = image{reader: gradReader(g, s.K), h: s.OutH(), w: s.OutW(), left: left, right: right}

	blocks := (s.C + columnBlock - 1) / columnBlock
	sharedArena.reset(room(packed))
	d.packed = sharedArena.take(packed)
	reserve(room(deepest*columnBlock, packedLen(deepest, columnBlock)))
	parallel.For(blocks*len(d.classes), packInputGrad)

	if pointwise(s) {
		pixels := s.N * s.H * s.W
		rows := roundUp(max(1, pieceFloats/(2*s.C+2*s.K)), 14)
		d.bands = cut(1, pixels, min(rows, roundUp((pixels+7)/8, 14)), 14)
		reserve(room(d.bands.rows*padded(s.K), d.bands.rows*padded(s.C), 2*s.C))
	} else {
		perRow := max(1, (s.W+s.Stride-1)/s.Stride*(deepest+s.C)/s.Stride+d.in.width()*s.K/s.Stride)
		rows := max(1, pieceFloats/perRow)
		d.bands = cut(s.N, s.H, min(rows, (s.N*s.H+7)/8), s.Stride)
		images, rows := d.bands.images, d.bands.rows
		pixels := images * ((rows + s.Stride - 1) / s.Stride) * ((s.W + s.Stride - 1) / s.Stride)
		reserve(room(images*gradRowsSeen(s, rows)*d.in.width()*s.K, pixels*padded(deepest), pixels*padded(s.C), 2*s.C))
	}
	d.workers = parallel.Workers()
	pieces := d.bands.count()
	if f.Sums != nil {
		zeroPartials(pieces * 2 * s.C)
	}
	parallel.For(pieces, directInputPiece)
	if f.Sums != nil {
		addPartials(f.Sums, pieces, s.C)
	}
	d.in, d.out, d.w, d.fin = image{}, nil, nil, finisher{}
}

// gradRowsSeen returns the most rows of the output gradient that some input rows need.
func gradRowsSeen(s Conv, rows int) int { return (rows+s.R)/s.Stride + 4 }

// packInputGrad packs a block of columns of the weights of a class: row
// (r, s, k), taps from the last to the first, column c.
func packInputGrad(worker, piece int) {
	d := &direct
	c := &d.classes[piece%len(d.classes)]
	if c.depth == 0 {
		return
	}
	j := piece / len(d.classes) * columnBlock
	cols := min(columnBlock, d.C-j)
	m := &arenas[worker]
	m.used = 0
	block := m.take(c.depth * cols)
	for r := range c.rows {
		for t := range c.cols {
			tapY, tapX := c.tapY+(c.rows-1-r)*d.Stride, c.tapX+(c.cols-1-t)*d.Stride
			tap := d.w[((tapY*d.S+tapX)*d.C+j)*d.K:]
			transpose(block[(r*c.cols+t)*d.K*cols:], cols, tap, d.K, cols, d.K)
		}
	}
	b := Mat{Data: block, Rows: c.depth, Cols: cols}
	if d.half {
		packPairs(d.packed[c.packed+j*half(c.depth):], m.take(packedLen(c.depth, cols)), b)
	} else {
		packB(d.packed[c.packed+j*c.depth:], b)
	}
}

func directInputPiece(worker, piece int) {
	d := &direct
	m := &arenas[worker]
	m.used = 0
	b := d.bands.at(piece)
	part := m.take(2 * d.C)
	clear(part)
	var sa, sb []float64
	if d.fin.Sums != nil {
		sa, sb = piecePartials(piece, d.C)
	}
	ps := padded(d.C)
	if pointwise(d.Conv) {
		pixels := b.y1 - b.y0
		cols, stride := []float32(nil), padded(d.K)
		if d.in.plain() && !d.half {
			cols, stride = d.in.x[b.y0*d.K:], d.K
		} else {
			cols = m.take(pixels * stride)
			d.in.load(cols, stride, b.y0*d.K, d.K, pixels)
		}
		if d.half {
			narrowColumns(cols, stride, pixels, d.K)
		}
		prod := m.take(pixels * ps)
		var f fetcher
		d.fin.fetch(&f, d.out, b.y0*d.C, b.y1*d.C)
		if next := piece + d.workers; next < d.bands.count() {
			b := d.bands.at(next)
			f.add(d.in.x[b.y0*d.K : b.y1*d.K])
			if d.in.other != nil {
				f.add(d.in.y[b.y0*d.K : b.y1*d.K])
			}
		}
		f.plan(steps(pixels, d.C))
		d.multiply(pixels, d.C, d.K, prod, ps, cols, stride, d.packed, &f)
		d.fin.store(d.out, b.y0*d.C, d.C, prod, ps, pixels, sa, sb, part)
		d.fin.done()
		return
	}

	t := d.Stride
	across := d.in.width() * d.K
	g0, g1 := (b.y0+d.Pad-(d.R-1))/t-1, (b.y1-1+d.Pad)/t+1
	grad := m.take((b.n1 - b.n0) * (g1 - g0) * across)
	for n := b.n0; n < b.n1; n++ {
		d.in.loadRows(grad[(n-b.n0)*(g1-g0)*across:], n, g0, g1)
	}
	var f fetcher
	d.fin.fetch(&f, d.out, (b.n0*d.H+b.y0)*d.W*d.C, ((b.n1-1)*d.H+b.y1)*d.W*d.C)
	if next := piece + d.workers; next < d.bands.count() {
		b := d.bands.at(next)
		d.in.fetchRows(&f, b.n0, b.n1, (b.y0+d.Pad-(d.R-1))/t, (b.y1-1+d.Pad)/t+1)
	}
	f.plan(steps((b.n1-b.n0)*(b.y1-b.y0)*d.W, d.C))
	mark := m.used
	for i := range d.classes {
		c := &d.classes[i]
		m.used = mark
		y0 := c.y + (b.y0+t-1-c.y)/t*t // first row of the class in the band
		if b.y0 <= c.y {
			y0 = c.y
		}
		rows, pixels := max(0, (b.y1-y0+t-1)/t), (d.W-c.x+t-1)/t
		if rows == 0 {
			continue
		}
		total := (b.n1 - b.n0) * rows * pixels
		var prod []float32
		if c.depth > 0 {
			o := (y0-c.y)/t + c.outY - g0 // what the first row sees
			cols, stride := d.gradColumns(m, c, grad[o*across:], (g1-g0)*across, b.n1-b.n0, rows, pixels)
			prod = m.take(total * ps)
			if d.half {
				narrowColumns(cols, stride, total, c.depth)
			}
			d.multiply(total, d.C, c.depth, prod, ps, cols, stride, d.packed[c.packed:], &f)
		}
		for n := b.n0; n < b.n1; n++ {
			if d.Sequence {
				var p []float32
				if prod != nil {
					p = prod[(n-b.n0)*rows*ps:]
				}
				d.fin.store(d.out, (n*d.H+y0)*d.C, t*d.C, p, ps, rows, sa, sb, part)
				continue
			}
			for r := range rows {
				off := ((n*d.H+y0+r*t)*d.W + c.x) * d.C
				var p []float32
				if prod != nil {
					p = prod[((n-b.n0)*rows+r)*pixels*ps:]
				}
				d.fin.store(d.out, off, t*d.C, p, ps, pixels, sa, sb, part)
			}
		}
	}
	d.fin.done()
}

// gradColumns returns, for each input pixel of a class in some images, the row of output
// gradients that it meets, with rows stride apart. grad holds the gradients of those
// images, next apart, and begins with the first row that is needed.
func (d *directJob) gradColumns(m *arena, c *class, grad []float32, next, images, rows, pixels int) (cols []float32,
	stride int) {
	across := d.in.width() * d.K
	if d.Sequence && images == 1 && overlaps(across, d.half) {
		return grad, across
	}
	stride = padded(c.depth)
	cols = m.take(images * rows * pixels * stride)
	for n := range images {
		to, from := cols[n*rows*pixels*stride:], grad[n*next:]
		if d.Sequence {
			gatherRows(to, stride, from, across, rows, 1, 0, c.depth)
			continue
		}
		for r := range rows {
			gatherRows(to[r*pixels*stride:], stride, from[r*across+(c.outX+d.in.left)*d.K:],
				d.K, pixels, c.rows, across, c.cols*d.K)
		}
	}
	return cols, stride
}
