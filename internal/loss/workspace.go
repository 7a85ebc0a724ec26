package loss

import (
	"unsafe"

	"vicreg/internal/kernel/column"
	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// Workspace is memory that Eval uses again from call to call. The zero value is
// ready. It serves one call at a time.
type Workspace struct {
	n, d   int
	stride int // of the centred embeddings
	z      [2][]float32
	branch [2]branch
	square []float32 // Gram matrix or covariance, min(n, d)² in the usual case
	part   []float64 // a sum per piece, added in order afterwards

	// Passes take their arguments from these fields, so that no closure is made
	// per call.
	passes   passes
	few      few
	dump     []float32 // a row of every worker
	dz       [2][]float32
	strip    int        // columns in a piece of centre
	rows     int        // in a piece of pull
	one      int        // the branch that pull handles
	m        int        // columns of square
	lo       int        // column of the covariance at which square starts
	diagonal bool       // square keeps its diagonal
	scale    float32    // of square
	scales   [2]float32 // of square, for each branch
	beta     float32    // of z1 − z2

	// Of the other losses.
	units    [2]Units
	both     []float32 // unit rows of two embeddings, one after the other
	du       []float32 // gradients of unit rows
	dk       []float32 // and of unit keys
	labels   []int32
	softmax  softmax
	queue    queue
	cosine   cosine
	barlow   barlow
	whiten   whiten
	sink     sinkhorn
	assigned [2][]float32 // n × k, of SwAV
	extra    [2][]float32 // gradients of a Regularizer
}

// branch is what is known of one embedding.
type branch struct {
	zc       []float32 // n × stride: z − mean over the rows
	mean     []float64 // d
	variance []float64 // d, unbiased
	coef     []float32 // d: this times zc_ij is a part of the gradient
}

// passes are the bodies of the parallel loops.
type passes struct{ centre, tile, block, pull, share, reduce, strip func(worker, piece int) }

// reset makes room for embeddings of n × d.
func (ws *Workspace) reset(z1, z2 []float32, n, d int) {
	if ws.passes.centre == nil {
		ws.passes = passes{
			ws.centreStrip, ws.tilePiece, ws.blockRow, ws.pullRows,
			ws.shareOf, ws.reduceTile, ws.pullStrip,
		}
	}
	ws.n, ws.d, ws.z = n, d, [2][]float32{z1, z2}
	// Rows that lie a multiple of 4 KiB apart compete for the same cache lines.
	ws.stride = d
	if d%1024 == 0 {
		ws.stride += 16
	}
	for i := range ws.branch {
		b := &ws.branch[i]
		b.mean, b.variance = grow(b.mean, d), grow(b.variance, d)
		b.coef = tensor.Grow(b.coef, d)
	}
}

func grow(buf []float64, n int) []float64 {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]float64, n)
}

// run calls pass for every piece and returns the sum of what the pieces left in
// part.
func (ws *Workspace) run(pieces int, pass func(worker, piece int)) float64 {
	ws.part = grow(ws.part, pieces)
	parallel.For(pieces, pass)
	var sum float64
	for _, p := range ws.part {
		sum += p
	}
	return sum
}

// stripBytes is how much of one embedding a piece of centre handles. It reads a strip
// twice, so the strips of both embeddings should stay in the second-level cache.
const stripBytes = 1 << 18

// centre fills zc, mean and variance of both branches in one trip over memory
// and returns Σ (z1 − z2)².
func (ws *Workspace) centre() float64 {
	for i := range ws.branch {
		b := &ws.branch[i]
		b.zc = tensor.Grow(b.zc, ws.n*ws.stride)
	}
	row := ws.n * int(unsafe.Sizeof(float32(0)))
	ws.strip = min(max(stripBytes/row&^15, 16), 512)
	return ws.run((ws.d+ws.strip-1)/ws.strip, ws.passes.centre)
}

// centreStrip handles a strip of columns. Sums are float64 and the mean is subtracted in
// float64, so a large offset of the embeddings costs no precision.
func (ws *Workspace) centreStrip(_, piece int) {
	lo := piece * ws.strip
	cols := min(ws.strip, ws.d-lo)
	var z, zc [2]product.Mat
	for x := range z {
		b := &ws.branch[x]
		z[x], zc[x] = columns(ws.matrix(ws.z[x]), lo, cols), columns(ws.centred(b), lo, cols)
		column.CopySums(zc[x], z[x], b.startMean(lo, cols))
	}
	ws.part[piece] = column.Distance(zc[0], zc[1])
	for x := range zc {
		ws.branch[x].centre(zc[x], lo)
	}
}

// startMean returns the sums of columns [lo, lo+cols), set to zero.
func (b *branch) startMean(lo, cols int) []float64 {
	sum := b.mean[lo:][:cols]
	clear(sum)
	return sum
}

// centre centres the columns of z, which begin with column lo of the embeddings. Their
// sums are in mean.
func (b *branch) centre(z product.Mat, lo int) {
	mean, variance := b.mean[lo:][:z.Cols], b.variance[lo:][:z.Cols]
	clear(variance)
	for j := range mean {
		mean[j] /= float64(z.Rows)
	}
	column.Centre(z, mean, variance)
	for j := range variance {
		variance[j] /= float64(z.Rows - 1)
	}
}

// pull stores most of the gradient of branch x in dz; a product is added afterwards:
//
//	dz = coef·zc + β·(z − z')
func (ws *Workspace) pull(x int) {
	ws.one = x
	ws.rows = max(1, 1<<14/ws.d)
	ws.dump = tensor.Grow(ws.dump, parallel.Workers()*ws.d)
	parallel.For((ws.n+ws.rows-1)/ws.rows, ws.passes.pull)
}

func (ws *Workspace) pullRows(worker, piece int) {
	x, lo := ws.one, piece*ws.rows
	rows := min(ws.rows, ws.n-lo)
	at := func(z []float32) product.Mat { return part(ws.matrix(z), lo, rows) }
	dump := product.Mat{Data: ws.dump[worker*ws.d:], Stride: -1}
	b := &ws.branch[x]
	column.Pull(at(ws.dz[x]), dump, at(ws.z[x]), at(ws.z[1-x]), b.mean, b.coef, ws.beta)
}
