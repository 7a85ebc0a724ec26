package cuda

import "vicreg/internal/device"

// lineWeights is the form of own kernels for gradients of 3 × 3 weights; it needs Hopper's products.
const lineWeights = "line64x64w"

const (
	lineTile   = 128 // places of the line that are multiplied at once
	linePixels = 245 // of them with their border, at most
	lineShared = 3 * (linePixels*(128+4) + 2*(lineTile+1)*128)
	lineBlocks = 132 // that keep a card busy
)

type lineWeightParams struct {
	p    weightGradParams
	area areaParams
}

var lineWeightKernel = declare[lineWeightParams]("halohopper", "line_weight_grad_64x64w", lineShared)

// lineWeightGrad is fusedWeightGrad by that form. It returns false where another is to do it.
func (d *Device) lineWeightGrad(dw device.Array, s device.Conv, g device.Grad, src device.Source) bool {
	values := [...]device.Array{g.D, g.Y, src.X}
	if !taps(s) || d.chosen(WeightGrad, s) != lineWeights || s.C%64 != 0 || s.K%64 != 0 ||
		lineTile+2*s.W+4 > linePixels || !shortLine(s) || dw.Type() != device.Float32 ||
		!fits(s, values[:], g.A, g.B, g.K, src.Scale, src.Shift, dw) {
		return false
	}
	products := s.C / 64 * (s.K / 64)
	tiles := ceil(s.N*(s.H+1)*(s.W+1), lineTile)
	rows := ceil(tiles, max(1, d.fused.blocksOr(lineBlocks)/products))
	pieces, n := ceil(tiles, rows), s.WeightLen()
	p := weightGradParams{g: d.grad(g), x: d.source(src), partials: uint64(d.room(forPartials, 4*n*pieces)),
		rows: uint32(rows * lineTile), pitch: uint32(s.C), shape: shapeOf(s, g.D.Len()/s.K)}
	lineWeightKernel.launch(d, [3]int{products * pieces, 1, 1}, 384, lineShared,
		lineWeightParams{p, lineOf(lineTile, s)})
	addWeights.launch(d, [3]int{ceil(n, 128), 1, 1}, 256, 0,
		addWeightsParams{partials: p.partials, to: d.addr(dw), n: uint64(n), pieces: uint32(pieces)})
	return true
}
