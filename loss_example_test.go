package vicreg_test

import (
	"fmt"

	"vicreg"
)

// Four embeddings of two dimensions, seen twice.
func ExampleLoss() {
	z1 := []float32{1, 0, 0, 1, -1, 0, 0, -1}
	z2 := []float32{1, 0.5, 0, 1, -1, 0.5, 0, -1}
	dz1, dz2 := make([]float32, len(z1)), make([]float32, len(z2))

	terms, err := vicreg.NewLoss().Eval(z1, z2, 4, 2, dz1, dz2)
	if err != nil {
		panic(err)
	}
	fmt.Printf("invariance %.4f, variance %.4f, covariance %.4f, total %.4f\n",
		terms.Invariance, terms.Variance, terms.Covariance, terms.Total)
	fmt.Printf("gradient of the first embedding: %.3f\n", dz1[:2])
	// Output:
	// invariance 0.0625, variance 0.1711, covariance 0.0000, total 5.8390
	// gradient of the first embedding: [-2.551 -3.125]
}
