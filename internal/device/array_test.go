package device

import (
	"strings"
	"testing"
	"unsafe"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

func TestSlice(t *testing.T) {
	x := []float32{1, 2, 3, 4, 5}
	a := Of(x)
	b := a.Slice(1, 4)
	check.Close(t, "slice", b.Host(), x[1:4], 0)
	b.Host()[0] = 7
	if x[1] != 7 {
		t.Error("a slice has memory of its own")
	}
	if !b.Same(Of(x[1:2])) || b.Same(a) {
		t.Error("arrays that start at the same place are told apart, or those that do not are not")
	}
	if !a.Slice(2, 2).None() || !Of(nil).None() || a.None() || a.Len() != 5 || a.Type() != Float32 {
		t.Error("lengths are wrong")
	}
	far := At(1000, Float64, 10)
	if s := far.Slice(3, 5); s.Addr() != 1024 || s.Len() != 2 || s.Type() != Float64 {
		t.Errorf("slice at %d of %d", s.Addr(), s.Len())
	}
	half := At(1000, Float32, 5).As(BFloat16)
	if half.Addr() != 1000 || half.Len() != 10 || half.Type() != BFloat16 {
		t.Errorf("5 float32 are %d of %s", half.Len(), half.Type())
	}
	if back := half.Slice(3, 8).As(Float32); back.Addr() != 1006 || back.Len() != 2 || back.Type() != Float32 {
		t.Errorf("5 bfloat16 are %d of %s", back.Len(), back.Type())
	}
	if !half.Slice(0, 1).As(Float32).None() || a.As(Float32) != a {
		t.Error("an array as another type has another length than it holds")
	}
}

// Mistakes in code panic, and say what is wrong.
func TestMistakes(t *testing.T) {
	d := Local
	y, w, half := d.Alloc(Float32, 4), d.Alloc(Float64, 4), d.Alloc(BFloat16, 4)
	for name, test := range map[string]struct {
		f    func()
		says string
	}{
		"beyond the end":  {func() { y.Slice(2, 5) }, "elements 2 to 5 of an array of 4"},
		"bfloat16":        {func() { d.Gemm(Mat{Data: half, Rows: 2, Cols: 2}, Mat{}, Mat{}, false) }, "an array of bfloat16 where"},
		"another type":    {func() { d.Axpy(y, 1, w) }, "an array of float64 where one of float32 belongs"},
		"another device":  {func() { d.Axpy(y, 1, At(4096, Float32, 4)) }, "lives elsewhere"},
		"look from above": {func() { At(4096, Float32, 4).Host() }, "lives elsewhere"},
		"too many":        {func() { d.Up(y, make([]float32, 5)) }, "5 values for an array of 4"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.Contains(r, test.says) {
					t.Errorf("panic %v, want one that says %q", r, test.says)
				}
			}()
			test.f()
		})
	}
}

// On the CPU values cross without a copy, elsewhere by way of a room that is kept.
func TestCrossing(t *testing.T) {
	x := []float32{1, 2, 3}
	var room Array
	var back []float32
	a := Lift(Local, &room, x)
	if &a.Host()[0] != &x[0] || &Lower(Local, &back, a)[0] != &x[0] || !room.None() || back != nil {
		t.Error("values are copied on the CPU")
	}
	memory := make([]float32, 64)
	d := elsewhere{Reaching(func(a Array) unsafe.Pointer { return unsafe.Pointer(&memory[a.Addr()/4]) })}
	a = Lift(d, &room, x)
	x[0] = 9
	check.Close(t, "lowered", Lower(d, &back, a), []float32{1, 2, 3}, 0)
	if kept := room; !Lift(d, &room, x[:2]).Same(kept) {
		t.Error("a room that is large enough was not used")
	}
	if !Lift(d, &room, nil).None() {
		t.Error("nothing has become something")
	}
}

// elsewhere has room for one array.
type elsewhere struct{ CPU }

func (elsewhere) Alloc(t Type, n int) Array { return At(16, t, n) }

// Arrays of bfloat16 hold what was rounded to them, and convert when they are copied.
func TestHalfArrays(t *testing.T) {
	d := Local
	x := []float32{1, -2.0078125, 3.00390625, 1e-30, 5} // the second and third lie between two numbers
	want := []float32{1, -2, 3, 1e-30, 5}
	want[3] = shape.Widen(shape.Narrow(1e-30))
	a, b, full := d.Alloc(BFloat16, 5), d.Alloc(BFloat16, 5), d.Alloc(Float32, 5)
	var back []float32
	d.Up(a, x)
	check.Close(t, "brought over", Lower(d, &back, a), want, 0)
	d.Copy(b, a)
	d.Copy(full, b)
	check.Close(t, "copied", full.Host(), want, 0)
	d.Axpy(b, 2, a)
	check.Close(t, "added", Lower(d, &back, b.Slice(0, 3)), []float32{3, -6, 9}, 0)
	d.Copy(a, Of([]float32{0.5, 0.25, 0, 0, 0}))
	check.Close(t, "rounded", Lower(d, &back, a), []float32{0.5, 0.25, 0, 0, 0}, 0)
	d.Fill(a, 1.5)
	check.Close(t, "filled", Lower(d, &back, a), []float32{1.5, 1.5, 1.5, 1.5, 1.5}, 0)
	if !d.Alloc(BFloat16, 0).None() || a.Len() != 5 || a.Type() != BFloat16 {
		t.Error("an array of bfloat16 has another length or type")
	}
}

// Adapters allocate nothing.
func TestAdapters(t *testing.T) {
	d := Local
	const n, c = 64, 16
	x, y, w, g := d.Alloc(Float32, n*c), d.Alloc(Float32, n*c), d.Alloc(Float32, c*c), d.Alloc(Float32, n*c)
	scale, shift := d.Alloc(Float32, c), d.Alloc(Float32, c)
	sums := NewSums(d, c)
	s := Conv{N: 1, H: 8, W: 8, C: c, K: c, R: 1, S: 1, Stride: 1}
	src := Source{X: x, Scale: scale, Shift: shift, ReLU: true}
	u := &Update{Group: Group{Members: []Member{{W: w, G: x}, {W: w, G: w}}}}
	hx, hy, hg := d.Alloc(BFloat16, n*c), d.Alloc(BFloat16, n*c), d.Alloc(BFloat16, n*c)
	half, hs := src, s
	half.X, hs.Precision = hx, shape.BF16
	step := func() {
		d.ConvForward(hy, hs, half, w, sums)
		d.ConvGrads(hg, w, hs, Grad{D: hy}, half, w, Finish{Mask: half, Dot: hx, Sums: sums})
		d.AddReLU(hy, half, half, c, true)
		d.Axpy(hx, 0.5, hg)
		d.ConvForward(y, s, src, w, sums)
		d.ConvGrads(g, w, s, Grad{D: y}, src, w, Finish{Mask: src, Dot: x, Sums: sums})
		d.Axpy(x, 0.5, g)
		d.AddSums(scale, sums.A)
		d.Norm(u).Read()
	}
	step()
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
