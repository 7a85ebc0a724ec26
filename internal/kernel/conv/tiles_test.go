package conv

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"vicreg/internal/amx"
	"vicreg/internal/check"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// Where the processor has no AMX, its variant is tested under a tracer.
func TestAMX(t *testing.T) {
	amx.Run(t, "^(TestTiled|TestTiledWeight|TestTiledWeightChoice|TestConvBF16|TestConvHalf|TestLinearBF16)$"+
		"/^(amx|n.*)$")
}

// tiledShapes are convolutions of the kind that tiles multiply in place.
var tiledShapes = []shape.Conv{
	{N: 3, H: 4, W: 4, C: 32, K: 48, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 2, H: 7, W: 7, C: 16, K: 40, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 1, H: 12, W: 15, C: 6, K: 16, R: 3, S: 3, Stride: 1, Pad: 0},
	{N: 2, H: 6, W: 5, C: 32, K: 34, R: 3, S: 3, Stride: 1, Pad: 2},
	{N: 1, H: 7, W: 9, C: 10, K: 20, R: 5, S: 4, Stride: 1, Pad: 2},
	{N: 5, H: 2, W: 2, C: 8, K: 8, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 1, H: 1, W: 6, C: 4, K: 6, R: 2, S: 2, Stride: 1, Pad: 1},
}

// Convolutions in place multiply the very values that direct convolution gathers, so they
// differ by the order of sums alone.
func TestTiled(t *testing.T) {
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 16))
		for i, s := range tiledShapes {
			s.Precision = shape.BF16
			if !tiled(s, s.C, s.OutW()) {
				t.Skip("this variant has no such convolutions")
			}
			c := randomCase(r, s)
			forward := func(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums) {
				directForward(y, s, src, w, sums, pass.Tail{})
			}
			back := func(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32,
				f shape.Finish) {
				directInputGrad(dx, s, g, w, f)
				directWeightGrad(dw, s, g, src)
			}
			inPlace := func(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums) {
				tiledForward(y, s, src, w, sums, pass.Tail{})
			}
			backInPlace := func(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source,
				w []float32, f shape.Finish) {
				if !tiled(s, s.K, s.W) {
					t.Fatalf("%s: no input gradient in place", named(s))
				}
				tiledInputGrad(dx, s, g, w, f)
				tiledWeightGrad(dw, s, g, src)
			}
			for _, floats := range []int{tiledFloats, 1 << 10} { // small pieces, too
				t.Run(fmt.Sprintf("%s in %d", named(s), floats), func(t *testing.T) {
					defer func(was int) { tiledFloats = was }(tiledFloats)
					tiledFloats = floats
					parallel.SetWorkers(1)
					one := c.run(inPlace, backInPlace)
					one.close(t, c.run(forward, back), 2e-6)
					if i%2 > 0 {
						parallel.SetWorkers(3)
						c.run(inPlace, backInPlace).same(t, one)
					} else {
						h := c.halved()
						h.runHalf(inPlace, backInPlace).close(t, h.runHalf(forward, back), 3e-4)
					}
				})
			}
			tail := pass.Tail{Scale: check.Normal(r, s.K), Shift: check.Normal(r, s.K), Add: normal(r, s.OutLen()),
				ReLU: true, Packed: new(pass.Packed)}
			want := make([]float32, s.OutLen())
			directForward(shape.Floats(want), s, c.src, c.w, nil, pass.Tail{Scale: tail.Scale, Shift: tail.Shift,
				Add: tail.Add, ReLU: true})
			for range 2 {
				got := make([]float32, s.OutLen())
				Infer(shape.Floats(got), s, c.src, c.w, tail)
				check.Close(t, named(s)+" in inference", got, want, 2e-6)
			}
		}
	})
}

// Weight gradients in place take any number of channels, and the few that are read first.
func TestTiledWeight(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(10, 16))
		for _, s := range []shape.Conv{
			{N: 3, H: 9, W: 8, C: 3, K: 20, R: 3, S: 3, Stride: 1, Pad: 1, Precision: shape.BF16},
			{N: 1, H: 7, W: 7, C: 17, K: 33, R: 3, S: 3, Stride: 1, Pad: 1, Precision: shape.BF16},
			{N: 2, H: 5, W: 6, C: 1, K: 3, R: 2, S: 3, Stride: 1, Pad: 0, Precision: shape.BF16},
		} {
			if !product.HasRuns() {
				t.Skip("this variant has no such convolutions")
			}
			c := randomCase(r, s)
			got, want := make([]float32, s.WeightLen()), make([]float32, s.WeightLen())
			tiledWeightGrad(got, s, c.g, c.src)
			directWeightGrad(want, s, c.g, c.src)
			check.Close(t, named(s), got, want, 2e-6)
		}
	})
}

// Which way weight gradients go depends on their shape: in place with few channels, by
// Winograd's algorithm with many or with small images.
func TestTiledWeightChoice(t *testing.T) {
	defer winograd.Set(winograd.Set(true))
	for _, test := range []struct {
		channels, side int
		want           bool
	}{{16, 28, true}, {64, 56, true}, {64, 32, true}, {128, 28, true}, {256, 8, false}, {512, 7, false},
		{512, 4, false}} {
		s := shape.Conv{N: 8, H: test.side, W: test.side, C: test.channels, K: test.channels, R: 3, S: 3, Stride: 1,
			Pad: 1, Precision: shape.BF16}
		if got := tiledWeight(s); got != (test.want && product.HasRuns()) {
			t.Errorf("%d channels at %d px: in place %v", test.channels, test.side, got)
		}
	}
}
