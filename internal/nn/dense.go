package nn

import (
	"math/rand/v2"

	"vicreg/internal/device"
)

// Dense is a linear layer with bias on tokens, the part of other layers.
type Dense struct {
	Weight    *Param // (k, c)
	Bias      *Param // (k)
	Precision device.Precision
}

// NewDense returns a layer with zero weights.
func NewDense(name string, c, k int) *Dense {
	return &Dense{Weight: NewParam(name+".weight", k, c), Bias: NewParam(name+".bias", k)}
}

// Params returns weight and bias.
func (l *Dense) Params() []*Param { return []*Param{l.Weight, l.Bias} }

func (l *Dense) shape(rows int) device.Dense {
	return device.Dense{N: rows, C: l.Weight.Shape[1], K: l.Weight.Shape[0], Precision: l.Precision}
}

// forward takes what src reads through the layer, and writes the result, plus add, to y.
func (l *Dense) forward(p *Pass, y device.Array, rows int, src device.RowSource, add device.Array) {
	p.dev.DenseForward(y, l.shape(rows), src, l.Weight.Value, l.Bias.Value, add)
}

// inputGrad writes the gradient of the input, finished as f says, to dx, and adds the
// gradient of the bias.
func (l *Dense) inputGrad(p *Pass, dx, d device.Array, rows int, f device.RowFinish) {
	p.dev.DenseInputGrad(dx, l.shape(rows), d, l.Weight.Value, l.Bias.Grad, f)
}

// weightGrad adds the gradient of the weight, given what the layer read.
func (l *Dense) weightGrad(p *Pass, x, d device.Array, rows int) {
	p.dev.DenseWeightGrad(l.Weight.Grad, l.shape(rows), x, d)
}

// TruncatedNormal fills a weight from N(0, 0.02²), cut at ±2, which practically never
// cuts: timm's trunc_normal_(std=.02).
func TruncatedNormal(rng *rand.Rand, w *Param) {
	w.Draw(func() float64 { return min(2, max(-2, rng.NormFloat64()*0.02)) })
}
