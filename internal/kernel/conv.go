package kernel

// ConvForward computes y = conv(src, w). Unless sums is nil, it gets Σ y and Σ y² of
// each output channel.
//
// This and the other kernels that run on all workers run one at a time: a second call
// waits for the first.
func ConvForward(y []float32, s Conv, src Source, w []float32, sums *Sums) {
	s.check(len(src.X), len(y), len(w))
	busy.Lock()
	defer busy.Unlock()
	switch {
	case linear(s):
		linearForward(y, s, src, w, sums)
	case winogradFits(s, false):
		winogradForward(y, s, src, w, sums, Tail{})
	default:
		directForward(y, s, src, w, sums, Tail{})
	}
}

// ConvInputGrad computes the gradient of the convolution's input and finishes
// it as f says.
func ConvInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	s.check(len(dx), len(g.D), len(w))
	busy.Lock()
	defer busy.Unlock()
	inputGrad(dx, s, g, w, f)
}

func inputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	switch {
	case linear(s):
		linearInputGrad(dx, s, g, w, f)
	case winogradFitsBack(s):
		winogradInputGrad(dx, s, g, w, f)
	default:
		directInputGrad(dx, s, g, w, f)
	}
}

// ConvWeightGrad adds the gradient of the weights to dw.
func ConvWeightGrad(dw []float32, s Conv, g Grad, src Source) {
	s.check(len(src.X), len(g.D), len(dw))
	busy.Lock()
	defer busy.Unlock()
	weightGrad(dw, s, g, src)
}

func weightGrad(dw []float32, s Conv, g Grad, src Source) {
	switch {
	case linear(s):
		linearWeightGrad(dw, s, g, src)
	case winogradFits(s, true):
		winogradWeightGradient(dw, s, g, src)
	default:
		directWeightGrad(dw, s, g, src)
	}
}

// ConvGrads does the work of both ConvWeightGrad and ConvInputGrad.
func ConvGrads(dx, dw []float32, s Conv, g Grad, src Source, w []float32, f Finish) {
	s.check(len(dx), len(g.D), len(w))
	s.check(len(src.X), len(g.D), len(dw))
	busy.Lock()
	defer busy.Unlock()
	if winogradFitsBoth(s) {
		winogradBackward(dx, dw, s, g, src, w, f)
		return
	}
	weightGrad(dw, s, g, src)
	inputGrad(dx, s, g, w, f)
}
