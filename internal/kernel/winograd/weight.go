package winograd

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// The weight gradient by Winograd's algorithm. With V the tiles of the input and D those
// of the output gradient, dU[36][c][k] = Σ Vᵀ·D over all tiles, and dw = Gᵀ·dU·G. The
// tiles come in groups; all workers write V and D of a group to shared memory. If dU is
// small, each worker then takes shares of it, rows of one of 36 planes, which are kept from
// group to group and transformed at the end. If it is large, each takes blocks of c × k,
// which it transforms and adds to dw at once. Groups, shares and blocks depend on the shape
// alone.

// winogradSide is the side of a block of a large dU.
const winogradSide = 64

var (
	SmallFloats = 512 * 512 // c · k up to which dU is small
	GroupFloats = 1 << 19   // elements of V and D in a group, at least
	GroupTiles  = 112       // tiles in a group, at least
)

// spread returns a length of at least n for rows of which a product reads some columns,
// so that they do not share cache sets.
func spread(n int) int {
	if n > winogradSide {
		n |= scratch.LineFloats
	}
	return n
}

var winoWeight winogradWeightJob

type winogradWeightJob struct {
	wino winogradJob // loads and transforms the input
	grad row.Image
	dw   []float32
	half bool      // products of bfloat16
	v, d []float32 // [positions][product.tiles][c], [positions][product.tiles][k]
	du   []float32 // [36][c][k]

	first          int // piece of the group
	group          int // pieces of a group
	tiles          int // in the group
	vRow, dRow     int // from one tile to the next
	vPlane, dPlane int
	rowBlocks      int
}

func WeightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	j := &winoWeight
	*j = winogradWeightJob{
		wino: winogradJob{
			scheme: schemeOf(s), in: row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W},
			h: s.OutH(), w: s.OutW(), c: s.C, k: s.K, pad: s.Pad,
		},
		grad: row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW()},
		dw:   dw,
		half: s.BF16(),
	}
	w := &j.wino
	w.lay()
	j.grad.Right = 4*w.across - w.w
	c16, k16 := scratch.RoundUp(s.C, 16), scratch.RoundUp(s.K, 16)

	j.vRow, j.dRow = spread(c16), spread(k16)
	down, positions := w.scheme.tiles(w.h), w.positions()
	rows := max(1, PieceFloats/(positions*(c16+k16)*w.across))
	w.bands = scratch.Cut(s.N, down, min(rows, (s.N*down+7)/8), 1)
	images, rows := w.bands.Images, w.bands.Rows
	perPiece := images * rows * w.across
	j.group = max(1, max(GroupFloats/(positions*(c16+k16)), GroupTiles)/perPiece)
	pieces := w.bands.Count()
	groups := max(1, (pieces+j.group/2)/j.group) // of about the same size: each goes through all of dU
	j.group = (pieces + groups - 1) / groups
	most := j.group * scratch.RoundUp(perPiece, 2)
	j.vPlane, j.dPlane = oddLines(most*j.vRow), oddLines(most*j.dRow)
	small := s.C*s.K <= SmallFloats
	duLen := 0
	if small {
		duLen = 36 * s.C * k16
	}
	scratch.Shared.Reset(scratch.Room(positions*j.vPlane, positions*j.dPlane, duLen))
	j.v, j.d, j.du = scratch.Shared.Take(positions*j.vPlane), scratch.Shared.Take(positions*j.dPlane),
		scratch.Shared.Take(duLen)
	scratch.Reserve(max(
		scratch.Room(max(w.pixels(rows)*w.in.Width()*c16, 4*rows*j.grad.Width()*k16)),
		scratch.Room(9*winogradFinish*k16),
		scratch.Room(36*oddLines(winogradSide*winogradSide), 9*winogradSide*winogradSide)))
	j.rowBlocks = (s.C + winogradSide - 1) / winogradSide
	blocks := j.rowBlocks * ((s.K + winogradSide - 1) / winogradSide)

	for j.first = 0; j.first < pieces; j.first += j.group {
		n := min(j.group, pieces-j.first)
		j.tiles = 0
		for p := range n {
			j.tiles += j.rowsOf(j.first + p)
		}
		parallel.For(n, winogradLoad)
		if small {
			j.share()
			parallel.For(len(shares), winogradAdd)
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
	m := &scratch.Arenas[worker]
	tile := 0
	for p := range piece {
		tile += j.rowsOf(j.first + p)
	}
	first := tile
	b := w.bands.At(j.first + piece)
	rows := b.Y1 - b.Y0
	c16, k16 := scratch.RoundUp(w.c, 16), scratch.RoundUp(w.k, 16)
	for n := b.N0; n < b.N1; n++ {
		m.Used = 0
		img := m.Take(w.pixels(rows) * w.in.Width() * c16)
		w.transformImage(j.v[tile*j.vRow:], j.vRow, j.vPlane, img, n, b.Y0, b.Y1)

		m.Used = 0
		line := j.grad.Width() * k16
		img = m.Take(4 * rows * line)
		j.grad.LoadWide(shape.Floats(img), k16, n, 4*b.Y0, 4*b.Y1)
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
			product.PairRows(v, 2*j.vRow, v, j.vRow, tile-first, c16)
			product.PairRows(d, 2*j.dRow, d, j.dRow, tile-first, k16)
		}
	}
}

// rowsOf returns how many rows of V and D a band takes.
func (j *winogradWeightJob) rowsOf(band int) int {
	n := j.wino.tilesOf(band)
	if j.half {
		n = scratch.RoundUp(n, 2)
	}
	return n
}

// addPlane adds positions of a group to one of 36 planes of dU, rows crs apart:
// columns [row, row+rows) of V times columns [col, col+cols) of D.
func (j *winogradWeightJob) addPlane(du []float32, crs, plane, row, col, rows, cols int, accumulate bool,
	f *product.Fetcher) {
	w := &j.wino
	for p := range w.positions() {
		if w.scheme.plane(p) == plane {
			v, d := j.v[p*j.vPlane+row:], j.d[p*j.dPlane+col:]
			tiles, vRow, dRow := j.tiles, j.vRow, j.dRow
			if j.half {
				tiles, vRow, dRow = tiles/2, 2*vRow, 2*dRow
			}
			product.MultiplyTN(j.half, rows, cols, tiles, du, crs, v, vRow, d, dRow, accumulate, f)
			accumulate = true
		}
	}
}

// share is some rows of a plane of dU, which one worker adds a group to.
type share struct{ plane, row, rows int }

// shares are those of the group under way.
var shares []share

const (
	shareCount = 64 // of a group, about
	shareRows  = 14 // rows in each, at least
)

// ShareLeast is about how many multiplications there are in a share at least.
var ShareLeast = 1 << 19

// share cuts dU so that shares are about equally long: planes with many positions take
// longer, and come first.
func (j *winogradWeightJob) share() {
	c, k16 := j.wino.c, scratch.RoundUp(j.wino.k, 16)
	var positions [36]int
	for p := range j.wino.positions() {
		positions[j.wino.scheme.plane(p)]++
	}
	row := k16 * j.tiles // multiplications in a row, for each position
	target := max(ShareLeast, j.wino.positions()*c*row/shareCount)
	shares = shares[:0]
	for p := 35; p >= 0; p-- {
		parts := max(1, (positions[p]*c*row+target/2)/target)
		rows := product.Share(c, max(shareRows, (c+parts-1)/parts))
		for r := 0; r < c; r += rows {
			shares = append(shares, share{p, r, min(rows, c-r)})
		}
	}
}

// winogradAdd adds a group to a share of dU.
func winogradAdd(_, piece int) {
	j := &winoWeight
	c, k16 := j.wino.c, scratch.RoundUp(j.wino.k, 16)
	var f product.Fetcher
	j.fetchGroup(&f, piece)
	s := shares[piece]
	j.addPlane(j.du[(s.plane*c+s.row)*k16:], k16, s.plane, s.row, 0, s.rows, k16, j.first > 0, &f)
}

// fetchGroup queues what the next group loads, as much as belongs to a share of dU.
func (j *winogradWeightJob) fetchGroup(f *product.Fetcher, piece int) {
	w := &j.wino
	lo, hi := j.first+j.group, min(j.first+2*j.group, w.bands.Count())
	if lo >= hi {
		return
	}
	first, last := w.bands.At(lo), w.bands.At(hi-1)
	y0, _ := w.reads(first.Y0, first.Y1)
	_, y1 := w.reads(last.Y0, last.Y1)
	w.in.FetchShare(f, first.N0, y0, last.N1, y1, piece, len(shares))
	j.grad.FetchShare(f, first.N0, 4*first.Y0, last.N1, 4*last.Y1, piece, len(shares))
}

// winogradAddBlock makes a block of dU of a group and adds it to dw.
func winogradAddBlock(worker, piece int) {
	j := &winoWeight
	m := &scratch.Arenas[worker]
	m.Used = 0
	c, k, k16 := j.wino.c, j.wino.k, scratch.RoundUp(j.wino.k, 16)
	row, col := piece%j.rowBlocks*winogradSide, piece/j.rowBlocks*winogradSide
	rows, cols := min(winogradSide, c-row), min(winogradSide, k16-col)
	plane := oddLines(rows * cols)
	du := m.Take(36 * plane)
	var f product.Fetcher
	for p := range 36 {
		j.addPlane(du[p*plane:], cols, p, row, col, rows, cols, false, &f)
	}
	j.finish(m, du, 4*uintptr(plane), row, col, rows, cols, min(cols, k-col))
}

// finish transforms rows × cols of dU, whose positions lie plane bytes apart, and adds
// the first valid columns of the result to dw, from row first and column col on.
func (j *winogradWeightJob) finish(m *scratch.Arena, du []float32, plane uintptr, first, col, rows, cols, valid int) {
	g := m.Take(9 * rows * cols)
	tap := 4 * uintptr(rows*cols)
	args := winogradArgs{
		dst: &g[0], dstRow: 3 * tap, dstCol: tap, dstItem: 4 * uintptr(cols),
		src: &du[0], srcRow: 6 * plane, srcCol: plane, srcItem: 4 * uintptr(cols),
		items: rows,
	}
	j.wino.weightGrad(&args, cols)
	for tap := range 9 {
		for r := range rows {
			row.Axpy(j.dw[(tap*j.wino.c+first+r)*j.wino.k+col:][:valid], 1, g[(tap*rows+r)*cols:][:valid])
		}
	}
}

// winogradFinish is how many input channels' weights are finished in a piece.
const winogradFinish = 16

func winogradFinishRows(worker, piece int) {
	j := &winoWeight
	m := &scratch.Arenas[worker]
	m.Used = 0
	c, k, k16 := j.wino.c, j.wino.k, scratch.RoundUp(j.wino.k, 16)
	row := piece * winogradFinish
	j.finish(m, j.du[row*k16:], 4*uintptr(c*k16), row, 0, min(winogradFinish, c-row), k16, k)
}
