// Package nn holds layers. Each has Forward and Backward side by side; what
// backward needs is kept in a Pass that belongs to one view, so that one set of
// layers can serve two passes.
package nn

import (
	"fmt"

	"vicreg/internal/pages"
)

// Param is a trainable array, or, with a nil Grad, a running statistic.
type Param struct {
	Name  string // as in torchvision's state dict, e.g. layer1.0.conv1.weight
	Shape []int  // as in torchvision: (k, c, r, s), (out, in) or (c)

	// Value and Grad are stored in our order: r × s × c × k for convolutions,
	// in × out for linear layers. Use Torch and SetTorch at the border.
	Value, Grad []float32

	// Static: the optimizer always uses the schedule's highest learning rate for it
	// (SimSiam's predictor). Frozen: the optimizer leaves it alone for now (SwAV's
	// prototypes at first).
	Static, Frozen bool

	// Table: rows are looked up in it, and our order is PyTorch's.
	Table bool
}

// NewParam returns a zero parameter with a gradient.
func NewParam(name string, shape ...int) *Param {
	n := count(shape)
	return &Param{Name: name, Shape: shape, Value: pages.Floats(n), Grad: pages.Floats(n)}
}

// NewTable returns a zero parameter whose rows are looked up: an embedding.
func NewTable(name string, shape ...int) *Param {
	p := NewParam(name, shape...)
	p.Table = true
	return p
}

// NewBuffer returns a running statistic, which has no gradient.
func NewBuffer(name string, shape ...int) *Param {
	return &Param{Name: name, Shape: shape, Value: pages.Floats(count(shape))}
}

func count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Torch returns the values in PyTorch's order (k, c, r, s or out, in).
func (p *Param) Torch() []float32 { return p.reorder(p.Value, true) }

// TorchInto is Torch into the start of dst, which is as long at least.
func (p *Param) TorchInto(dst []float32) []float32 {
	return p.reorderInto(dst[:len(p.Value)], p.Value, true)
}

// TorchGrad returns the gradient in PyTorch's order.
func (p *Param) TorchGrad() []float32 { return p.reorder(p.Grad, true) }

// SetTorch stores values given in PyTorch's order.
func (p *Param) SetTorch(v []float32) {
	if len(v) != len(p.Value) {
		panic(fmt.Sprintf("nn: %s has %d values, got %d", p.Name, len(p.Value), len(v)))
	}
	copy(p.Value, p.reorder(v, false))
}

// reorder copies v from our order to PyTorch's or back: the output dimension
// k, last in ours, is first in theirs, and the input dimension c comes before
// r and s.
func (p *Param) reorder(v []float32, toTorch bool) []float32 {
	return p.reorderInto(make([]float32, len(v)), v, toTorch)
}

func (p *Param) reorderInto(out, v []float32, toTorch bool) []float32 {
	if len(p.Shape) < 2 || p.Table {
		copy(out, v)
		return out
	}
	k, c := p.Shape[0], p.Shape[1]
	rs := count(p.Shape[2:])
	for ki := range k {
		for ci := range c {
			for i := range rs {
				theirs, ours := (ki*c+ci)*rs+i, (i*c+ci)*k+ki
				if toTorch {
					out[theirs] = v[ours]
				} else {
					out[ours] = v[theirs]
				}
			}
		}
	}
	return out
}
