package loss

import (
	"unsafe"

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
	dz       [2][]float32
	strip    int     // columns in a piece of centre
	rows     int     // in a piece of finish
	m        int     // columns of square
	lo       int     // column of the covariance at which square starts
	diagonal bool    // square keeps its diagonal
	scale    float32 // of square
	beta     float32 // of z1 − z2
}

// branch is what is known of one embedding.
type branch struct {
	zc       []float32 // n × stride: z − mean over the rows
	mean     []float64 // d
	variance []float64 // d, unbiased
	coef     []float32 // d: this times zc_ij is a part of the gradient
}

// passes are the bodies of the parallel loops.
type passes struct{ centre, tile, block, finish func(worker, piece int) }

// reset makes room for embeddings of n × d.
func (ws *Workspace) reset(z1, z2 []float32, n, d int) {
	if ws.passes.centre == nil {
		ws.passes = passes{ws.centreStrip, ws.tilePiece, ws.blockRow, ws.finishRows}
	}
	ws.n, ws.d, ws.z = n, d, [2][]float32{z1, z2}
	// Rows that lie a multiple of 4 KiB apart compete for the same cache lines.
	ws.stride = d
	if d%1024 == 0 {
		ws.stride += 16
	}
	for i := range ws.branch {
		b := &ws.branch[i]
		b.zc = tensor.Grow(b.zc, n*ws.stride)
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

// stripBytes is how much of one embedding a piece of centre handles; it reads
// that twice, so both embeddings of a piece should stay in the second-level
// cache.
const stripBytes = 1 << 18

// centre fills zc, mean and variance of both branches in one trip over memory
// and returns Σ (z1 − z2)².
func (ws *Workspace) centre() float64 {
	row := ws.n * int(unsafe.Sizeof(float32(0)))
	ws.strip = min(max(stripBytes/row&^15, 16), 512)
	return ws.run((ws.d+ws.strip-1)/ws.strip, ws.passes.centre)
}

// centreStrip handles a strip of columns. Sums run in float64 and the mean is
// taken off in float64, so a large offset of the embeddings costs no precision.
func (ws *Workspace) centreStrip(_, piece int) {
	n, d := ws.n, ws.d
	lo := piece * ws.strip
	hi := min(lo+ws.strip, d)
	m1, m2 := ws.branch[0].mean[lo:hi], ws.branch[1].mean[lo:hi]
	clear(m1)
	clear(m2)
	var invariance float64
	for i := range n {
		a, b := ws.z[0][i*d+lo:i*d+hi], ws.z[1][i*d+lo:i*d+hi]
		invariance += sumRow(m1, m2, a, b)
	}
	ws.part[piece] = invariance
	for x := range ws.branch {
		b := &ws.branch[x]
		mean, variance := b.mean[lo:hi], b.variance[lo:hi]
		clear(variance)
		for j := range mean {
			mean[j] /= float64(n)
		}
		for i := range n {
			centreRow(b.zc[i*ws.stride+lo:i*ws.stride+hi], ws.z[x][i*d+lo:i*d+hi], mean, variance)
		}
		for j := range variance {
			variance[j] /= float64(n - 1)
		}
	}
}

// sumRow adds a to sumA and b to sumB and returns Σ (a − b)², in two chains of
// additions, which run faster than one.
func sumRow(sumA, sumB []float64, a, b []float32) float64 {
	sumA, sumB, b = sumA[:len(a)], sumB[:len(a)], b[:len(a)]
	var even, odd float64
	j := 0
	for ; j+1 < len(a); j += 2 {
		x0, y0 := float64(a[j]), float64(b[j])
		x1, y1 := float64(a[j+1]), float64(b[j+1])
		sumA[j] += x0
		sumB[j] += y0
		sumA[j+1] += x1
		sumB[j+1] += y1
		even += (x0 - y0) * (x0 - y0)
		odd += (x1 - y1) * (x1 - y1)
	}
	if j < len(a) {
		x, y := float64(a[j]), float64(b[j])
		sumA[j] += x
		sumB[j] += y
		even += (x - y) * (x - y)
	}
	return even + odd
}

// centreRow stores z − mean in zc and adds its squares to sum.
func centreRow(zc, z []float32, mean, sum []float64) {
	zc, mean, sum = zc[:len(z)], mean[:len(z)], sum[:len(z)]
	for j, x := range z {
		c := float64(x) - mean[j]
		zc[j] = float32(c)
		sum[j] += c * c
	}
}

// finish adds to dz, which holds the product of the covariance, what the other
// terms and the diagonal of the covariance contribute:
//
//	dz1 += coef1·zc1 + β·(z1 − z2)
//	dz2 += coef2·zc2 − β·(z1 − z2)
func (ws *Workspace) finish(dz1, dz2 []float32, beta float32) {
	ws.dz, ws.beta = [2][]float32{dz1, dz2}, beta
	ws.rows = max(1, 1<<14/ws.d)
	pieces := (ws.n + ws.rows - 1) / ws.rows
	parallel.For(pieces, ws.passes.finish)
}

func (ws *Workspace) finishRows(_, piece int) {
	d, beta := ws.d, ws.beta
	lo := piece * ws.rows
	for i := lo; i < min(lo+ws.rows, ws.n); i++ {
		z1, z2 := ws.z[0][i*d:][:d], ws.z[1][i*d:][:d]
		d1, d2 := ws.dz[0][i*d:][:d], ws.dz[1][i*d:][:d]
		c1, c2 := ws.branch[0].zc[i*ws.stride:][:d], ws.branch[1].zc[i*ws.stride:][:d]
		e1, e2 := ws.branch[0].coef[:d], ws.branch[1].coef[:d]
		for j := range z1 {
			pull := beta * (z1[j] - z2[j])
			d1[j] += e1[j]*c1[j] + pull
			d2[j] += e2[j]*c2[j] - pull
		}
	}
}
