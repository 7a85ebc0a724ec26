package kernel

import "fmt"

// ConvInfer computes y = conv(src, w), finished as t says.
func ConvInfer(y []float32, s Conv, src Source, w []float32, t Tail) {
	s.check(len(src.X), len(y), len(w))
	if len(t.Scale) != s.K || len(t.Shift) != s.K || t.Add != nil && len(t.Add) != len(y) {
		panic(fmt.Sprintf("kernel: convolution %+v meets a tail of %d, %d and %d elements", s, len(t.Scale), len(t.Shift), len(t.Add)))
	}
	busy.Lock()
	defer busy.Unlock()
	constants(s.K)
	switch {
	case linear(s):
		linearForward(y, s, src, w, nil)
		t.pass(y)
	case winogradFits(s, false):
		winogradForward(y, s, src, w, nil, t)
	default:
		directForward(y, s, src, w, nil, t)
	}
}
