package kernel

import (
	"os"

	"vicreg/internal/parallel"
)

// Winograd convolution, forward and input gradient, in cache-sized pieces: some
// rows of tiles of one image, or all tiles of a few. A piece loads its input
// through the Source or Grad into a zero-bordered buffer, transforms it to
// V[36][tiles][c], multiplies by the transformed weights U[36][c][k] to
// M[36][tiles][k], a block of columns at a time, and transforms M back.
//
// The input gradient is the same thing with the weights turned by 180° and
// transposed, over the output gradient.

// winogradBlock is how many columns of M are made at a time.
const winogradBlock = 64

// winogradFloats is what the operands of a piece may take of the cache.
var winogradFloats = 128 << 10

var winogradOn = os.Getenv("VICREG_WINOGRAD") != "0"

// SetWinograd says whether convolutions that gain by Winograd's algorithm use
// it, and returns what it was. It starts true, or false if the environment
// variable VICREG_WINOGRAD is 0. It rounds a little more: some 7e-7 of a
// result's norm where direct convolution has 2e-7.
func SetWinograd(on bool) (was bool) {
	busy.Lock()
	defer busy.Unlock()
	was, winogradOn = winogradOn, on
	return was
}

// winograd says whether to use it for s: where there are so few channels that
// the transforms outweigh the products, it does not pay.
func (s Conv) winograd() bool {
	return winogradOn && s.R == 3 && s.S == 3 && s.Stride == 1 && s.Pad <= 2 && s.C >= 8 && s.K >= 8
}

// wino is the convolution under way.
var wino winogradJob

type winogradJob struct {
	in       image // what is convolved
	h, w     int   // of the output
	c, k     int   // channels of what is convolved, and of the output
	pad      int
	across   int // tiles in a row
	weights  []float32
	backward bool      // weights are turned and transposed
	u        []float32 // [k/block][36][panels of c × width]
	uPlane   int       // from one of 36 to the next
	out      []float32
	fin      finisher // backward
	sums     bool
	bands    bands // of rows of tiles
	workers  int

	// for many channels: see winograd_wide.go
	v            []float32 // [36][tiles of the group][c]
	plane        int
	first, group int // bands of the group
	perChunk     int // bands at a time
}

func winogradForward(y []float32, s Conv, src Source, w []float32, sums *Sums) {
	j := &wino
	*j = winogradJob{
		in: image{reader: sourceReader(src, s.C), h: s.H, w: s.W},
		h:  s.OutH(), w: s.OutW(), c: s.C, k: s.K, pad: s.Pad,
		weights: w, out: y, sums: sums != nil,
	}
	j.run(s.N, sums)
}

func winogradInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	j := &wino
	*j = winogradJob{
		in: image{reader: gradReader(g, s.K), h: s.OutH(), w: s.OutW()},
		h:  s.H, w: s.W, c: s.K, k: s.C, pad: 2 - s.Pad,
		weights: w, backward: true, out: dx, fin: newFinisher(dx, f, s.C), sums: f.Sums != nil,
	}
	j.run(s.N, f.Sums)
}

// tiles4 returns how many tiles of 4 cover n pixels.
func tiles4(n int) int { return (n + 3) / 4 }

// oddLines returns at least n such that planes n apart start in different cache sets.
func oddLines(n int) int { return roundUp(n, lineFloats) | lineFloats }

func (j *winogradJob) run(n int, sums *Sums) {
	j.across = tiles4(j.w)
	j.in.left, j.in.right = j.pad, 4*j.across+2-j.pad-j.in.w
	if 36*j.c*j.k >= wideWeights {
		j.runWide(n, sums)
		*j = winogradJob{}
		return
	}
	c16, block := roundUp(j.c, 16), min(winogradBlock, roundUp(j.k, 16))

	perTile := 36*(c16+block) + 16*block
	tiles := max(1, winogradFloats/perTile)
	rows := max(1, tiles/j.across)
	down := tiles4(j.h)
	j.bands = cut(n, down, min(rows, (n*down+3)/4), 1)
	images, rows := j.bands.images, j.bands.rows
	tiles = images * rows * j.across

	blocks := (j.k + winogradBlock - 1) / winogradBlock
	j.uPlane = oddLines(j.c * block)
	sharedArena.reset(room(blocks * 36 * j.uPlane))
	j.u = sharedArena.take(blocks * 36 * j.uPlane)
	image := (4*rows + 2) * j.in.width() * c16
	reserve(room(max(image, 9*j.c*32), 36*oddLines(tiles*c16), 36*oddLines(tiles*block), 16*j.across*block, 2*j.k))
	parallel.For((j.k+31)/32, winogradPack)

	j.workers = parallel.Workers()
	pieces := j.bands.count()
	if j.sums {
		zeroPartials(pieces * 2 * j.k)
	}
	parallel.For(pieces, winogradPiece)
	if j.sums {
		addPartials(sums, pieces, j.k)
	}
	*j = winogradJob{}
}

// winogradPack transforms the weights of 32 columns into the panels that
// blockNN reads.
func winogradPack(worker, piece int) {
	j := &wino
	m := &arenas[worker]
	for col := piece * 32; col < min(piece*32+32, j.k); {
		block := col / winogradBlock
		_, width := tileShape(roundUp(j.k-col, 16))
		j.packPanel(m.buf, j.u[block*36*j.uPlane+(col-block*winogradBlock)*j.c:], j.uPlane, col, width)
		col += width
	}
}

// packPanel transforms the weights of columns [col, col+width) to u: rows of
// width elements for each channel, positions plane apart. temp is room for the
// weights themselves.
func (j *winogradJob) packPanel(temp, u []float32, plane, col, width int) {
	args := winogradArgs{
		dst: &u[0], dstRow: 6 * 4 * uintptr(plane), dstCol: 4 * uintptr(plane), dstItem: 4 * uintptr(width),
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
				packTransposed(to, width, Mat{Data: j.weights[((8-tap)*j.k+col)*j.c:], Rows: width, Cols: j.c, Stride: j.c})
			case j.backward:
				clear(to)
				transpose(to, width, j.weights[((8-tap)*j.k+col)*j.c:], j.c, j.k-col, j.c)
			default:
				clear(to)
				copyRows(to, width, j.weights[tap*j.c*j.k+col:], j.k, j.c, j.k-col)
			}
		}
		args.src = &temp[0]
		args.srcItem, args.srcCol = 4*uintptr(width), 4*uintptr(j.c*width)
	}
	args.srcRow = 3 * args.srcCol
	winogradWeight(&args, width)
}

func winogradPiece(worker, piece int) {
	j := &wino
	m := &arenas[worker]
	m.used = 0
	b := j.bands.at(piece)
	rows := b.y1 - b.y0
	tiles := (b.n1 - b.n0) * rows * j.across
	c16, block := roundUp(j.c, 16), min(winogradBlock, roundUp(j.k, 16))

	img := m.take((4*rows + 2) * j.in.width() * c16)
	vPlane, mPlane := oddLines(tiles*c16), oddLines(tiles*block)
	v, prod := m.take(36*vPlane), m.take(36*mPlane)
	for n := b.n0; n < b.n1; n++ {
		j.transformImage(v[(n-b.n0)*rows*j.across*c16:], c16, vPlane, img, n, b.y0, b.y1)
	}

	var f fetcher
	j.fetchOutput(&f, b)
	if next := piece + j.workers; next < j.bands.count() {
		j.fetchInput(&f, j.bands.at(next))
	}
	f.plan(36 * steps(tiles, j.k))

	out := m.take(16 * j.across * block)
	part := m.take(2 * j.k)
	clear(part)
	var sa, sb []float64
	if j.sums {
		sa, sb = piecePartials(piece, j.k)
	}
	for col := 0; col < j.k; col += winogradBlock {
		cols := min(winogradBlock, roundUp(j.k-col, 16))
		u := j.u[col/winogradBlock*36*j.uPlane:]
		for p := range 36 {
			multiply(tiles, cols, j.c, prod[p*mPlane:], cols, v[p*vPlane:], c16, u[p*j.uPlane:], &f)
		}
		for n := b.n0; n < b.n1; n++ {
			for y := b.y0; y < b.y1; y++ {
				tile := ((n-b.n0)*rows + y - b.y0) * j.across
				j.store(n, y, col, cols, prod[tile*cols:], mPlane, out, sa, sb, part)
			}
		}
	}
	j.fin.done()
}

// fetchInput queues the input of a band, fetchOutput what its output takes.
func (j *winogradJob) fetchInput(f *fetcher, b band) {
	j.in.fetchRows(f, b.n0, b.n1, 4*b.y0-j.pad, 4*b.y1+2-j.pad)
}

func (j *winogradJob) fetchOutput(f *fetcher, b band) {
	lo, hi := (b.n0*j.h+4*b.y0)*j.w*j.k, ((b.n1-1)*j.h+min(4*b.y1, j.h))*j.w*j.k
	if j.backward {
		j.fin.fetch(f, j.out, lo, hi)
	} else {
		f.add(j.out[lo:hi])
	}
}

// transformImage writes the tiles of rows [y0, y1) of image n to v, tiles row
// and positions plane apart. img is room for the pixels.
func (j *winogradJob) transformImage(v []float32, row, plane int, img []float32, n, y0, y1 int) {
	c16 := roundUp(j.c, 16)
	line := j.in.width() * c16
	j.in.loadWide(img, c16, n, 4*y0-j.pad, 4*y1+2-j.pad)
	args := winogradArgs{
		dstRow: 6 * 4 * uintptr(plane), dstCol: 4 * uintptr(plane), dstItem: 4 * uintptr(row),
		srcRow: 4 * uintptr(line), srcCol: 4 * uintptr(c16), srcItem: 4 * 4 * uintptr(c16),
		items: j.across,
	}
	for y := range y1 - y0 {
		args.dst, args.src = &v[y*j.across*row], &img[4*y*line]
		winogradInput(&args, c16)
	}
}

// store transforms a row of tiles of M, columns [col, col+cols), and writes the
// pixels that the output has.
func (j *winogradJob) store(n, y, col, cols int, prod []float32, plane int, out []float32, sa, sb []float64, part []float32) {
	args := winogradArgs{
		src: &prod[0], srcRow: 6 * 4 * uintptr(plane), srcCol: 4 * uintptr(plane), srcItem: 4 * uintptr(cols),
		items: j.across,
	}
	high, valid := min(4, j.h-4*y), min(cols, j.k-col)
	first := ((n*j.h+4*y)*j.w)*j.k + col // where the pixels are in the output
	whole := 4*j.across == j.w
	direct := !j.backward && whole && high == 4 && valid == cols
	if direct {
		args.dst = &j.out[first]
		args.dstCol, args.dstRow = 4*uintptr(j.k), 4*uintptr(j.k*j.w)
	} else {
		args.dst = &out[0]
		args.dstCol, args.dstRow = 4*uintptr(cols), 4*uintptr(cols*4*j.across)
	}
	args.dstItem = 4 * args.dstCol
	winogradOutput(&args, cols)

	lines, pixels := high, j.w
	if whole {
		lines, pixels = 1, high*j.w
	}
	for l := range lines {
		off := first + l*j.w*j.k
		rows := out[l*4*j.across*cols:]
		if j.backward {
			j.fin.storeColumns(j.out, off, j.k, rows, cols, pixels, col, valid, sa, sb, part)
			continue
		}
		if !direct {
			copyRows(j.out[off:], j.k, rows, cols, pixels, valid)
		}
		if j.sums {
			addSums(sa[col:], sb[col:], j.out[off:], j.k, pixels, valid, part)
		}
	}
}
