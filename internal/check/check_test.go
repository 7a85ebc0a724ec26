package check

import (
	"fmt"
	"math"
	"testing"
)

// recorder is a test that remembers whether it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

func TestClose(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		got, want  []float32
		tol, floor float64
		fails      bool
	}{
		{[]float32{1, 2}, []float32{1, 2}, 0, 0, false},
		{[]float32{3, 4}, []float32{3, 4.04}, 0.01, 0, false},
		{[]float32{3, 4}, []float32{3, 4.06}, 0.01, 0, true},
		{[]float32{0, 1e-9}, []float32{0, 0}, 1e-3, 0, true},
		{[]float32{0, 1e-9}, []float32{0, 0}, 1e-3, 1e-8, false},
		{[]float32{1}, []float32{1, 2}, 1, 1, true},
		{[]float32{nan}, []float32{nan}, 1, 1, true},
		{[]float32{inf}, []float32{inf}, 1, 1, true},
		{nil, nil, 0, 0, false},
	} {
		r := &recorder{TB: t}
		CloseAbs(r, "", c.got, c.want, c.tol, c.floor)
		if r.failed != c.fails {
			t.Errorf("%v against %v, tol %v, floor %v: failed is %v", c.got, c.want, c.tol, c.floor, r.failed)
		}
	}
}

func TestDerivative(t *testing.T) {
	x := Random(1, 40)
	f := func() float64 {
		s := 0.0
		for i, v := range x {
			s += float64(i) * float64(v) * float64(v)
		}
		return s
	}
	grad := make([]float32, len(x))
	for i, v := range x {
		grad[i] = 2 * float32(i) * v
	}
	Derivative(t, "square", x, grad, f, 1e-3, 1e-5)
	for i := range grad {
		grad[i] *= 1.01
	}
	r := &recorder{TB: t}
	Derivative(r, "wrong", x, grad, f, 1e-3, 1e-3)
	if !r.failed {
		t.Error("a gradient off by 1% passed")
	}
}
