package cuda

import (
	"vicreg/internal/device"
)

// batchNorm is BatchNorm of norm.cu.
type batchNorm struct {
	gamma, beta, runMean, runVar, batches, bias uint64
	eps, momentum                               float64
	mean, rstd, scale, shift                    uint64
}

type statisticsParams struct {
	sums  sumsParams
	norm  batchNorm
	count float64
}

type runningParams struct {
	norm batchNorm
	c    uint32
	_    uint32
}

type normBackwardParams struct {
	sums                 sumsParams
	mean, rstd, gamma    uint64
	dGamma, dBeta        uint64
	scaleD, scaleY, rest uint64
	count                float64
}

var (
	statisticsKernel   = declare[statisticsParams]("norm", "statistics", 0)
	runningKernel      = declare[runningParams]("norm", "running", 0)
	normBackwardKernel = declare[normBackwardParams]("norm", "norm_backward", 0)
)

func (d *Device) batchNorm(n device.BatchNorm) (p batchNorm, c int) {
	c = n.Gamma.Len()
	same("batch normalisation", c, n.Beta, n.RunMean, n.RunVar, n.Bias, n.Mean, n.Rstd, n.Scale, n.Shift)
	same("batch normalisation's count", 1, n.Batches)
	return batchNorm{
		gamma: d.f32(n.Gamma), beta: d.f32(n.Beta), runMean: d.f32(n.RunMean), runVar: d.f32(n.RunVar),
		batches: d.f32(n.Batches), bias: d.f32(n.Bias), eps: n.Eps, momentum: n.Momentum,
		mean: d.f64(n.Mean), rstd: d.f64(n.Rstd), scale: d.f32(n.Scale), shift: d.f32(n.Shift),
	}, c
}

func (d *Device) BatchStatistics(n device.BatchNorm, s device.Sums, m int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	norm, c := d.batchNorm(n)
	grid, threads := sumGrid(c)
	statisticsKernel.launch(d, grid, threads, 0,
		statisticsParams{sums: d.sums(s, c), norm: norm, count: float64(m)})
}

func (d *Device) RunningStatistics(n device.BatchNorm) {
	d.mu.Lock()
	defer d.mu.Unlock()
	norm, c := d.batchNorm(n)
	runningKernel.launch(d, [3]int{over(c, block), 1, 1}, block, 0, runningParams{norm: norm, c: uint32(c)})
}

func (d *Device) BatchNormBackward(g device.BatchNormGrad, n device.BatchNorm, s device.Sums, m int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := n.Gamma.Len()
	same("batch normalisation", c, n.Mean, n.Rstd, g.DGamma, g.DBeta, g.A, g.B, g.K)
	grid, threads := sumGrid(c)
	normBackwardKernel.launch(d, grid, threads, 0, normBackwardParams{
		sums: d.sums(s, c), mean: d.f64(n.Mean), rstd: d.f64(n.Rstd), gamma: d.f32(n.Gamma),
		dGamma: d.f32(g.DGamma), dBeta: d.f32(g.DBeta), scaleD: d.f32(g.A), scaleY: d.f32(g.B), rest: d.f32(g.K),
		count: float64(m),
	})
}
