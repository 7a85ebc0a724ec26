package conv

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
)

// The rounding of Winograd's algorithm at a real size, against direct
// convolution. Measured in parts of the result's norm, forward, input and weight
// gradient: 7e-7, 8e-7 and 5e-7 with stride 1, 4e-7, 5e-7 and 2e-7 with stride
// 2, where direct convolution has 2e-7, 3e-7 and 1e-7.
func TestWinogradError(t *testing.T) {
	defer useWinograd()()
	for stride := 1; stride <= 2; stride++ {
		r := rand.New(rand.NewPCG(3, 3))
		s := shape.Conv{N: 2, H: 16, W: 16, C: 64, K: 64, R: 3, S: 3, Stride: stride, Pad: 1}
		c := &convCase{Conv: s, src: shape.Source{X: normal(r, s.InLen()), ReLU: true},
			g: shape.Grad{D: normal(r, s.OutLen())},
			w: check.Normal(r, s.WeightLen())}
		want := c.run(plain.Conv, plainConvGrads)
		for _, on := range []bool{false, true} {
			winograd.Set(on)
			got := c.run(Forward, apart)
			t.Logf("stride %d, winograd %v: %.1e %.1e %.1e", stride, on, relative(got.y, want.y), relative(got.dx, want.dx), relative(got.dw, want.dw))
			if on {
				check.Close(t, "y", got.y, want.y, 1.4e-6)
				check.Close(t, "dx", got.dx, want.dx, 1.6e-6)
				check.Close(t, "dw", got.dw, want.dw, 1e-6)
			}
		}
	}
}

// relative returns ‖got − want‖ / ‖want‖.
func relative(got, want []float32) float64 {
	var d, n float64
	for i, v := range want {
		d += math.Pow(float64(got[i])-float64(v), 2)
		n += float64(v) * float64(v)
	}
	return math.Sqrt(d / n)
}
