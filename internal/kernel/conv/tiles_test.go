package conv

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"vicreg/internal/amx"
	"vicreg/internal/check"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Where the processor has no AMX, its variant is tested under a tracer.
func TestAMX(t *testing.T) { amx.Run(t, "^(TestTiled|TestConvBF16|TestConvHalf)$/^(amx|n.*)$") }

// tiledShapes are convolutions of the kind that tiles multiply in place.
var tiledShapes = []shape.Conv{
	{N: 3, H: 4, W: 4, C: 32, K: 48, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 2, H: 9, W: 7, C: 16, K: 70, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 1, H: 12, W: 15, C: 6, K: 16, R: 3, S: 3, Stride: 1, Pad: 0},
	{N: 2, H: 8, W: 8, C: 64, K: 34, R: 3, S: 3, Stride: 1, Pad: 2},
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
			back := func(dx shape.Values, _ []float32, s shape.Conv, g shape.Grad, _ shape.Source, w []float32,
				f shape.Finish) {
				directInputGrad(dx, s, g, w, f)
			}
			inPlace := func(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums) {
				tiledForward(y, s, src, w, sums, pass.Tail{})
			}
			backInPlace := func(dx shape.Values, _ []float32, s shape.Conv, g shape.Grad, _ shape.Source, w []float32,
				f shape.Finish) {
				if !tiled(s, s.K, s.W) {
					t.Fatalf("%s: no input gradient in place", named(s))
				}
				tiledInputGrad(dx, s, g, w, f)
			}
			for _, floats := range []int{tiledFloats, 1 << 10} { // small pieces, too
				t.Run(fmt.Sprintf("%s in %d", named(s), floats), func(t *testing.T) {
					defer func(was int) { tiledFloats = was }(tiledFloats)
					tiledFloats = floats
					parallel.SetWorkers(1)
					one := c.run(inPlace, backInPlace)
					one.close(t, c.run(forward, back), 2e-6)
					parallel.SetWorkers(3)
					c.run(inPlace, backInPlace).same(t, one)
					if h := c.halved(); i%2 == 0 {
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
