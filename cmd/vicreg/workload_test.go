package main

import (
	"math"
	"testing"

	"vicreg/internal/recipe"
)

// Operations that are counted by hand: ResNet-18 with the small stem does 0.5554
// thousand million multiply-adds on 32 × 32 pixels.
func TestOperationsOfAStep(t *testing.T) {
	c, err := recipe.Load("cifar")
	if err != nil {
		t.Fatal(err)
	}
	c.Channels, c.Batch, c.Expander = 3, 2, "8-8"
	_, images, flops, err := embedWork(c)
	if err != nil {
		t.Fatal(err)
	}
	const image = 2 * 0.5554e9
	if want := 2 * image; images != 2 || math.Abs(float64(flops)/want-1) > 0.001 {
		t.Errorf("inference: %d images, %d operations, want %.4g", images, flops, want)
	}
	_, images, flops, err = stepWork(c)
	if err != nil {
		t.Fatal(err)
	}
	// Two views; forward, gradient of the input and gradient of the weights.
	if want := 2 * 3 * 2 * image; images != 2 || math.Abs(float64(flops)/want-1) > 0.001 {
		t.Errorf("a step: %d images, %d operations, want %.4g", images, flops, want)
	}
}
