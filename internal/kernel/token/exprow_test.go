package token

import (
	"math"
	"slices"
	"testing"
)

func TestExpRow(t *testing.T) {
	for n := 1; n < 70; n++ {
		for _, scale := range []float32{0.5, 10, 1000} {
			x, want := make([]float32, n), make([]float64, n)
			top := math.Inf(-1)
			for i := range x {
				x[i] = float32(math.Sin(float64(7*i + n)))
				top = max(top, float64(x[i]))
			}
			if n > 2 {
				x[n/2] = float32(math.Inf(-1))
				top = math.Inf(-1)
				for _, v := range x {
					top = max(top, float64(v))
				}
			}
			total := 0.0
			for i, v := range x {
				want[i] = math.Exp(float64(scale) * (float64(v) - top))
				total += want[i]
			}
			peak, sum := ExpRow(x, scale)
			if float64(peak) != top || !(math.Abs(float64(sum)-total) <= 1e-5*total) {
				t.Fatalf("n %d, scale %v: peak %v, sum %v; want %v, %v", n, scale, peak, sum, top, total)
			}
			if slices.Max(x) != 1 {
				t.Fatalf("n %d, scale %v: the peak became %v", n, scale, slices.Max(x))
			}
			for i, v := range x {
				// The product in the exponent is rounded to float32.
				if tol := 1e-6 + 2e-7*math.Abs(math.Log(max(want[i],
					1e-38))); !(math.Abs(float64(v)-want[i]) <= tol*want[i]+1e-37) {
					t.Fatalf("n %d, scale %v: element %d is %v, want %v", n, scale, i, v, want[i])
				}
			}
		}
	}
	x := []float32{0, float32(math.NaN()), 1}
	if _, sum := ExpRow(x, 1); sum == sum {
		t.Error("a NaN is lost")
	}
}
