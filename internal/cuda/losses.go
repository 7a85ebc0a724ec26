package cuda

import (
	"vicreg/internal/device"
)

// lossParams is Loss of loss.cu.
type lossParams struct {
	z                       [2]arr
	dz, zc, lo              [2]uint64
	mean, coef, diag        [2]uint64
	part, gram, gramLo      [2]uint64
	strips                  uint64
	squares, again          [2]uint64
	numbers, lost           uint64
	gamma, eps              float64
	hinge, take             [2]float64
	scale                   [2]float32
	beta                    float32
	n, d, m, parts, columns uint32
	_                       [2]uint32
}

var (
	lossColumns    = declare[lossParams]("loss", "loss_columns", 0)
	lossSquares    = declare[lossParams]("loss", "loss_squares", 0)
	lossTermsOf    = declare[lossParams]("loss", "loss_terms", 0)
	lossScale      = declare[lossParams]("loss", "loss_scale", 0)
	lossPull       = declare[lossParams]("loss", "loss_pull", 0)
	lossAgain      = declare[lossParams]("loss", "loss_again", 0)
	lossAgainTerms = declare[lossParams]("loss", "loss_again_terms", 0)
)

// Pieces of loss.cu: values of a matrix, and columns.
const (
	matrixPiece = 4096
	stripWidth  = 32
	againWidth  = 64
	pullWidth   = 256
	pullRows    = 16
	lossSums    = 7
)

// splitFrom is the multiply-adds of a matrix from which factors of products are split in
// two that TF32 holds: x = h + l. Then h·h + h·l + l·h takes three products of tensor
// cores, which add up to the digits of float32, instead of one without.
const splitFrom = 1 << 32

// splitDepth is the most values that a split product adds up at a time: tensor cores cut
// off where float32 rounds, which must not add up.
const splitDepth = 512

// SplitFrom changes from which size products are split, for measurements; 0 is as usual.
func (d *Device) SplitFrom(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.splitFrom = n
}

// VICReg takes the route of package loss that is the cheaper: through n × n, or d × d. The
// former may lose too many digits, which only the card knows: then its share of the
// gradients is zero, and a kernel that otherwise does nothing takes the other route.
func (d *Device) VICReg(l device.VICReg) device.VICRegTerms {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, split := d.loss(&l)
	grid := func(n, width, branches int) [3]int { return [3]int{over(n, width), branches, 1} }
	m := int(p.m)
	lossColumns.launch(d, grid(l.D, stripWidth, 2), 512, 0, p)
	for b := range l.Z {
		d.gram(&p, b, split)
	}
	matrix := grid(m*m, matrixPiece, 2)
	lossSquares.launch(d, matrix, 256, 0, p)
	lossTermsOf.launch(d, grid(1, 1, 1), 256, 0, p)
	if !l.DZ[0].None() {
		lossScale.launch(d, matrix, 256, 0, p)
		lossPull.launch(d, [3]int{over(l.D, pullWidth), over(l.N, pullRows), 1}, 256, 0, p)
		for b := range l.Z {
			d.pull(&p, b, split)
		}
	}
	if p.columns == 0 {
		lossAgain.launch(d, grid(l.D, againWidth, 2), 256, 0, p)
		lossAgainTerms.launch(d, grid(1, 1, 1), 256, 0, p)
	}
	t := device.VICRegTerms{Distance: d.coming(lossNumbers)}
	for b := range t.Branch {
		x, at := &t.Branch[b], lossNumbers+1+3*b
		x.Variance, x.Std, x.Covariance = d.coming(at), d.coming(at+1), d.coming(at+2)
	}
	return t
}

// loss lays out what the kernels work on.
func (d *Device) loss(l *device.VICReg) (p lossParams, split bool) {
	n, width := l.N, l.D
	m, depth := min(n, width), max(n, width)
	from := d.splitFrom
	if from == 0 {
		from = splitFrom
	}
	split = int64(m)*int64(m)*int64(depth) >= from
	p = lossParams{gamma: l.Gamma, eps: l.Eps, hinge: l.Hinge, beta: float32(l.Pull), n: uint32(n), d: uint32(width),
		m: uint32(m), parts: uint32(d.parts(m, depth, split)), numbers: uint64(d.number(lossNumbers))}
	if n > width {
		p.columns = 1
	}
	for b := range l.Z {
		p.z[b], p.dz[b] = d.arr(l.Z[b]), d.f32(l.DZ[b])
		p.scale[b] = float32(l.Covariance[b])
		p.take[b] = l.Covariance[b] * float64(n-1)
	}
	p.lay(uint64(d.room(forLoss, int(p.lay(0, split)))), split)
	return p, split
}

// lay places what the kernels make from an address on, and returns where it ends.
func (p *lossParams) lay(at uint64, split bool) uint64 {
	n, width, m := int(p.n), int(p.d), int(p.m)
	place := func(to *uint64, bytes int) {
		*to = at
		at += uint64(over(bytes, grain) * grain)
	}
	for b := range p.zc {
		place(&p.zc[b], 4*n*width)
		place(&p.gram[b], 4*m*m)
		if split {
			place(&p.lo[b], 4*n*width)
			place(&p.gramLo[b], 4*m*m)
		}
		place(&p.mean[b], 8*width)
		place(&p.coef[b], 4*width)
		place(&p.diag[b], 4*width)
		place(&p.squares[b], 8*over(m*m, matrixPiece))
		place(&p.again[b], 8*over(width, againWidth))
		if p.part[b] = p.gram[b]; p.parts > 1 {
			place(&p.part[b], 4*int(p.parts)*m*m)
		}
	}
	place(&p.strips, 8*lossSums*over(width, stripWidth))
	place(&p.lost, 8)
	return at
}

// parts returns in how many parts, of as many rows or columns of the embeddings, the
// matrix is made: so many that all of the card has work.
func (d *Device) parts(m, depth int, split bool) int {
	const tile, least = 128, 64
	tiles := over(m, tile) * over(m, tile)
	parts := 1
	for depth%(2*parts) == 0 && depth/(2*parts) >= least &&
		(2*parts*tiles <= d.card.Multiprocessors || split && depth/parts > splitDepth) {
		parts *= 2
	}
	return parts
}

// gram makes the parts of the matrix of a branch.
func (d *Device) gram(p *lossParams, b int, split bool) {
	n, width, m := int(p.n), int(p.d), int(p.m)
	g := Matmul{M: m, N: m, C: Matrix{Addr: uintptr(p.part[b]), Stride: m, Step: m * m}, Batch: int(p.parts)}
	g.A.Stride, g.B.Stride = width, width
	if p.columns == 0 {
		g.K = width / int(p.parts)
		g.A.Step, g.B.Trans = g.K, true
	} else {
		g.K = n / int(p.parts)
		g.A.Step, g.A.Trans = g.K*width, true
	}
	g.B.Step = g.A.Step
	d.products(g, p.zc[b], p.lo[b], p.zc[b], p.lo[b], split)
}

// pull adds the product with the matrix to the gradient of a branch.
func (d *Device) pull(p *lossParams, b int, split bool) {
	n, width, m := int(p.n), int(p.d), int(p.m)
	step := m
	if split {
		step = min(step, splitDepth)
	}
	for k := 0; k < m; k += step {
		g := Matmul{M: n, N: width, K: min(step, m-k), C: Matrix{Addr: uintptr(p.dz[b]), Stride: width},
			Accumulate: true}
		if p.columns == 0 {
			g.A.Stride, g.B.Stride = m, width
			at, row := uint64(4*k), uint64(4*k*width)
			d.products(g, p.gram[b]+at, p.gramLo[b]+at, p.zc[b]+row, p.lo[b]+row, split)
		} else {
			g.A.Stride, g.B.Stride = width, m
			at, row := uint64(4*k), uint64(4*k*m)
			d.products(g, p.zc[b]+at, p.lo[b]+at, p.gram[b]+row, p.gramLo[b]+row, split)
		}
	}
}

// products makes the product of a and b or, where they are split, the three that count.
func (d *Device) products(g Matmul, a, aLo, b, bLo uint64, split bool) {
	g.A.Addr, g.B.Addr = uintptr(a), uintptr(b)
	if !split {
		d.matmul(g)
		return
	}
	g.TF32 = true
	d.matmul(g)
	g.Accumulate = true
	g.B.Addr = uintptr(bLo)
	d.matmul(g)
	g.A.Addr, g.B.Addr = uintptr(aLo), uintptr(b)
	d.matmul(g)
}

var _ device.Losses = (*Device)(nil)
