package conv

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

// Linear layers multiply bfloat16 where that is asked for and there are rows enough.
func TestLinearBF16(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 16))
		for _, n := range []int{halfRows - 1, halfRows} {
			c := randomCase(r, shape.Conv{N: n, H: 1, W: 1, C: 90, K: 50, R: 1, S: 1, Stride: 1})
			want := c.run(Forward, apart)
			c.Precision = shape.BF16
			got := c.run(Forward, apart)
			got.close(t, want, 2e-2)
			rounded := n >= halfRows && shape.HasBF16()
			for name, pair := range map[string][2][]float32{"y": {got.y, want.y}, "dx": {got.dx, want.dx},
				"dw": {got.dw, want.dw}} {
				if slices.Equal(pair[0], pair[1]) == rounded {
					t.Errorf("%d rows: %s has the bits of float32: %v", n, name, !rounded)
				}
			}
		}
	})
}
