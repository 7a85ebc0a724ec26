// Package model holds the networks: encoders ([NewResNet]), the expander
// ([NewExpander]), and the two branches of joint-embedding training ([Joint]).
package model

import (
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// Encoder turns a batch into representations. What backward needs is kept in
// the pass, so one encoder serves several passes.
type Encoder interface {
	// Forward returns n × Dim. It belongs to the pass, until that is reset or
	// goes backward.
	Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor

	// Backward adds the gradients of the parameters, given that of Forward's
	// result. That of the input goes to dx unless it is nil.
	Backward(p *nn.Pass, dy, dx []float32)

	Dim() int
	Params() []*nn.Param  // trainable, in a fixed order
	Buffers() []*nn.Param // running statistics

	// Flops counts the operations of a forward on an input of this shape; a
	// multiply-add is two.
	Flops(shape ...int) int
}

// Count returns the number of values in some parameters.
func Count(params []*nn.Param) int {
	n := 0
	for _, p := range params {
		n += len(p.Value)
	}
	return n
}
