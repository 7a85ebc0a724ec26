package conv

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
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

// Inference by tiles of 2 × 2 and products of bfloat16, against direct convolution, beside which stands
// the error of direct products of bfloat16. Activations are bfloat16 already.
func TestWinogradPairs(t *testing.T) {
	usePairs(t)
	defer useWinograd()()
	defer parallel.SetWorkers(0)
	defer func(n int) { winograd.PairsLeast = n }(winograd.PairsLeast)
	winograd.PairsLeast = 1
	r := rand.New(rand.NewPCG(3, 4))
	for _, s := range []shape.Conv{
		{N: 2, H: 16, W: 16, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1},
		{N: 5, H: 7, W: 7, C: 128, K: 96, R: 3, S: 3, Stride: 1, Pad: 1},
		{N: 1, H: 9, W: 14, C: 33, K: 17, R: 3, S: 3, Stride: 1}, // the last pair is one value
		{N: 3, H: 5, W: 6, C: 16, K: 9, R: 3, S: 3, Stride: 1, Pad: 2},
		{N: 2, H: 4, W: 4, C: 512, K: 512, R: 3, S: 3, Stride: 1, Pad: 1},
	} {
		s.Precision = shape.BF16
		if !winograd.FitsPairs(s) {
			t.Fatalf("%s does not go this way", named(s))
		}
		x, w := normal(r, s.InLen()), check.Normal(r, s.WeightLen())
		src := shape.Source{X: narrow(x), ReLU: true}
		want := make([]float32, s.OutLen())
		plain.Conv(shape.Floats(want), s, src, w, nil)
		one, zero := row.Constants(s.K)
		infer := func(packed *pass.Packed) []float32 {
			y := check.Normal(r, s.OutLen())
			Infer(shape.Floats(y), s, src, w, pass.Tail{Scale: one, Shift: zero, Packed: packed})
			return y
		}
		parallel.SetWorkers(1)
		got := infer(nil)
		var packed pass.Packed
		for _, workers := range []int{2, 3, 16} {
			parallel.SetWorkers(workers)
			check.SameBits(t, named(s), infer(&packed), got)
		}
		winograd.Set(false)
		direct := infer(nil)
		winograd.Set(true)
		t.Logf("%s: %.1e, direct %.1e", named(s), relative(got, want), relative(direct, want))
		check.Close(t, named(s), got, want, 8e-3)
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
