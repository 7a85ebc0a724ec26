package winograd

import (
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Forward and input gradient in cache-sized pieces: some rows of tiles of one image, or
// all tiles of a few. A piece loads its input through the Source or Grad into a
// zero-bordered buffer and transforms it to V[positions][product.tiles][c]. Then, for a block of
// columns at a time, it multiplies V by the transformed weights U[36][c][k] to
// M[positions][product.tiles][k], and transforms M to the output.

// winogradBlock is how many columns of M are made at a time.
const winogradBlock = 64

// PieceFloats is how much of the cache the operands of a piece may take.
var PieceFloats = 128 << 10

// wino is the convolution under way.
var wino winogradJob

type winogradJob struct {
	scheme
	in       row.Image // what is convolved
	h, w     int       // of the output
	c, k     int       // channels of what is convolved, and of the output
	pad      int
	across   int // tiles in a row
	weights  []float32
	backward bool      // weights are turned and transposed
	u        []float32 // [k/block][36][panels of c × width]
	uPlane   int       // from one of 36 to the next
	out      shape.Values
	fin      row.Finisher // backward
	tail     pass.Tail    // inference
	shape    shape.Conv   // inference: whose weights are kept
	sums     bool
	bands    scratch.Bands // of rows of tiles
	workers  int
	both     *both // backward: the weight gradient too, or nil

	// for many channels: see winograd_wide.go
	v            []float32 // [positions][tiles of the group][c]
	plane        int
	first, group int // bands of the group
	perChunk     int // bands at a time
}

// oddLines returns a number of at least n, so that planes so far apart begin in
// different cache sets.
func oddLines(n int) int { return scratch.RoundUp(n, scratch.LineFloats) | scratch.LineFloats }

// lay sets how many tiles a row has, and the borders that the input needs for them.
func (j *winogradJob) lay() {
	j.across = j.tiles(j.w)
	j.in.Left, j.in.Right = j.pad, j.pixels(j.across)-j.pad-j.in.W
}

func (j *winogradJob) run(n int, sums *shape.Sums) {
	j.lay()
	if !j.pairs() && 36*j.c*j.k >= WideWeights {
		j.runWide(n, sums)
		if j.tail.On() && !j.out.Half() {
			j.tail.Pass(j.out, j.out.F)
		}
		*j = winogradJob{}
		return
	}
	vRow, block := j.vRow(), min(winogradBlock, scratch.RoundUp(j.k, 16))
	perTile := j.positions()*(vRow+block) + j.tile*j.tile*block
	rows := max(1, product.ColumnsFactor()*PieceFloats/perTile/j.across)
	if j.both != nil {
		rows = max(1, BothFloats/(36*(vRow+block))/j.across)
	}
	down := j.tiles(j.h)
	j.bands = scratch.Cut(n, down, min(rows, (n*down+3)/4), 1)
	images, rows := j.bands.Images, j.bands.Rows
	tiles := images * rows * j.across

	blocks := (j.k + winogradBlock - 1) / winogradBlock
	j.uPlane = oddLines(j.elements(j.c) * block)
	pieces, duLen := j.bands.Count(), 0
	if j.both != nil {
		duLen = j.both.lay(pieces, j.k, j.c)
	}
	size, filled := blocks*j.planes()*j.uPlane, false
	if j.tail.Packed != nil {
		j.u, filled = j.tail.Packed.Buffer(j.weights, j.shape, j.route(), size)
	} else {
		scratch.Shared.Reset(scratch.Room(size, duLen))
		j.u = scratch.Shared.Take(size)
	}
	_, image := j.images(j.bands)
	scratch.Reserve(scratch.Room(max(image, j.packRoom()), j.positions()*oddLines(tiles*vRow),
		j.positions()*oddLines(tiles*block),
		max(j.tile*j.tile*j.across*block, j.pixels(rows)*j.in.Width()*block), 2*j.k))
	if !filled {
		parallel.For((j.k+31)/32, winogradPack)
	}

	j.workers = parallel.Workers()
	if j.sums {
		scratch.MakePartials(pieces * 2 * j.k)
	}
	if j.both != nil {
		j.both.du = scratch.Shared.Take(duLen)
		j.both.source.Left, j.both.source.Right = j.in.Left, j.in.Right
		parallel.For(j.both.parts, winogradPart)
	} else {
		parallel.For(pieces, winogradPiece)
	}
	if j.sums {
		scratch.AddPartials(sums, pieces, j.k)
	}
	*j = winogradJob{}
}

// vRow returns how many elements a row of V takes.
func (j *winogradJob) vRow() int { return j.elements(scratch.RoundUp(j.c, 16)) }

// route names the layout of kept weights.
func (j *winogradJob) route() string {
	if j.pairs() {
		return "winograd pairs"
	}
	return "winograd"
}

// packRoom returns how many elements packing 32 columns of the weights takes.
func (j *winogradJob) packRoom() int {
	n := 9 * j.c * 32
	if j.pairs() {
		n += j.planes() * j.c * 32
	}
	return n
}

// winogradPack transforms the weights of 32 columns into the panels that
// product.BlockNN reads.
func winogradPack(worker, piece int) {
	j := &wino
	m := &scratch.Arenas[worker]
	for col := piece * 32; col < min(piece*32+32, j.k); {
		block := col / winogradBlock
		_, width := product.TileShape(scratch.RoundUp(j.k-col, 16))
		u := j.u[block*j.planes()*j.uPlane+(col-block*winogradBlock)*j.elements(j.c):]
		if j.pairs() {
			j.packPairs(m.Buf, u, col, width)
		} else {
			j.packPanel(m.Buf, u, j.uPlane, col, width)
		}
		col += width
	}
}

// packPairs is packPanel, followed by rounding to pairs. temp is room for the weights
// before and after they are transformed.
func (j *winogradJob) packPairs(temp, u []float32, col, width int) {
	plane := j.c * width
	wide := temp[9*plane:]
	j.packPanel(temp, wide, plane, col, width)
	for p := range j.planes() {
		product.PairRows(u[p*j.uPlane:], width, wide[p*plane:], width, j.c, width)
	}
}

// packPanel transforms the weights of columns [col, col+width) to u: rows of
// width elements for each channel, positions plane apart. temp is room for the
// weights themselves.
func (j *winogradJob) packPanel(temp, u []float32, plane, col, width int) {
	args := winogradArgs{
		dst: &u[0], dstRow: 4 * uintptr(j.filter*plane), dstCol: 4 * uintptr(plane), dstItem: 4 * uintptr(width),
		items: j.c,
	}
	whole := col+width <= j.k
	if whole && !j.backward {
		args.src = &j.weights[col]
		args.srcItem, args.srcCol = 4*uintptr(j.k), 4*uintptr(j.c*j.k)
	} else {
		for tap := range 9 {
			to := temp[tap*j.c*width:][:j.c*width]
			switch {
			case whole: // weights are taps × k × c
				product.PackTransposed(to, width, product.Mat{Data: j.weights[((8-tap)*j.k+col)*j.c:],
					Rows: width, Cols: j.c,
					Stride: j.c})
			case j.backward:
				clear(to)
				product.Transpose(to, width, j.weights[((8-tap)*j.k+col)*j.c:], j.c, j.k-col, j.c)
			default:
				clear(to)
				row.Copy(to, width, j.weights[tap*j.c*j.k+col:], j.k, j.c, j.k-col)
			}
		}
		args.src = &temp[0]
		args.srcItem, args.srcCol = 4*uintptr(width), 4*uintptr(j.c*width)
	}
	args.srcRow = 3 * args.srcCol
	j.weight(&args, width)
}

func winogradPiece(worker, piece int) {
	j := &wino
	m := &scratch.Arenas[worker]
	m.Used = 0
	b := j.bands.At(piece)
	rows := b.Y1 - b.Y0
	tiles := (b.N1 - b.N0) * rows * j.across
	vRow, block := j.vRow(), min(winogradBlock, scratch.RoundUp(j.k, 16))

	one, all := j.images(j.bands)
	img := m.Take(all)
	vPlane, mPlane := oddLines(tiles*vRow), oddLines(tiles*block)
	v, prod := m.Take(j.positions()*vPlane), m.Take(j.positions()*mPlane)
	for n := b.N0; n < b.N1; n++ {
		j.transformImage(v[(n-b.N0)*rows*j.across*vRow:], vRow, vPlane, img, n, b.Y0, b.Y1)
		if j.both != nil && n+1 < b.N1 {
			img = img[one:]
		}
	}

	var f product.Fetcher
	j.fetchOutput(&f, b)
	if next := piece + j.workers; j.both == nil && next < j.bands.Count() {
		j.fetchInput(&f, j.bands.At(next))
	}
	f.Plan(j.positions() * product.Steps(tiles, j.k))

	out, part := m.Take(j.tile*j.tile*j.across*block), m.Take(2*j.k)
	clear(part)
	var sa, sb []float64
	if j.sums {
		sa, sb = scratch.PiecePartials(piece, j.k)
	}
	for col := 0; col < j.k; col += winogradBlock {
		cols := min(winogradBlock, scratch.RoundUp(j.k-col, 16))
		u := j.u[col/winogradBlock*j.planes()*j.uPlane:]
		for p := range j.positions() {
			product.Multiply(j.pairs(), tiles, cols, j.elements(j.c), prod[p*mPlane:], cols, v[p*vPlane:], vRow,
				u[j.scheme.plane(p)*j.uPlane:],
				&f)
		}
		for n := b.N0; n < b.N1; n++ {
			for y := b.Y0; y < b.Y1; y++ {
				tile := ((n-b.N0)*rows + y - b.Y0) * j.across
				j.store(n, y, col, cols, prod[tile*cols:], mPlane, out, sa, sb, part)
			}
		}
	}
	if j.tail.On() && !j.out.Half() {
		for n := b.N0; n < b.N1; n++ {
			lo, hi := j.tile*b.Y0, min(j.tile*b.Y1, j.h)
			at := (n*j.h + lo) * j.w * j.k
			j.tail.Store(j.out, at, j.k, j.out.F[at:], j.k, (hi-lo)*j.w, 0, j.k)
		}
	}
	j.fin.Done()
}

// reads returns which rows of the input rows [y0, y1) of tiles read.
func (j *winogradJob) reads(y0, y1 int) (lo, hi int) {
	lo = j.hop*y0 - j.pad
	return lo, lo + j.pixels(y1-y0)
}

// fetchInput queues the input that a band reads, fetchOutput what its output reads.
func (j *winogradJob) fetchInput(f *product.Fetcher, b scratch.Band) {
	lo, hi := j.reads(b.Y0, b.Y1)
	j.in.FetchRows(f, b.N0, b.N1, lo, hi)
}

func (j *winogradJob) fetchOutput(f *product.Fetcher, b scratch.Band) {
	lo, hi := (b.N0*j.h+j.tile*b.Y0)*j.w*j.k, ((b.N1-1)*j.h+min(j.tile*b.Y1, j.h))*j.w*j.k
	if j.backward {
		j.fin.Fetch(f, j.out, lo, hi)
	} else {
		j.tail.Fetch(f, j.out, lo, hi)
	}
}

// transformImage writes the tiles of rows [y0, y1) of image n to v, tiles row
// and positions plane apart. img is room for the pixels.
func (j *winogradJob) transformImage(v []float32, row, plane int, img []float32, n, y0, y1 int) {
	c16 := scratch.RoundUp(j.c, 16)
	line := j.in.Width() * c16
	lo, hi := j.reads(y0, y1)
	j.in.LoadWide(shape.Floats(img), c16, n, lo, hi)
	args := winogradArgs{
		dstRow: 4 * uintptr(j.side*plane), dstCol: 4 * uintptr(plane), dstItem: 4 * uintptr(row),
		srcRow: 4 * uintptr(line), srcCol: 4 * uintptr(c16), srcItem: 4 * uintptr(j.hop*c16),
		items: j.across,
	}
	for y := range y1 - y0 {
		args.dst, args.src = &v[y*j.across*row], &img[j.hop*y*line]
		j.input(&args, c16)
	}
}

// store transforms columns [col, col+cols) of a row of tiles of M, and writes those
// pixels that the output has. out is room for all of them.
func (j *winogradJob) store(n, y, col, cols int, prod []float32, plane int, out []float32, sa, sb []float64,
	part []float32) {
	args := winogradArgs{
		src: &prod[0], srcRow: 4 * uintptr(j.side*plane), srcCol: 4 * uintptr(plane), srcItem: 4 * uintptr(cols),
		items: j.across,
	}
	high, valid := min(j.tile, j.h-j.tile*y), min(cols, j.k-col)
	first := ((n*j.h+j.tile*y)*j.w)*j.k + col // where the pixels are in the output
	whole := j.tile*j.across == j.w
	direct := !j.backward && !j.out.Half() && whole && high == j.tile && valid == cols
	if direct {
		args.dst = &j.out.F[first]
		args.dstCol, args.dstRow = 4*uintptr(j.k), 4*uintptr(j.k*j.w)
	} else {
		args.dst = &out[0]
		args.dstCol, args.dstRow = 4*uintptr(cols), 4*uintptr(cols*j.tile*j.across)
	}
	args.dstItem = uintptr(j.tile) * args.dstCol
	j.output(&args, cols)

	lines, pixels := high, j.w
	if whole {
		lines, pixels = 1, high*j.w
	}
	for l := range lines {
		off := first + l*j.w*j.k
		rows := out[l*j.tile*j.across*cols:]
		if j.backward {
			j.fin.StoreColumns(j.out, off, j.k, rows, cols, pixels, col, valid, sa, sb, part)
			continue
		}
		prod, ps := rows, cols
		if direct {
			prod, ps = j.out.F[off:], j.k
		}
		switch {
		case j.tail.On() && j.out.Half(): // of float32 it is done once all columns are there
			j.tail.Store(j.out, off, j.k, prod, ps, pixels, col, valid)
		case j.sums:
			row.Store(j.out, off, j.k, prod, ps, pixels, valid, sa[col:], sb[col:], part)
		default:
			row.Store(j.out, off, j.k, prod, ps, pixels, valid, nil, nil, nil)
		}
	}
}
