package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// layerNormParams is Norm of layernorm.cu.
type layerNormParams struct {
	x, y        arr
	gamma, beta uint64
	mean, rstd  uint64
	n           uint64
	c           uint32
	eps         float32
}

// layerNormGradParams is NormGrad of layernorm.cu.
type layerNormGradParams struct {
	dx, d, x, add           arr
	gamma, beta, mean, rstd uint64
	part                    uint64
	n                       uint64
	c, rows                 uint32
}

var (
	layerNorm256       = declare[layerNormParams]("layernorm", "norm_256", 0)
	layerNorm512       = declare[layerNormParams]("layernorm", "norm_512", 0)
	layerNorm1024      = declare[layerNormParams]("layernorm", "norm_1024", 0)
	layerNormAny       = declare[layerNormParams]("layernorm", "norm_any", 0)
	layerNormGrad256   = declare[layerNormGradParams]("layernorm", "norm_grad_256", 0)
	layerNormGrad512   = declare[layerNormGradParams]("layernorm", "norm_grad_512", 0)
	layerNormGrad1024  = declare[layerNormGradParams]("layernorm", "norm_grad_1024", 0)
	layerNormGradAny   = declare[layerNormGradParams]("layernorm", "norm_grad_any", 0)
	layerNormSharesAny = declare[layerNormGradParams]("layernorm", "norm_shares_any", 0)
)

func (d *Device) LayerNorm(y, x device.Array, n device.RowNorm) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.layerNorm(y, x, n)
}

// layerNorm writes the normalised rows of x to y, and their statistics.
func (d *Device) layerNorm(y, x device.Array, n device.RowNorm) {
	c := n.Gamma.Len()
	rows := rowsOf("LayerNorm", c, x, y)
	if rows == 0 {
		return
	}
	p := layerNormParams{x: d.arr(x), y: d.arr(y), gamma: d.f32(n.Gamma), beta: d.f32(n.Beta), mean: d.f32(n.Mean),
		rstd: d.f32(n.Rstd), n: uint64(rows), c: uint32(c), eps: n.Eps}
	k := layerNormAny
	if wide(c, x, y, n.Gamma, n.Beta) {
		switch {
		case c <= 256:
			k = layerNorm256
		case c <= 512:
			k = layerNorm512
		case c <= 1024:
			k = layerNorm1024
		}
	}
	k.launch(d, d.grid1(rows*32, 256), 256, 0, p)
}

func (d *Device) LayerNormGrad(dx, dd device.Array, f device.RowFinish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.layerNormGrad(dx, dd, f)
}

// layerNormGrad takes dd back through a normalisation; dx may be dd or what is added.
func (d *Device) layerNormGrad(dx, dd device.Array, f device.RowFinish) {
	n := f.Norm
	c := n.Gamma.Len()
	rows := rowsOf("LayerNormGrad", c, dx, dd, f.X)
	if rows == 0 {
		return
	}
	pieces, each := cutRows(rows)
	part := d.room(forPartials, pieces*2*c*4)
	p := layerNormGradParams{dx: d.arr(dx), d: d.arr(dd), x: d.arr(f.X), add: d.arr(f.Add), gamma: d.f32(n.Gamma),
		beta: d.f32(n.Beta), mean: d.f32(n.Mean), rstd: d.f32(n.Rstd), part: uint64(part),
		n: uint64(rows), c: uint32(c), rows: uint32(each)}
	switch grid := [3]int{pieces, 1, 1}; {
	case !wide(c, dx, dd, f.X, f.Add, n.Gamma, n.Beta) || c > 1024:
		layerNormSharesAny.launch(d, [3]int{pieces, over(c, 32), 1}, 256, 0, p)
		layerNormGradAny.launch(d, d.grid1(rows*32, 256), 256, 0, p)
	case c <= 256:
		layerNormGrad256.launch(d, grid, 256, 0, p)
	case c <= 512:
		layerNormGrad512.launch(d, grid, 256, 0, p)
	default:
		layerNormGrad1024.launch(d, grid, 128, 0, p)
	}
	d.addPieces([2]device.Array{f.DGamma, f.DBeta}, part, pieces, c, 2*c)
}

// cutRows says into how many pieces of how many rows sums over rows are cut.
func cutRows(rows int) (pieces, each int) {
	each = max(16, (rows+511)/512)
	return (rows + each - 1) / each, each
}

// rowsOf returns how many rows of c the arrays have, all the same.
func rowsOf(what string, c int, arrays ...device.Array) int {
	for _, a := range arrays {
		if c == 0 || a.Len()%c != 0 || a.Len() != arrays[0].Len() {
			panic(fmt.Sprintf("cuda: %s of rows of %d meets arrays of %d and %d elements", what, c, arrays[0].Len(),
				a.Len()))
		}
	}
	return arrays[0].Len() / c
}
