package device

import (
	"fmt"
	"sync"
	"unsafe"

	"vicreg/internal/kernel/conv"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/token"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/pages"
	"vicreg/internal/parallel"
)

// CPU is the device that package kernel computes for: it only unwraps arrays. The
// zero CPU has the memory of the host.
type CPU struct {
	mem *memory // nil: the host's
}

// memory is one that is not the host's, though the CPU can reach it.
type memory struct {
	reach func(Array) unsafe.Pointer
}

// Local is the device of the host.
var Local Device = CPU{}

// Reaching returns a CPU for arrays of a memory that is not the host's: reach
// returns the first element of one.
func Reaching(reach func(Array) unsafe.Pointer) CPU { return CPU{&memory{reach}} }

func (c CPU) Name() string { return "cpu" }
func (c CPU) Shared() bool { return c.mem == nil }

// KeepHalf says whether the CPU stores activations as bfloat16 where that is asked for. Tests
// change it.
var KeepHalf = true

// Activations are bfloat16 where that is asked for, whatever the products multiply.
func (c CPU) Activations(p Precision) Type {
	if p == shape.BF16 && KeepHalf {
		return BFloat16
	}
	return Float32
}

// KeptSum is that of the CPU for float32. Tests change it.
var KeptSum = 1 << 22

// KeptSum keeps as many bytes whatever the type.
func (c CPU) KeptSum(t Type) int { return KeptSum * Float32.Size() / t.Size() }

func (c CPU) Alloc(t Type, n int) Array {
	switch t {
	case Float32:
		return Of(pages.Floats(n))
	case BFloat16:
		if n == 0 {
			return Array{}
		}
		a := Of(pages.Floats((n + 1) / 2))
		a.n, a.t = n, BFloat16
		return a
	case Float64:
		return of(make([]float64, n), t)
	case Int32:
		return of(make([]int32, n), t)
	case Uint8:
		return of(make([]uint8, n), t)
	}
	panic(fmt.Sprintf("device: the CPU keeps no arrays of %s", t))
}

// Free and Close leave the memory to Go.
func (c CPU) Free(Array) {}
func (c CPU) Close()     {}

func (c CPU) Up(a Array, x []float32) {
	if a.t == BFloat16 {
		pass.Copy(c.values(a), shape.Floats(x))
		return
	}
	if to := c.f32(a); len(to) != len(x) {
		panic(fmt.Sprintf("device: %d values for an array of %d", len(x), len(to)))
	} else if len(x) > 0 && &to[0] != &x[0] {
		vector.Copy(to, x)
	}
}

func (c CPU) UpInts(a Array, x []int32) { copy(c.i32(a), x) }

func (c CPU) Down(x []float32, a Array) {
	if a.t == BFloat16 {
		pass.Copy(shape.Floats(x), c.values(a))
		return
	}
	vector.Copy(x, c.f32(a))
}

func (c CPU) UpWide(a Array, x []float64)   { copy(c.f64(a), x) }
func (c CPU) DownWide(x []float64, a Array) { copy(x, c.f64(a)) }

func (c CPU) Copy(to, from Array) {
	if to.t == BFloat16 || from.t == BFloat16 {
		pass.Copy(c.values(to), c.values(from))
		return
	}
	vector.Copy(c.f32(to), c.f32(from))
}

func (c CPU) Fill(a Array, v float32) {
	if a.t == BFloat16 {
		pass.Fill(c.values(a), v)
		return
	}
	vector.Fill(c.f32(a), v)
}

// pointer returns the first element of an array that must be of type t.
func (c CPU) pointer(a Array, t Type) unsafe.Pointer {
	switch {
	case a.t != t:
		panic(fmt.Sprintf("device: an array of %s where one of %s belongs", a.t, t))
	case c.mem != nil:
		return c.mem.reach(a)
	case a.host == nil:
		panic("device: the host was given an array that lives elsewhere")
	}
	return a.host
}

func slice[T any](c CPU, a Array, t Type) []T {
	if a.n == 0 {
		return nil
	}
	parallel.Operands(a.n * t.Size())
	return unsafe.Slice((*T)(c.pointer(a, t)), a.n)
}

func (c CPU) f32(a Array) []float32 { return slice[float32](c, a, Float32) }
func (c CPU) f64(a Array) []float64 { return slice[float64](c, a, Float64) }
func (c CPU) i32(a Array) []int32   { return slice[int32](c, a, Int32) }
func (c CPU) u8(a Array) []uint8    { return slice[uint8](c, a, Uint8) }

// values are those of an activation or of its gradient.
func (c CPU) values(a Array) shape.Values {
	if a.t == BFloat16 {
		return shape.Halves(slice[uint16](c, a, BFloat16))
	}
	return shape.Floats(c.f32(a))
}

func (c CPU) source(s Source) shape.Source {
	return shape.Source{X: c.values(s.X), Scale: c.f32(s.Scale), Shift: c.f32(s.Shift), ReLU: s.ReLU}
}

func (c CPU) grad(g Grad) shape.Grad {
	return shape.Grad{D: c.values(g.D), Y: c.values(g.Y), A: c.f32(g.A), B: c.f32(g.B), K: c.f32(g.K)}
}

func (c CPU) sums(s Sums) *shape.Sums {
	if s.host != nil || s.A.None() {
		return s.host
	}
	return &shape.Sums{A: c.f64(s.A), B: c.f64(s.B)}
}

func (c CPU) finish(f Finish) shape.Finish {
	return shape.Finish{Add: c.values(f.Add), Mask: c.source(f.Mask), Dot: c.values(f.Dot), Sums: c.sums(f.Sums)}
}

func (c CPU) norm(n RowNorm) token.RowNorm {
	return token.RowNorm{Gamma: c.f32(n.Gamma), Beta: c.f32(n.Beta), Eps: n.Eps, Mean: c.f32(n.Mean),
		Rstd: c.f32(n.Rstd)}
}

func (c CPU) rowFinish(f RowFinish) token.RowFinish {
	return token.RowFinish{U: c.values(f.U), X: c.values(f.X), Norm: c.norm(f.Norm), DGamma: c.f32(f.DGamma),
		DBeta: c.f32(f.DBeta), Add: c.values(f.Add)}
}

func (c CPU) batchNorm(n BatchNorm) pass.BatchNorm {
	return pass.BatchNorm{
		Gamma: c.f32(n.Gamma), Beta: c.f32(n.Beta), RunMean: c.f32(n.RunMean), RunVar: c.f32(n.RunVar),
		Batches: c.f32(n.Batches), Bias: c.f32(n.Bias), Eps: n.Eps, Momentum: n.Momentum,
		Mean: c.f64(n.Mean), Rstd: c.f64(n.Rstd), Scale: c.f32(n.Scale), Shift: c.f32(n.Shift),
	}
}

func (c CPU) mat(m Mat) product.Mat {
	return product.Mat{Data: c.f32(m.Data), Rows: m.Rows, Cols: m.Cols, Trans: m.Trans}
}

// operand is a matrix whose values may be bfloat16.
func (c CPU) operand(m Mat) conv.Matrix {
	v := c.values(m.Data)
	return conv.Matrix{Mat: product.Mat{Data: v.F, Rows: m.Rows, Cols: m.Cols, Trans: m.Trans}, H: v.H}
}

// At returns element i, in channel c, of an activation in the host's memory.
func (s Source) At(i, c int) float32 { return CPU{}.source(s).At(i, c) }

// measured are the arrays of the Norm under way.
var measured struct {
	sync.Mutex
	arrays [][]float32
}

// Bytes returns those of an array of bytes in the host's memory.
func Bytes(a Array) []byte { return CPU{}.u8(a) }
