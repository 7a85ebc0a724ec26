package vorbis

import (
	"math"
	"testing"

	"vicreg/internal/check"
)

func TestIMDCT(t *testing.T) {
	for _, n := range []int{32, 128} {
		x := check.Random(1, n)
		got, want := make([]float32, 2*n), make([]float32, 2*n)
		newIMDCT(n).transform(got, x)
		for i := range want {
			sum := 0.0
			for k, v := range x {
				sum += float64(v) * math.Cos(math.Pi/float64(n)*(float64(i)+0.5+float64(n)/2)*(float64(k)+0.5))
			}
			want[i] = float32(sum)
		}
		check.Close(t, "imdct", got, want, 1e-6)
	}
}
