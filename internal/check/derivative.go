package check

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Derivative compares a gradient with central differences of f, which must read x each
// time it is called. For a short x it does so along every coordinate, for a long one
// along some coordinates and some dense random directions. All these derivatives
// together, as a vector, may differ by tol·‖want‖.
//
// It uses the steps that x really took after rounding to float32. Choose eps large
// enough: the rounding within f is divided by it.
func Derivative(t testing.TB, what string, x, grad []float32, f func() float64, eps, tol float64) {
	t.Helper()
	PiecewiseDerivative(t, what, x, grad, func() (float64, uint64) { return f(), 0 }, eps, tol)
}

// PiecewiseDerivative is [Derivative] for a function with kinks, such as those of ReLUs.
// f also names the smooth piece it is on, by a hash of all signs. A step that leaves the
// piece is shortened, and given up if that does not help; most steps must remain.
func PiecewiseDerivative(t testing.TB, what string, x, grad []float32, f func() (value float64, piece uint64), eps,
	tol float64) {
	t.Helper()
	if len(x) != len(grad) {
		t.Fatalf("%s: %d values, but a gradient of %d", what, len(x), len(grad))
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(x))))
	old := append([]float32(nil), x...)
	_, here := f()
	steps := make([]float64, len(x))
	var got, want []float64
	tried := 0
	along := func(direction func(i int) float64) {
		tried++
		for _, eps := range []float64{eps, eps / 2, eps / 4} {
			for i := range x {
				x[i] = old[i] + float32(eps*direction(i))
				steps[i] = float64(x[i])
			}
			plus, piece1 := f()
			for i := range x {
				x[i] = old[i] - float32(eps*direction(i))
				steps[i] -= float64(x[i])
			}
			minus, piece2 := f()
			copy(x, old)
			if piece1 != here || piece2 != here {
				continue
			}
			dot := 0.0
			for i, s := range steps {
				dot += s * float64(grad[i])
			}
			got, want = append(got, dot/(2*eps)), append(want, (plus-minus)/(2*eps))
			return
		}
	}
	coordinates := rng.Perm(len(x))
	for _, j := range coordinates[:min(16, len(x))] {
		along(func(i int) float64 {
			if i == j {
				return 1
			}
			return 0
		})
	}
	if len(x) > 16 {
		for range 4 {
			u := make([]float64, len(x))
			for i := range u {
				u[i] = rng.NormFloat64() / math.Sqrt(float64(len(x)))
			}
			along(func(i int) float64 { return u[i] })
		}
	}
	if 2*len(got) < tried {
		t.Errorf("%s: %d of %d steps crossed a kink", what, tried-len(got), tried)
	}
	Close64(t, what+": gradient against differences", got, want, tol)
}

// Random returns n values from N(0, 1), the same for the same seed.
func Random(seed uint64, n int) []float32 {
	rng := rand.New(rand.NewPCG(seed, 7))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}
