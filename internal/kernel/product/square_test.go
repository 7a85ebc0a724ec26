package product

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
)

// Products with a 16 × 16 matrix have the bits of any other tile's, for every
// number of rows that there is a kernel for.
func TestMultiplySquare(t *testing.T) {
	if !hasSquare() {
		t.Skip("no kernel for them here")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for rows := 8; rows < 60; rows++ {
		a, b, c := check.Guarded(t, rows*16, rows%2 == 0), check.Guarded(t, 256, false),
			check.Guarded(t, rows*16, rows%2 == 0)
		copy(a, check.Normal(r, len(a)))
		copy(b, check.Normal(r, len(b)))
		want := make([]float32, len(c))
		Block(false, rows, 16, 16, want, 16, a, 16, 1, b, 16, false)
		multiplySquare(rows, c, a, b, 0)
		for i, v := range want {
			if c[i] != v {
				t.Fatalf("%d rows: element %d is %g, want %g", rows, i, c[i], v)
			}
		}
	}
}
