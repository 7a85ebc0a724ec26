package nn

import (
	"testing"

	"vicreg/internal/device"
)

// The arena has the memory of the gradients from Zero to Finish, and nothing
// that is lent then may outlive that.
func TestLaterLends(t *testing.T) {
	w := NewParam("w", 64, 32)
	a := new(Arena)
	l := NewLater(a, []*Param{w})
	within := func(b device.Array) bool {
		for i := range w.Grad.Host() {
			if w.Grad.Slice(i, i+1).Same(b) {
				return true
			}
		}
		return false
	}
	if b := a.Get(device.Float32, 100); within(b) {
		t.Error("the memory of a gradient is lent before Zero")
	}
	l.Zero()
	b := a.Get(device.Float32, 1000)
	if !within(b) {
		t.Error("the memory of a gradient is not lent after Zero")
	}
	a.Put(b)
	for i := range w.Grad.Host() {
		w.Grad.Host()[i] = 7 // as activations do
	}
	l.Finish()
	for _, v := range w.Grad.Host() {
		if v != 0 {
			t.Fatalf("a gradient that nothing was added to is %g", v)
		}
	}
	if within(a.Get(device.Float32, 1000)) {
		t.Error("the memory of a gradient is lent after Finish")
	}

	l.Zero()
	a.Get(device.Float32, 1000)
	defer func() {
		if recover() == nil {
			t.Error("the memory of a gradient came back with a buffer in it")
		}
	}()
	l.Finish()
}
