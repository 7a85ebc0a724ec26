package loss

import (
	"vicreg/internal/kernel/column"
	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// Where there are few rows, and fewer than columns, the n × n route goes through the
// embeddings twice, a strip of columns at a time, each small enough for the second-level
// cache. The first trip makes a strip's means, its centred values and its share of both
// Gram matrices, the second its gradients. Centred embeddings are never stored.

// fewRows is the most rows for which a Gram matrix stays in that cache.
const fewRows = 512

// few is the workspace of this route.
type few struct {
	shares  int       // of the columns; each has a Gram matrix of its own
	share   int       // columns in one
	partial []float32 // shares × 2 × n × gs
	gs      int       // stride of a Gram matrix
	width   int       // columns in a strip of the first trip
	strip   int       // and of the second
	tiles   int       // on and above the diagonal of a Gram matrix
	gram    [2][]float32
	scratch [][]float32 // of a worker
	room    int         // in each
	workers int
}

// grams is the first trip. It leaves mean and variance of both branches, and their Gram
// matrices times scale. It returns Σ (z1 − z2)² and ‖G‖²_F of both.
func (ws *Workspace) grams() (distance float64, squares [2]float64) {
	f, n, d := &ws.few, ws.n, ws.d
	f.share = max(128, (d/8+31)&^31)
	f.shares = (d + f.share - 1) / f.share
	f.gs = (n + 15) &^ 15
	if f.gs%512 == 0 {
		f.gs += 16 // or rows compete for the same cache lines
	}
	f.partial = tensor.Grow(f.partial, f.shares*2*n*f.gs)
	for i := range f.gram {
		f.gram[i] = tensor.Grow(f.gram[i], n*f.gs)
	}
	f.width = min(max(firstFloats/n&^31, 32), 256)
	f.strip = min(max(secondFloats/n&^31, 32), 256)
	f.room = max(2*n*f.width+column.PackedLen(f.width, n), 4*n*f.strip+column.PackedLen(n, f.strip), tile)
	f.workers = parallel.Workers()
	for len(f.scratch) < f.workers {
		f.scratch = append(f.scratch, nil)
	}
	for i := range f.scratch {
		f.scratch[i] = tensor.Grow(f.scratch[i], f.room)
	}
	distance = ws.run(f.shares, ws.passes.share)

	side := (n + tile - 1) / tile
	f.tiles = side * (side + 1) / 2
	ws.run(2*f.tiles, ws.passes.reduce)
	for i := range squares {
		for _, p := range ws.part[i*f.tiles:][:f.tiles] {
			squares[i] += p
		}
	}
	return distance, squares
}

// Elements of an embedding in a strip.
const (
	firstFloats  = 32 << 10
	secondFloats = 32 << 10
)

// How many rows of the embeddings are read side by side: rows of one embedding, or of
// both, may compete for the same cache lines.
const (
	sideRows = 8
	pullRows = 4
)

// shareOf handles the columns of one share in the first trip.
func (ws *Workspace) shareOf(worker, piece int) {
	f, n, d := &ws.few, ws.n, ws.d
	from := piece * f.share
	to := min(from+f.share, d)
	buf := f.scratch[worker]
	packed := buf[2*n*f.width:]
	var distance float64
	for lo := from; lo < to; lo += f.width {
		cols := min(f.width, to-lo)
		var strip [2]product.Mat
		for x := range strip {
			strip[x] = product.Mat{Data: buf[x*n*f.width:], Rows: n, Cols: cols, Stride: cols}
			z, mean := columns(ws.matrix(ws.z[x]), lo, cols), ws.branch[x].startMean(lo, cols)
			for i := 0; i < n; i += sideRows {
				rows := min(sideRows, n-i)
				column.CopySums(part(strip[x], i, rows), part(z, i, rows), mean)
			}
		}
		distance += column.Distance(strip[0], strip[1])
		next := lo + f.width
		if next >= to {
			next += (f.workers - 1) * f.share // most likely
		}
		for x := range strip {
			ws.branch[x].centre(strip[x], lo)
			g := product.Mat{Data: f.partial[(piece*2+x)*n*f.gs:], Rows: n, Cols: n, Stride: f.gs}
			column.UpperGram(g, strip[x], packed, lo > from, ws.ahead(x, next, f.width))
		}
	}
	ws.part[piece] = distance
}

// ahead returns a strip of embedding x, or as much of it as there is.
func (ws *Workspace) ahead(x, lo, width int) product.Mat {
	if lo >= ws.d {
		return product.Mat{}
	}
	return columns(ws.matrix(ws.z[x]), lo, min(width, ws.d-lo))
}

// reduceTile adds up one tile of a Gram matrix, stores it and its mirror image, and
// leaves the sum of squares of both.
func (ws *Workspace) reduceTile(worker, piece int) {
	f, n := &ws.few, ws.n
	x, at := piece/f.tiles, piece%f.tiles
	r, c := tileOf(at, (n+tile-1)/tile)
	dump := product.Mat{Data: f.scratch[worker], Stride: -1}
	var total [tile]float64
	var sum float64
	for i := r * tile; i < min((r+1)*tile, n); i++ {
		from, to := c*tile, min((c+1)*tile, n)
		if r == c {
			from = i
		}
		row := total[:to-from]
		clear(row)
		column.CopySums(dump, product.Mat{Data: f.partial[(x*n+i)*f.gs+from:], Rows: f.shares, Cols: to - from,
			Stride: 2 * n * f.gs}, row)
		for j, v := range row {
			if j += from; j == i {
				sum += v * v
			} else {
				sum += 2 * v * v
			}
			w := float32(v) * ws.scales[x]
			f.gram[x][i*f.gs+j], f.gram[x][j*f.gs+i] = w, w
		}
	}
	ws.part[piece] = sum
}

// pullStrips is the second trip. It stores the gradients:
//
//	dz1 = coef1·zc1 + β·(z1 − z2) + scale·G1·zc1
//	dz2 = coef2·zc2 + β·(z2 − z1) + scale·G2·zc2
func (ws *Workspace) pullStrips() {
	pieces := (ws.d + ws.few.strip - 1) / ws.few.strip
	parallel.For(pieces, ws.passes.strip)
}

func (ws *Workspace) pullStrip(worker, piece int) {
	f, n := &ws.few, ws.n
	lo := piece * f.strip
	cols := min(f.strip, ws.d-lo)
	buf := f.scratch[worker]
	var z, centred, dz [2]product.Mat
	for x := range z {
		z[x] = columns(ws.matrix(ws.z[x]), lo, cols)
		centred[x] = product.Mat{Data: buf[x*n*f.strip:], Rows: n, Cols: cols, Stride: cols}
		dz[x] = product.Mat{Data: buf[(2+x)*n*f.strip:], Rows: n, Cols: cols, Stride: cols}
	}
	for i := 0; i < n; i += pullRows {
		rows := min(pullRows, n-i)
		for x := range z {
			b := &ws.branch[x]
			column.Pull(part(dz[x], i, rows), part(centred[x], i, rows), part(z[x], i, rows), part(z[1-x], i, rows),
				b.mean[lo:], b.coef[lo:], ws.beta)
		}
	}
	next := lo + f.workers*f.strip
	for x := range z {
		g := product.Mat{Data: f.gram[x], Rows: n, Cols: n, Stride: f.gs}
		column.AddProduct(dz[x], g, centred[x], buf[4*n*f.strip:], ws.ahead(x, next, f.strip))
		column.Put(columns(ws.matrix(ws.dz[x]), lo, cols), dz[x])
	}
}
