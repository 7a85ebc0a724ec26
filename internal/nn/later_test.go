package nn

import "testing"

// The arena has the memory of the gradients from Zero to Finish, and nothing
// that is lent then may outlive that.
func TestLaterLends(t *testing.T) {
	w := NewParam("w", 64, 32)
	a := new(Arena)
	l := NewLater(a, []*Param{w})
	within := func(b []float32) bool {
		for i := range w.Grad {
			if &w.Grad[i] == &b[0] {
				return true
			}
		}
		return false
	}
	if b := a.Get(100); within(b) {
		t.Error("the memory of a gradient is lent before Zero")
	}
	l.Zero()
	b := a.Get(1000)
	if !within(b) {
		t.Error("the memory of a gradient is not lent after Zero")
	}
	a.Put(b)
	for i := range w.Grad {
		w.Grad[i] = 7 // as activations do
	}
	l.Finish()
	for _, v := range w.Grad {
		if v != 0 {
			t.Fatalf("a gradient that nothing was added to is %g", v)
		}
	}
	if within(a.Get(1000)) {
		t.Error("the memory of a gradient is lent after Finish")
	}

	l.Zero()
	a.Get(1000)
	defer func() {
		if recover() == nil {
			t.Error("the memory of a gradient came back with a buffer in it")
		}
	}()
	l.Finish()
}
