package conv

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// A tail gives the bits of the passes that it takes the place of, on every route,
// with weights packed anew or kept, for any number of workers.
func TestConvInfer(t *testing.T) {
	defer winograd.Set(winograd.Set(true))
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(7, 5))
	check.EachVariant(t, func(t *testing.T) {
		shapes := testShapes(6)
		// weights that are not kept
		shapes = append(shapes, shape.Conv{N: 2, H: 4, W: 4, C: 304, K: 304, R: 3, S: 3, Stride: 1, Pad: 1})
		for i, s := range shapes {
			c := randomCase(r, s)
			if i%3 == 2 {
				c.Precision = shape.BF16
			}
			scale, shift, add := check.Normal(r, s.K), check.Normal(r, s.K), check.Normal(r, s.OutLen())
			eachRoute(func(route string) {
				want, joined := make([]float32, s.OutLen()), make([]float32, s.OutLen())
				if winograd.FitsPairs(c.Conv) { // which training does not take
					one, zero := row.Constants(s.K)
					Infer(shape.Floats(want), c.Conv, c.src, c.w, pass.Tail{Scale: one, Shift: zero})
				} else {
					Forward(shape.Floats(want), c.Conv, c.src, c.w, nil)
				}
				a := shape.Source{X: shape.Floats(want), Scale: scale, Shift: shift, ReLU: i%2 == 0}
				b := a
				b.ReLU = false
				pass.AddReLU(shape.Floats(joined), b, shape.Source{X: shape.Floats(add)}, s.K, true)
				pass.Apply(a.X, a, s.K)
				var packed pass.Packed
				for run := range 3 {
					parallel.SetWorkers(1 + run)
					got := check.Normal(r, s.OutLen())
					Infer(shape.Floats(got), c.Conv, c.src, c.w,
						pass.Tail{Scale: scale, Shift: shift, ReLU: i%2 == 0, Packed: &packed})
					check.SameBits(t, named(s)+" "+route, got, want)
					Infer(shape.Floats(got), c.Conv, c.src, c.w,
						pass.Tail{Scale: scale, Shift: shift, Add: shape.Floats(add), ReLU: true, Packed: &packed})
					check.SameBits(t, named(s)+" joined "+route, got, joined)
				}
				// For another shape they are packed again.
				other := randomCase(r, shape.Conv{N: 1, H: 3, W: 3, C: 5, K: 7, R: 1, S: 1, Stride: 1})
				got, plain := make([]float32, other.OutLen()), make([]float32, other.OutLen())
				one, zero := row.Constants(other.K)
				Infer(shape.Floats(got), other.Conv, other.src, other.w,
					pass.Tail{Scale: one, Shift: zero, Packed: &packed})
				Forward(shape.Floats(plain), other.Conv, other.src, other.w, nil)
				x := shape.Floats(plain)
				pass.Apply(x, shape.Source{X: x, Scale: one, Shift: zero}, other.K)
				check.SameBits(t, "another shape", got, plain)
			})
		}
	})
}
