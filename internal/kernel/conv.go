package kernel

// ConvForward computes y = conv(src, w); sums, if not nil, gets Σ y and Σ y²
// per output channel.
func ConvForward(y []float32, s Conv, src Source, w []float32, sums *Sums) {
	s.check(len(src.X), len(y), len(w))
	busy.Lock()
	defer busy.Unlock()
	directForward(y, s, src, w, sums)
}

// ConvInputGrad computes the gradient of the convolution's input and finishes
// it as f says.
func ConvInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	s.check(len(dx), len(g.D), len(w))
	busy.Lock()
	defer busy.Unlock()
	directInputGrad(dx, s, g, w, f)
}

// ConvWeightGrad adds the gradient of the weights to dw.
func ConvWeightGrad(dw []float32, s Conv, g Grad, src Source) {
	s.check(len(src.X), len(g.D), len(dw))
	busy.Lock()
	defer busy.Unlock()
	directWeightGrad(dw, s, g, src)
}
