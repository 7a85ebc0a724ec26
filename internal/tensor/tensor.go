// Package tensor holds shape and storage, and no mathematics.
//
// Legend of shapes, used everywhere: n images of a batch, h × w pixels, c
// channels in, k channels out, d embedding width. Images are NHWC.
package tensor

import (
	"fmt"

	"vicreg/internal/pages"
)

// Tensor is a contiguous float32 array with a shape; the last dimension is the
// fastest.
type Tensor struct {
	Shape []int
	Data  []float32
}

// New returns a zero tensor.
func New(shape ...int) *Tensor {
	return &Tensor{Shape: shape, Data: pages.Floats(Count(shape))}
}

// From wraps data; it panics if the shape does not fit.
func From(data []float32, shape ...int) *Tensor {
	if Count(shape) != len(data) {
		panic(fmt.Sprintf("tensor: %d values do not fill shape %v", len(data), shape))
	}
	return &Tensor{Shape: shape, Data: data}
}

// Count returns the number of elements of a shape.
func Count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.Data) }

// Dim returns the length of dimension i.
func (t *Tensor) Dim(i int) int { return t.Shape[i] }

// Grow returns a slice of length n, reusing buf's memory when it is large
// enough. Its contents are unspecified.
func Grow(buf []float32, n int) []float32 {
	if cap(buf) >= n {
		return buf[:n]
	}
	return pages.Floats(n)
}
