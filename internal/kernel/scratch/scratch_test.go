package scratch

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Partial sums are added in the order of pieces, few and many alike, whoever adds them; and
// a piece's begin at zero.
func TestAddPartials(t *testing.T) {
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []struct{ pieces, c int }{{1, 1}, {3, 7}, {40, 24}, {300, 13}, {90, 130}, {700, 3}} {
		for _, workers := range []int{1, 2, 3, 16} {
			parallel.SetWorkers(workers)
			got, want := shape.NewSums(size.c), shape.NewSums(size.c)
			got.A[0], got.B[0] = 5, 5 // left by another call
			MakePartials(size.pieces * 2 * size.c)
			for p := range size.pieces {
				a, b := PiecePartials(p, size.c)
				for i := range a {
					if a[i] != 0 || b[i] != 0 {
						t.Fatalf("piece %d begins with %g and %g", p, a[i], b[i])
					}
					a[i], b[i] = r.NormFloat64(), r.NormFloat64()*1e9
					want.A[i] += a[i]
					want.B[i] += b[i]
				}
			}
			AddPartials(got, size.pieces, size.c)
			if !slices.Equal(got.A, want.A) || !slices.Equal(got.B, want.B) {
				t.Errorf("%+v, %d workers: %v, %v, want %v, %v", size, workers, got.A, got.B, want.A, want.B)
			}
		}
	}
}
