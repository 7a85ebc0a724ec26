package kernel

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/parallel"
)

// A tail gives the bits of the passes that it takes the place of, on every route,
// with weights packed anew or kept, for any number of workers.
func TestConvInfer(t *testing.T) {
	defer SetWinograd(SetWinograd(true))
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(7, 5))
	eachVariant(t, func(t *testing.T) {
		shapes := testShapes(6)
		// weights that are not kept
		shapes = append(shapes, Conv{N: 2, H: 4, W: 4, C: 304, K: 304, R: 3, S: 3, Stride: 1, Pad: 1})
		for i, s := range shapes {
			c := randomCase(r, s)
			if i%3 == 2 {
				c.Precision = BF16
			}
			scale, shift, add := normal(r, s.K), normal(r, s.K), normal(r, s.OutLen())
			eachRoute(func(route string) {
				want, joined := make([]float32, s.OutLen()), make([]float32, s.OutLen())
				ConvForward(want, c.Conv, c.src, c.w, nil)
				AddReLU(joined, Source{X: want, Scale: scale, Shift: shift}, Source{X: add}, s.K, true)
				Apply(want, Source{X: want, Scale: scale, Shift: shift, ReLU: i%2 == 0}, s.K)
				var packed Packed
				for run := range 3 {
					parallel.SetWorkers(1 + run)
					got := normal(r, s.OutLen())
					ConvInfer(got, c.Conv, c.src, c.w,
						Tail{Scale: scale, Shift: shift, ReLU: i%2 == 0, Packed: &packed})
					sameBits(t, named(s)+" "+route, got, want)
					ConvInfer(got, c.Conv, c.src, c.w,
						Tail{Scale: scale, Shift: shift, Add: add, ReLU: true, Packed: &packed})
					sameBits(t, named(s)+" joined "+route, got, joined)
				}
				// For another shape they are packed again.
				other := randomCase(r, Conv{N: 1, H: 3, W: 3, C: 5, K: 7, R: 1, S: 1, Stride: 1})
				got, plain := make([]float32, other.OutLen()), make([]float32, other.OutLen())
				one, zero := constants(other.K)
				ConvInfer(got, other.Conv, other.src, other.w, Tail{Scale: one, Shift: zero, Packed: &packed})
				ConvForward(plain, other.Conv, other.src, other.w, nil)
				Apply(plain, Source{X: plain, Scale: one, Shift: zero}, other.K)
				sameBits(t, "another shape", got, plain)
			})
		}
	})
}
