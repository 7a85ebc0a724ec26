// Package nn holds layers. Each has Forward and Backward side by side; what
// backward needs is kept in a Pass that belongs to one view, so that one set of
// layers can serve two passes.
package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// Param is a trainable array, or, without a Grad, a running statistic. It begins in
// the host's memory; [Param.To] takes it to a device.
type Param struct {
	Name  string // as in torchvision's state dict, e.g. layer1.0.conv1.weight
	Shape []int  // as in torchvision: (k, c, r, s), (out, in) or (c)

	// Value and Grad are stored in our order: r × s × c × k for convolutions,
	// in × out for linear layers. Use Torch and SetTorch at the border.
	Value, Grad device.Array

	// Static: the optimizer uses its second learning rate for it, the schedule's highest
	// (SimSiam's predictor) or a share of the first (an encoder beside its classifier).
	// Frozen: the optimizer leaves it alone for now (SwAV's prototypes at first).
	Static, Frozen bool

	// Table: rows are looked up in it, and our order is PyTorch's.
	Table bool

	dev device.Device // nil: the CPU
}

// NewParam returns a zero parameter with a gradient.
func NewParam(name string, shape ...int) *Param {
	n := count(shape)
	return &Param{Name: name, Shape: shape, Value: device.Local.Alloc(device.Float32, n),
		Grad: device.Local.Alloc(device.Float32, n)}
}

// NewTable returns a zero parameter whose rows are looked up: an embedding.
func NewTable(name string, shape ...int) *Param {
	p := NewParam(name, shape...)
	p.Table = true
	return p
}

// NewBuffer returns a running statistic, which has no gradient.
func NewBuffer(name string, shape ...int) *Param {
	return &Param{Name: name, Shape: shape, Value: device.Local.Alloc(device.Float32, count(shape))}
}

// Device returns where the parameter lives.
func (p *Param) Device() device.Device {
	if p.dev == nil {
		return device.Local
	}
	return p.dev
}

// To takes a parameter from the host to a device, where it stays.
func (p *Param) To(d device.Device) {
	if p.dev == d || d.Shared() && p.Device().Shared() {
		return
	}
	move := func(a device.Array) device.Array {
		if a.None() {
			return a
		}
		to := d.Alloc(device.Float32, a.Len())
		d.Up(to, a.Host())
		return to
	}
	p.Value, p.Grad, p.dev = move(p.Value), move(p.Grad), d
}

// Freeze leaves a parameter without a gradient for good.
func (p *Param) Freeze() {
	p.Device().Free(p.Grad)
	p.Grad = device.Array{}
}

// Free gives the memory back to the device. The parameter has no values then.
func (p *Param) Free() {
	p.Freeze()
	p.Device().Free(p.Value)
	p.Value = device.Array{}
}

// Read returns the values for the host to read: on the CPU, themselves.
func (p *Param) Read() []float32 { return lower(p.Device(), p.Value) }

// ReadGrad is Read for the gradient.
func (p *Param) ReadGrad() []float32 { return lower(p.Device(), p.Grad) }

func lower(d device.Device, a device.Array) []float32 {
	var room []float32
	return device.Lower(d, &room, a)
}

// Set stores values as they lie in memory.
func (p *Param) Set(v []float32) { p.Device().Up(p.Value, v) }

// Number and SetNumber are for parameters of one value, a whole number, exact to 2²⁴.
func (p *Param) Number() int { return int(p.Read()[0]) }

func (p *Param) SetNumber(n int) { p.Device().Fill(p.Value, float32(n)) }

// Draw fills the values with what next returns, one after the other.
func (p *Param) Draw(next func() float64) {
	p.Change(func(v []float32) {
		for i := range v {
			v[i] = float32(next())
		}
	})
}

// Change has the host work on the values.
func (p *Param) Change(f func(v []float32)) {
	v := p.Read()
	f(v)
	p.Set(v)
}

func count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Torch returns the values in PyTorch's order (k, c, r, s or out, in).
func (p *Param) Torch() []float32 { return p.reorder(p.Read(), true) }

// TorchInto is Torch into the start of dst, which is as long at least.
func (p *Param) TorchInto(dst []float32) []float32 {
	return p.reorderInto(dst[:p.Value.Len()], p.Read(), true)
}

// TorchGrad returns the gradient in PyTorch's order.
func (p *Param) TorchGrad() []float32 { return p.reorder(p.ReadGrad(), true) }

// SetTorch stores values given in PyTorch's order.
func (p *Param) SetTorch(v []float32) {
	if len(v) != p.Value.Len() {
		panic(fmt.Sprintf("nn: %s has %d values, got %d", p.Name, p.Value.Len(), len(v)))
	}
	p.Set(p.reorder(v, false))
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
