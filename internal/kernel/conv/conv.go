// Package conv computes convolutions, each the way that is fastest for its shape.
package conv

import (
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
)

// Forward computes y = conv(src, w). Unless sums is nil, it gets Σ y and Σ y² of
// each output channel.
//
// This and the other kernels that run on all workers run one at a time: a second call
// waits for the first.
func Forward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums) {
	s.Check(src.X.Len(), y.Len(), len(w))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	switch {
	case linear(s):
		linearForward(y, s, src, w, sums, nil)
	case tiled(s, s.C, s.OutW()):
		tiledForward(y, s, src, w, sums, pass.Tail{})
	case winograd.Fits(s, false):
		winograd.Forward(y, s, src, w, sums, pass.Tail{})
	default:
		directForward(y, s, src, w, sums, pass.Tail{})
	}
}

// InputGrad computes the gradient of the convolution's input and finishes
// it as f says.
func InputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	s.Check(dx.Len(), g.D.Len(), len(w))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	inputGrad(dx, s, g, w, f)
}

func inputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	switch {
	case linear(s):
		linearInputGrad(dx, s, g, w, f)
	case tiled(s, s.K, s.W):
		tiledInputGrad(dx, s, g, w, f)
	case winograd.FitsBack(s):
		winograd.InputGrad(dx, s, g, w, f)
	default:
		directInputGrad(dx, s, g, w, f)
	}
}

// WeightGrad adds the gradient of the weights to dw.
func WeightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	s.Check(src.X.Len(), g.D.Len(), len(dw))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	weightGrad(dw, s, g, src)
}

func weightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	switch {
	case linear(s):
		linearWeightGrad(dw, s, g, src)
	case tiledWeight(s):
		tiledWeightGrad(dw, s, g, src)
	case winograd.Fits(s, true):
		winograd.WeightGrad(dw, s, g, src)
	default:
		directWeightGrad(dw, s, g, src)
	}
}

// Grads does the work of both WeightGrad and InputGrad.
func Grads(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32, f shape.Finish) {
	s.Check(dx.Len(), g.D.Len(), len(w))
	s.Check(src.X.Len(), g.D.Len(), len(dw))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	if winograd.FitsBoth(s) {
		winograd.Grads(dx, dw, s, g, src, w, f)
		return
	}
	weightGrad(dw, s, g, src)
	inputGrad(dx, s, g, w, f)
}
