package winograd

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Where there are so many channels that the transformed weights do not fit the caches,
// each piece of pixels would read all of them from memory. So the work is shared by
// columns instead: all workers write V of a group of tiles to shared memory, then each
// takes 32 columns of the output, transforms their weights into a buffer of its own and
// goes through the tiles of the group.

const (
	wideGroup   = 4 << 20 // elements of V in a group
	wideColumns = 32
	wideTiles   = 64 // tiles at a time: M of these stays in the cache
)

// WideWeights is the number of elements of U from which work is shared by columns.
var WideWeights = 36 * 300 * 300

func (j *winogradJob) runWide(n int, sums *shape.Sums) {
	c16 := scratch.RoundUp(j.c, 16)
	down, positions := j.tiles(j.h), j.positions()
	rows := max(1, 8/j.across)
	j.bands = scratch.Cut(n, down, min(rows, (n*down+7)/8), 1)
	images, rows := j.bands.Images, j.bands.Rows
	perBand := images * rows * j.across
	j.uPlane = oddLines(j.c * wideColumns)
	j.perChunk = max(1, wideTiles/perBand)
	perGroup := max(1, wideGroup/(positions*c16*perBand))
	pieces := j.bands.Count()
	perGroup = scratch.RoundUp(min(perGroup, pieces), j.perChunk)
	j.plane = oddLines(min(perGroup, pieces) * perBand * c16)

	scratch.Shared.Reset(scratch.Room(positions * j.plane))
	j.v = scratch.Shared.Take(positions * j.plane)
	chunk := j.perChunk * perBand
	scratch.Reserve(max(
		scratch.Room(j.pixels(rows)*j.in.Width()*c16),
		scratch.Room(36*j.uPlane, 9*j.c*wideColumns, positions*oddLines(chunk*wideColumns),
			j.tile*j.tile*j.across*wideColumns,
			2*j.k)))
	if j.sums {
		scratch.ZeroPartials(2 * j.k)
	}
	for j.first = 0; j.first < pieces; j.first += perGroup {
		j.group = min(perGroup, pieces-j.first)
		parallel.For(j.group, wideLoad)
		parallel.For((j.k+wideColumns-1)/wideColumns, widePiece)
	}
	if j.sums {
		scratch.AddPartials(sums, 1, j.k)
	}
}

// tilesOf returns how many tiles a band has.
func (j *winogradJob) tilesOf(band int) int {
	b := j.bands.At(band)
	return (b.N1 - b.N0) * (b.Y1 - b.Y0) * j.across
}

func wideLoad(worker, piece int) {
	j := &wino
	m := &scratch.Arenas[worker]
	tile := 0
	for p := range piece {
		tile += j.tilesOf(j.first + p)
	}
	b := j.bands.At(j.first + piece)
	c16 := scratch.RoundUp(j.c, 16)
	for n := b.N0; n < b.N1; n++ {
		m.Used = 0
		img := m.Take(j.pixels(b.Y1-b.Y0) * j.in.Width() * c16)
		j.transformImage(j.v[tile*c16:], c16, j.plane, img, n, b.Y0, b.Y1)
		tile += (b.Y1 - b.Y0) * j.across
	}
}

func widePiece(worker, piece int) {
	j := &wino
	m := &scratch.Arenas[worker]
	m.Used = 0
	c16, col := scratch.RoundUp(j.c, 16), piece*wideColumns
	cols := min(wideColumns, scratch.RoundUp(j.k-col, 16))
	u, temp := m.Take(36*j.uPlane), m.Take(9*j.c*cols)
	for at := 0; at < cols; {
		_, width := product.TileShape(cols - at)
		j.packPanel(temp, u[at*j.c:], j.uPlane, col+at, width)
		at += width
	}

	out, part := m.Take(j.tile*j.tile*j.across*cols), m.Take(2*j.k)
	clear(part)
	sa, sb := []float64(nil), []float64(nil)
	if j.sums {
		sa, sb = scratch.Partials[:j.k], scratch.Partials[j.k:2*j.k] // of all pieces: each has its columns
	}
	rest := m.Used
	tile := 0
	for lo := 0; lo < j.group; lo += j.perChunk {
		hi := min(lo+j.perChunk, j.group)
		tiles := 0
		for p := lo; p < hi; p++ {
			tiles += j.tilesOf(j.first + p)
		}
		m.Used = rest
		plane := oddLines(tiles * cols)
		prod := m.Take(j.positions() * plane)
		for p := range j.positions() {
			product.BlockNN(tiles, cols, j.c, prod[p*plane:], cols, j.v[p*j.plane+tile*c16:], c16,
				u[j.scheme.plane(p)*j.uPlane:], false)
		}
		at := 0
		for p := lo; p < hi; p++ {
			b := j.bands.At(j.first + p)
			for n := b.N0; n < b.N1; n++ {
				for y := b.Y0; y < b.Y1; y++ {
					j.store(n, y, col, cols, prod[at*cols:], plane, out, sa, sb, part)
					at += j.across
				}
			}
		}
		tile += tiles
	}
	j.fin.Done()
}
