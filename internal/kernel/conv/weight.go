package conv

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// The weight gradient is dw += colsᵀ·g over all output pixels; the rows of cols are
// those that the forward product reads. The work is shared in one of two ways:
//
//   - small dw: the pixels are split into parts, each with a dw of its own;
//     these are added in order.
//   - large dw: all workers write cols and g of a group of pixels to shared
//     memory, then each adds its blocks of dw.
//
// Parts, groups and blocks depend on the shape alone.

var (
	splitFloats = 96 << 10 // largest dw that is kept once for each part
	splitTotal  = 1 << 22  // all of them together
	groupFloats = 1 << 20  // cols and g of a group
)

// splitParts is the most parts.
const splitParts = 32

// Sides of a block of dw.
const (
	weightRows = 112 // a multiple of the product's 14
	weightCols = 256 // half as many if there are few blocks
	weightFew  = 32
)

var weight weightJob

type weightJob struct {
	shape.Conv
	in, grad row.Image
	depth    int
	bands    scratch.Bands // pieces of output pixels
	dw       []float32

	parts, perPart int
	partial        []float32 // parts × dw

	first         int // band of a group
	cols, g       []float32
	colsRow, gRow int // lengths of rows of cols and g
	bandRows      int // rows of cols that a band may take
	rowBlocks     int
	colSide       int  // columns of a block
	groupPixels   int  // rows of cols and g
	half          bool // products of bfloat16
	pairs, gHalf  bool // of values that are bfloat16 already: of cols, and of g
}

func directWeightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	d := &weight
	d.Conv, d.dw, d.depth, d.half = s, dw, s.R*s.S*s.C, s.BF16()
	d.in = row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W, Left: s.PadW(), Right: s.PadW()}
	d.grad = row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW()}
	d.colsRow, d.gRow = scratch.Padded(d.depth), scratch.Padded(s.K)
	d.pairs, d.gHalf = d.half && src.X.Half() && s.C%2 == 0, d.half && g.D.Half() && (g.Y.None() || g.Y.Half())

	if pointwise(s) {
		pixels := s.N * s.H * s.W
		rows := max(64, pieceFloats/(s.C+s.K))
		d.bands = scratch.Cut(1, pixels, min(rows, (pixels+leastPieces-1)/leastPieces), 1)
		d.bandRows = d.bands.Rows
		scratch.Reserve(d.room())
	} else {
		perRow := s.OutW()*(d.depth+s.K) + s.Stride*d.in.Width()*s.C
		rows := max(1, pieceFloats/perRow)
		d.bands = scratch.Cut(s.N, s.OutH(), min(rows, (s.N*s.OutH()+leastPieces-1)/leastPieces), 1)
		d.bandRows = d.bands.Images * d.bands.Rows * s.OutW()
		scratch.Reserve(d.room() + scratch.Room(seen(s, d.bands.Rows)*d.in.Width()*s.C))
	}
	if d.depth*s.K <= splitFloats {
		d.split()
	} else {
		d.grouped()
	}
	d.dw, d.in, d.grad = nil, row.Image{}, row.Image{}
}

// room returns the room for cols and g of a band, and for the values that pairs are made of.
func (d *weightJob) room() int {
	n := scratch.Room(d.bandRows*d.colsRow, d.bandRows*d.gRow)
	if d.pairs {
		n += scratch.Room(d.bandRows * scratch.Padded(d.depth/2))
	}
	if d.gHalf {
		n += scratch.Room(d.bandRows * scratch.Padded((d.K+1)/2))
	}
	return n
}

// pairCols writes the pairs of a band's cols to dst, or to memory of m.
func (d *weightJob) pairCols(m *scratch.Arena, b scratch.Band, dst []float32) (cols []float32, first, pixels int) {
	if d.pairs {
		from, stride, first, pixels := gather(d.Conv, &d.in, m, b, nil, true)
		if dst == nil {
			dst = m.Take(product.Half(pixels) * d.colsRow)
		}
		row.PairHalves(dst, d.colsRow, row.Halves(from), 2*stride, pixels, d.depth)
		return dst, first, pixels
	}
	room := m.Take(d.bandRows * d.colsRow)
	from, stride, first, pixels := gather(d.Conv, &d.in, m, b, room, false)
	if dst == nil {
		dst = room
	}
	product.PairRows(dst, d.colsRow, from, stride, pixels, scratch.RoundUp(d.depth, scratch.LineFloats))
	return dst, first, pixels
}

// pairGrad does that with the output gradient of pixels.
func (d *weightJob) pairGrad(m *scratch.Arena, first, pixels int, dst []float32) []float32 {
	if !d.gHalf {
		g, gs := d.gradRows(m, first, pixels)
		if dst == nil {
			dst = g
		}
		product.PairRows(dst, d.gRow, g, gs, pixels, scratch.RoundUp(d.K, scratch.LineFloats))
		return dst
	}
	if dst == nil {
		dst = m.Take(product.Half(pixels) * d.gRow)
	}
	from, stride := d.grad.X.H[first*d.K:], d.K
	if !d.grad.Plain() {
		stride = 2 * scratch.Padded((d.K+1)/2)
		from = row.Halves(m.Take(pixels * stride / 2))
		d.grad.Load(shape.Halves(from), stride, first*d.K, d.K, pixels)
	}
	row.PairHalves(dst, d.gRow, from, stride, pixels, d.K)
	return dst
}

// split gives each part of the pixels its own dw.
func (d *weightJob) split() {
	size := len(d.dw)
	pieces := d.bands.Count()
	d.parts = min(pieces, max(2, min(splitParts, splitTotal/size)))
	d.perPart = (pieces + d.parts - 1) / d.parts
	d.parts = (pieces + d.perPart - 1) / d.perPart
	scratch.Shared.Reset(scratch.Room(d.parts * size))
	d.partial = scratch.Shared.Take(d.parts * size)
	parallel.For(d.parts, weightPart)
	parallel.For((size+4095)/4096, weightAddParts)
}

func weightPart(worker, part int) {
	d := &weight
	m := &scratch.Arenas[worker]
	size := len(d.dw)
	for piece := part * d.perPart; piece < min((part+1)*d.perPart, d.bands.Count()); piece++ {
		m.Used = 0
		var f product.Fetcher
		if next := piece + 1; next < min((part+1)*d.perPart, d.bands.Count()) {
			b := d.bands.At(next)
			fetchColumns(d.Conv, &f, &d.in, b)
			d.fetchGrad(&f, b)
		}
		to, accumulate := d.partial[part*size:][:size], piece > part*d.perPart
		if d.half {
			cols, first, pixels := d.pairCols(m, d.bands.At(piece), nil)
			g := d.pairGrad(m, first, pixels, nil)
			product.MultiplyTN(true, d.depth, d.K, product.Half(pixels), to, d.K, cols, d.colsRow, g, d.gRow,
				accumulate, &f)
			continue
		}
		cols, stride, first, pixels := gather(d.Conv, &d.in, m, d.bands.At(piece), nil, false)
		g, gs := d.gradRows(m, first, pixels)
		product.MultiplyTN(false, d.depth, d.K, pixels, to, d.K, cols, stride, g, gs, accumulate, &f)
	}
}

// row.Grad returns the output gradient of pixels, rows gs apart.
func (d *weightJob) gradRows(m *scratch.Arena, first, pixels int) (g []float32, gs int) {
	if d.grad.Plain() && !d.half && !d.grad.X.Half() {
		return d.grad.X.F[first*d.K:], d.K
	}
	g = m.Take(pixels * d.gRow)
	d.grad.Load(shape.Floats(g), d.gRow, first*d.K, d.K, pixels)
	return g, d.gRow
}

// fetchGrad queues the output gradient of a band.
func (d *weightJob) fetchGrad(f *product.Fetcher, b scratch.Band) {
	if pointwise(d.Conv) {
		f.Add(d.grad.X.Memory(b.Y0*d.K, b.Y1*d.K))
		if d.grad.Other != nil {
			f.Add(d.grad.Y.Memory(b.Y0*d.K, b.Y1*d.K))
		}
		return
	}
	d.grad.FetchRows(f, b.N0, b.N1, b.Y0, b.Y1)
}

func weightAddParts(_, piece int) {
	d := &weight
	size := len(d.dw)
	lo, hi := piece*4096, min(piece*4096+4096, size)
	for p := range d.parts {
		row.Axpy(d.dw[lo:hi], 1, d.partial[p*size+lo:p*size+hi])
	}
}

// grouped lets all workers load a group of pixels and then share the blocks of dw.
func (d *weightJob) grouped() {
	pieces := d.bands.Count()
	perGroup := max(1, groupFloats/(d.bandRows*(d.colsRow+d.gRow)))
	scratch.Shared.Reset(scratch.Room(perGroup*d.bandRows*d.colsRow, perGroup*d.bandRows*d.gRow))
	d.cols = scratch.Shared.Take(perGroup * d.bandRows * d.colsRow)
	d.g = scratch.Shared.Take(perGroup * d.bandRows * d.gRow)
	d.rowBlocks = (d.depth + weightRows - 1) / weightRows
	d.colSide = weightCols
	if d.rowBlocks*((d.K+weightCols-1)/weightCols) < weightFew {
		d.colSide /= 2
	}
	colBlocks := (d.K + d.colSide - 1) / d.colSide
	for d.first = 0; d.first < pieces; d.first += perGroup {
		d.groupPixels = 0
		n := min(perGroup, pieces-d.first)
		parallel.For(n, weightLoad)
		for p := range n {
			d.groupPixels += d.rowsOf(d.first + p)
		}
		parallel.For(d.rowBlocks*colBlocks, weightBlock)
	}
}

// pixelsOf returns how many output pixels a band has.
func (d *weightJob) pixelsOf(b scratch.Band) int {
	if pointwise(d.Conv) {
		return b.Y1 - b.Y0
	}
	return (b.N1 - b.N0) * (b.Y1 - b.Y0) * d.OutW()
}

// rowsOf returns how many rows of cols and g a band makes.
func (d *weightJob) rowsOf(piece int) int {
	n := d.pixelsOf(d.bands.At(piece))
	if d.half {
		n = product.Half(n)
	}
	return n
}

func weightLoad(worker, piece int) {
	d := &weight
	m := &scratch.Arenas[worker]
	m.Used = 0
	row := 0 // all bands but the last of an image have the same number of rows
	for p := range piece {
		row += d.rowsOf(d.first + p)
	}
	if d.half {
		_, first, pixels := d.pairCols(m, d.bands.At(d.first+piece), d.cols[row*d.colsRow:])
		d.pairGrad(m, first, pixels, d.g[row*d.gRow:])
		return
	}
	_, _, first, pixels := gather(d.Conv, &d.in, m, d.bands.At(d.first+piece), d.cols[row*d.colsRow:], false)
	d.grad.Load(shape.Floats(d.g[row*d.gRow:]), d.gRow, first*d.K, d.K, pixels)
}

func weightBlock(_, piece int) {
	d := &weight
	i, j := piece%d.rowBlocks*weightRows, piece/d.rowBlocks*d.colSide
	rows, cols, to := min(weightRows, d.depth-i), min(d.colSide, d.K-j), d.dw[i*d.K+j:]
	product.Block(d.half, rows, cols, d.groupPixels, to, d.K, d.cols[i:], 1, d.colsRow, d.g[j:], d.gRow, true)
}
