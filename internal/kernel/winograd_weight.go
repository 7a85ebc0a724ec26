package kernel

import "vicreg/internal/parallel"

// The weight gradient by Winograd's algorithm: with V the tiles of the input and
// D those of the output gradient, dU[36][c][k] = Σ Vᵀ·D over all tiles, and
// dw = Gᵀ·dU·G. The tiles come in groups: all workers write V and D of a group
// to shared memory, then each adds blocks of dU. Groups and blocks depend on
// the shape alone.

const (
	winogradGroup = 1 << 20 // elements of V and D in a group
	winogradRows  = 112     // of a block of dU: a multiple of the product's 14
	winogradCols  = 256
)

var winoWeight winogradWeightJob

type winogradWeightJob struct {
	wino winogradJob // loads and transforms the input
	grad image
	dw   []float32
	v, d []float32 // [36][tiles][c], [36][tiles][k]
	du   []float32 // [36][c][k]

	first          int // piece of the group
	group          int // pieces of a group
	tiles          int // in the group
	vPlane, dPlane int
	rowBlocks      int
	blocks         int // of a position
}

func winogradWeightGradient(dw []float32, s Conv, g Grad, src Source) {
	j := &winoWeight
	*j = winogradWeightJob{
		wino: winogradJob{
			in: image{reader: sourceReader(src, s.C), h: s.H, w: s.W},
			h:  s.OutH(), w: s.OutW(), c: s.C, k: s.K, pad: s.Pad,
		},
		grad: image{reader: gradReader(g, s.K), h: s.OutH(), w: s.OutW()},
		dw:   dw,
	}
	w := &j.wino
	w.across = tiles4(w.w)
	w.in.left, w.in.right = w.pad, 4*w.across+2-w.pad-w.in.w
	j.grad.right = 4*w.across - w.w
	c16, k16 := roundUp(s.C, 16), roundUp(s.K, 16)

	down := tiles4(w.h)
	rows := max(1, winogradFloats/(36*(c16+k16)*w.across))
	w.bands = cut(s.N, down, min(rows, (s.N*down+7)/8), 1)
	images, rows := w.bands.images, w.bands.rows
	perPiece := images * rows * w.across
	j.group = max(1, winogradGroup/(36*(c16+k16)*perPiece))
	most := min(j.group, w.bands.count()) * perPiece
	j.vPlane, j.dPlane = oddLines(most*c16), oddLines(most*k16)
	sharedArena.reset(room(36*j.vPlane, 36*j.dPlane, 36*s.C*k16))
	j.v, j.d = sharedArena.take(36*j.vPlane), sharedArena.take(36*j.dPlane)
	j.du = sharedArena.take(36 * s.C * k16)
	reserve(room(max((4*rows+2)*w.in.width()*c16, 4*rows*j.grad.width()*k16, 9*winogradFinish*k16)))

	j.rowBlocks = (s.C + winogradRows - 1) / winogradRows
	j.blocks = j.rowBlocks * ((k16 + winogradCols - 1) / winogradCols)
	pieces := w.bands.count()
	for j.first = 0; j.first < pieces; j.first += j.group {
		n := min(j.group, pieces-j.first)
		j.tiles = 0
		for p := range n {
			j.tiles += j.wino.tilesOf(j.first + p)
		}
		parallel.For(n, winogradLoad)
		parallel.For(36*j.blocks, winogradAdd)
	}
	parallel.For((s.C+winogradFinish-1)/winogradFinish, winogradFinishRows)
	*j = winogradWeightJob{}
}

// winogradLoad writes V and D of a piece.
func winogradLoad(worker, piece int) {
	j := &winoWeight
	w := &j.wino
	m := &arenas[worker]
	tile := 0
	for p := range piece {
		tile += j.wino.tilesOf(j.first + p)
	}
	b := w.bands.at(j.first + piece)
	rows := b.y1 - b.y0
	c16, k16 := roundUp(w.c, 16), roundUp(w.k, 16)
	for n := b.n0; n < b.n1; n++ {
		m.used = 0
		img := m.take((4*rows + 2) * w.in.width() * c16)
		w.transformImage(j.v[tile*c16:], j.vPlane, img, n, b.y0, b.y1)

		m.used = 0
		line := j.grad.width() * k16
		img = m.take(4 * rows * line)
		j.grad.loadWide(img, k16, n, 4*b.y0, 4*b.y1)
		for y := range rows {
			args := winogradArgs{
				dst: &j.d[(tile+y*w.across)*k16], dstRow: 6 * 4 * uintptr(j.dPlane), dstCol: 4 * uintptr(j.dPlane), dstItem: 4 * uintptr(k16),
				src: &img[4*y*line], srcRow: 4 * uintptr(line), srcCol: 4 * uintptr(k16), srcItem: 4 * 4 * uintptr(k16),
				items: w.across,
			}
			winogradGrad(&args, k16)
		}
		tile += rows * w.across
	}
}

// winogradAdd adds a group to a block of dU.
func winogradAdd(_, piece int) {
	j := &winoWeight
	c, c16, k16 := j.wino.c, roundUp(j.wino.c, 16), roundUp(j.wino.k, 16)
	p, block := piece/j.blocks, piece%j.blocks
	row, col := block%j.rowBlocks*winogradRows, block/j.rowBlocks*winogradCols
	blockTN(min(winogradRows, c-row), min(winogradCols, k16-col), j.tiles,
		j.du[(p*c+row)*k16+col:], k16, j.v[p*j.vPlane+row:], c16, j.d[p*j.dPlane+col:], k16, j.first > 0)
}

// winogradFinish is how many input channels' weights are finished in a piece.
const winogradFinish = 16

func winogradFinishRows(worker, piece int) {
	j := &winoWeight
	m := &arenas[worker]
	m.used = 0
	c, k, k16 := j.wino.c, j.wino.k, roundUp(j.wino.k, 16)
	row := piece * winogradFinish
	rows := min(winogradFinish, c-row)
	g := m.take(9 * rows * k16)
	plane := 4 * uintptr(c*k16)
	args := winogradArgs{
		dst: &g[0], dstRow: 3 * 4 * uintptr(rows*k16), dstCol: 4 * uintptr(rows*k16), dstItem: 4 * uintptr(k16),
		src: &j.du[row*k16], srcRow: 6 * plane, srcCol: plane, srcItem: 4 * uintptr(k16),
		items: rows,
	}
	winogradWeightGrad(&args, k16)
	for tap := range 9 {
		for r := range rows {
			axpy(j.dw[(tap*c+row+r)*k:][:k], 1, g[(tap*rows+r)*k16:][:k])
		}
	}
}
