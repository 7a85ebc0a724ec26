package conv

import (
	"fmt"

	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
)

// Infer computes y = conv(src, w), finished as t says.
func Infer(y shape.Values, s shape.Conv, src shape.Source, w []float32, t pass.Tail) {
	s.Check(src.X.Len(), y.Len(), len(w))
	if len(t.Scale) != s.K || len(t.Shift) != s.K || !t.Add.None() && t.Add.Len() != y.Len() {
		panic(fmt.Sprintf("kernel: convolution %+v meets a tail of %d, %d and %d elements", s, len(t.Scale), len(t.Shift), t.Add.Len()))
	}
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	row.Constants(s.K)
	switch {
	case linear(s):
		linearForward(y, s, src, w, nil, &t)
	case tiled(s, s.C, s.OutW()):
		tiledForward(y, s, src, w, nil, t)
	case winograd.Fits(s, false):
		winograd.Infer(y, s, src, w, t)
	default:
		directForward(y, s, src, w, nil, t)
	}
}
