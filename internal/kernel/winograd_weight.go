package kernel

import "vicreg/internal/parallel"

// The weight gradient by Winograd's algorithm. With V the tiles of the input and D those
// of the output gradient, dU[36][c][k] = Σ Vᵀ·D over all tiles, and dw = Gᵀ·dU·G. The
// tiles come in groups; all workers write V and D of a group to shared memory. If dU is
// small, each worker then takes some positions of it, which are kept from group to group
// and transformed at the end. If it is large, each takes blocks of c × k, which it
// transforms and adds to dw at once. Groups and blocks depend on the shape alone.

// winogradSide is the side of a block of a large dU.
const winogradSide = 64

var (
	winogradSmall = 96 * 96 // c · k up to which dU is small
	winogradGroup = 1 << 19 // elements of V and D in a group, at least
	winogradTiles = 112     // tiles in a group, at least
)

// spread returns a length of at least n for rows of which a product reads some columns,
// so that they do not share cache sets.
func spread(n int) int {
	if n > winogradSide {
		n |= lineFloats
	}
	return n
}

var winoWeight winogradWeightJob

type winogradWeightJob struct {
	wino winogradJob // loads and transforms the input
	grad image
	dw   []float32
	half bool      // products of bfloat16
	v, d []float32 // [positions][tiles][c], [positions][tiles][k]
	du   []float32 // [36][c][k]

	first          int // piece of the group
	group          int // pieces of a group
	tiles          int // in the group
	vRow, dRow     int // from one tile to the next
	vPlane, dPlane int
	rowBlocks      int
}

func winogradWeightGradient(dw []float32, s Conv, g Grad, src Source) {
	j := &winoWeight
	*j = winogradWeightJob{
		wino: winogradJob{
			scheme: schemeOf(s), in: image{reader: sourceReader(src, s.C), h: s.H, w: s.W},
			h: s.OutH(), w: s.OutW(), c: s.C, k: s.K, pad: s.Pad,
		},
		grad: image{reader: gradReader(g, s.K), h: s.OutH(), w: s.OutW()},
		dw:   dw,
		half: s.bf16(),
	}
	w := &j.wino
	w.lay()
	j.grad.right = 4*w.across - w.w
	c16, k16 := roundUp(s.C, 16), roundUp(s.K, 16)

	j.vRow, j.dRow = spread(c16), spread(k16)
	down, positions := w.scheme.tiles(w.h), w.positions()
	rows := max(1, winogradFloats/(positions*(c16+k16)*w.across))
	w.bands = cut(s.N, down, min(rows, (s.N*down+7)/8), 1)
	images, rows := w.bands.images, w.bands.rows
	perPiece := images * rows * w.across
	j.group = max(1, max(winogradGroup/(positions*(c16+k16)), winogradTiles)/perPiece)
	most := min(j.group, w.bands.count()) * roundUp(perPiece, 2)
	j.vPlane, j.dPlane = oddLines(most*j.vRow), oddLines(most*j.dRow)
	small := s.C*s.K <= winogradSmall
	duLen := 0
	if small {
		duLen = 36 * s.C * k16
	}
	sharedArena.reset(room(positions*j.vPlane, positions*j.dPlane, duLen))
	j.v, j.d, j.du = sharedArena.take(positions*j.vPlane), sharedArena.take(positions*j.dPlane), sharedArena.take(duLen)
	reserve(max(
		room(max(w.pixels(rows)*w.in.width()*c16, 4*rows*j.grad.width()*k16)),
		room(9*winogradFinish*k16),
		room(36*oddLines(winogradSide*winogradSide), 9*winogradSide*winogradSide)))
	j.rowBlocks = (s.C + winogradSide - 1) / winogradSide
	blocks := j.rowBlocks * ((s.K + winogradSide - 1) / winogradSide)

	pieces := w.bands.count()
	for j.first = 0; j.first < pieces; j.first += j.group {
		n := min(j.group, pieces-j.first)
		j.tiles = 0
		for p := range n {
			j.tiles += j.rowsOf(j.first + p)
		}
		parallel.For(n, winogradLoad)
		if small {
			parallel.For(36, winogradAdd)
		} else {
			parallel.For(blocks, winogradAddBlock)
		}
	}
	if small {
		parallel.For((s.C+winogradFinish-1)/winogradFinish, winogradFinishRows)
	}
	*j = winogradWeightJob{}
}

// winogradLoad writes V and D of a piece.
func winogradLoad(worker, piece int) {
	j := &winoWeight
	w := &j.wino
	m := &arenas[worker]
	tile := 0
	for p := range piece {
		tile += j.rowsOf(j.first + p)
	}
	first := tile
	b := w.bands.at(j.first + piece)
	rows := b.y1 - b.y0
	c16, k16 := roundUp(w.c, 16), roundUp(w.k, 16)
	for n := b.n0; n < b.n1; n++ {
		m.used = 0
		img := m.take(w.pixels(rows) * w.in.width() * c16)
		w.transformImage(j.v[tile*j.vRow:], j.vRow, j.vPlane, img, n, b.y0, b.y1)

		m.used = 0
		line := j.grad.width() * k16
		img = m.take(4 * rows * line)
		j.grad.loadWide(img, k16, n, 4*b.y0, 4*b.y1)
		for y := range rows {
			args := winogradArgs{
				dst: &j.d[(tile+y*w.across)*j.dRow], dstRow: 4 * uintptr(w.side*j.dPlane),
				dstCol: 4 * uintptr(j.dPlane), dstItem: 4 * uintptr(j.dRow),
				src: &img[4*y*line], srcRow: 4 * uintptr(line), srcCol: 4 * uintptr(k16), srcItem: 4 * 4 * uintptr(k16),
				items: w.across,
			}
			w.scheme.grad(&args, k16)
		}
		tile += rows * w.across
	}
	if j.half { // in every other row
		for p := range w.positions() {
			v, d := j.v[p*j.vPlane+first*j.vRow:], j.d[p*j.dPlane+first*j.dRow:]
			pairRows(v, 2*j.vRow, v, j.vRow, tile-first, c16)
			pairRows(d, 2*j.dRow, d, j.dRow, tile-first, k16)
		}
	}
}

// rowsOf returns how many rows of V and D a band takes.
func (j *winogradWeightJob) rowsOf(band int) int {
	n := j.wino.tilesOf(band)
	if j.half {
		n = roundUp(n, 2)
	}
	return n
}

// addPlane adds positions of a group to one of 36 planes of dU, rows crs apart:
// columns [row, row+rows) of V times columns [col, col+cols) of D.
func (j *winogradWeightJob) addPlane(du []float32, crs, plane, row, col, rows, cols int, accumulate bool, f *fetcher) {
	w := &j.wino
	for p := range w.positions() {
		if w.scheme.plane(p) == plane {
			v, d := j.v[p*j.vPlane+row:], j.d[p*j.dPlane+col:]
			tiles, vRow, dRow := j.tiles, j.vRow, j.dRow
			if j.half {
				tiles, vRow, dRow = tiles/2, 2*vRow, 2*dRow
			}
			multiplyTN(j.half, rows, cols, tiles, du, crs, v, vRow, d, dRow, accumulate, f)
			accumulate = true
		}
	}
}

// planeOf returns the planes in the order in which workers take them: those with many
// positions first.
func planeOf(piece int) int { return 35 - piece }

// winogradAdd adds a group to a plane of dU.
func winogradAdd(_, piece int) {
	j := &winoWeight
	c, k16 := j.wino.c, roundUp(j.wino.k, 16)
	var f fetcher
	j.fetchGroup(&f, piece)
	p := planeOf(piece)
	j.addPlane(j.du[p*c*k16:], k16, p, 0, 0, c, k16, j.first > 0, &f)
}

// fetchGroup queues one of 36 shares of what the next group loads.
func (j *winogradWeightJob) fetchGroup(f *fetcher, piece int) {
	w := &j.wino
	lo, hi := j.first+j.group, min(j.first+2*j.group, w.bands.count())
	if lo >= hi {
		return
	}
	first, last := w.bands.at(lo), w.bands.at(hi-1)
	y0, _ := w.reads(first.y0, first.y1)
	_, y1 := w.reads(last.y0, last.y1)
	w.in.fetchShare(f, first.n0, y0, last.n1, y1, piece, 36)
	j.grad.fetchShare(f, first.n0, 4*first.y0, last.n1, 4*last.y1, piece, 36)
}

// winogradAddBlock makes a block of dU of a group and adds it to dw.
func winogradAddBlock(worker, piece int) {
	j := &winoWeight
	m := &arenas[worker]
	m.used = 0
	c, k, k16 := j.wino.c, j.wino.k, roundUp(j.wino.k, 16)
	row, col := piece%j.rowBlocks*winogradSide, piece/j.rowBlocks*winogradSide
	rows, cols := min(winogradSide, c-row), min(winogradSide, k16-col)
	plane := oddLines(rows * cols)
	du := m.take(36 * plane)
	var f fetcher
	for p := range 36 {
		j.addPlane(du[p*plane:], cols, p, row, col, rows, cols, false, &f)
	}
	j.finish(m, du, 4*uintptr(plane), row, col, rows, cols, min(cols, k-col))
}

// finish transforms rows × cols of dU, whose positions lie plane bytes apart, and adds
// the first valid columns of the result to dw, from row first and column col on.
func (j *winogradWeightJob) finish(m *arena, du []float32, plane uintptr, first, col, rows, cols, valid int) {
	g := m.take(9 * rows * cols)
	tap := 4 * uintptr(rows*cols)
	args := winogradArgs{
		dst: &g[0], dstRow: 3 * tap, dstCol: tap, dstItem: 4 * uintptr(cols),
		src: &du[0], srcRow: 6 * plane, srcCol: plane, srcItem: 4 * uintptr(cols),
		items: rows,
	}
	j.wino.weightGrad(&args, cols)
	for tap := range 9 {
		for r := range rows {
			axpy(j.dw[(tap*j.wino.c+first+r)*j.wino.k+col:][:valid], 1, g[(tap*rows+r)*cols:][:valid])
		}
	}
}

// winogradFinish is how many input channels' weights are finished in a piece.
const winogradFinish = 16

func winogradFinishRows(worker, piece int) {
	j := &winoWeight
	m := &arenas[worker]
	m.used = 0
	c, k, k16 := j.wino.c, j.wino.k, roundUp(j.wino.k, 16)
	row := piece * winogradFinish
	j.finish(m, j.du[row*k16:], 4*uintptr(c*k16), row, 0, min(winogradFinish, c-row), k16, k)
}
