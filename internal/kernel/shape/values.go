package shape

import (
	"fmt"
	"math"
	"unsafe"
)

// Values are activations or their gradients: float32, or bfloat16, whose bits are the
// upper half of a float32's. One of the two is set, or neither: then there are none.
type Values struct {
	F []float32
	H []uint16
}

// Floats and Halves are values of float32 and of bfloat16.
func Floats(x []float32) Values { return Values{F: x} }
func Halves(x []uint16) Values  { return Values{H: x} }

// Len returns how many there are; None says that there are none.
func (v Values) Len() int   { return len(v.F) + len(v.H) }
func (v Values) None() bool { return v.F == nil && v.H == nil }

// Half says that they are bfloat16.
func (v Values) Half() bool { return v.H != nil }

// From returns the values from number off on.
func (v Values) From(off int) Values {
	if v.H != nil {
		return Values{H: v.H[off:]}
	}
	return Values{F: v.F[off:]}
}

// Part returns values [lo, hi).
func (v Values) Part(lo, hi int) Values {
	if v.H != nil {
		return Values{H: v.H[lo:hi]}
	}
	return Values{F: v.F[lo:hi]}
}

// Clear sets values [lo, hi) to zero.
func (v Values) Clear(lo, hi int) {
	if v.H != nil {
		clear(v.H[lo:hi])
	} else {
		clear(v.F[lo:hi])
	}
}

// Same says that both begin at the same place.
func (v Values) Same(w Values) bool {
	return len(v.F) > 0 && len(w.F) > 0 && &v.F[0] == &w.F[0] || len(v.H) > 0 && len(w.H) > 0 && &v.H[0] == &w.H[0]
}

// At returns value number i, Set changes it. They are for definitions; kernels are faster.
func (v Values) At(i int) float32 {
	if v.H != nil {
		return Widen(v.H[i])
	}
	return v.F[i]
}

func (v Values) Set(i int, x float32) {
	if v.H != nil {
		v.H[i] = Narrow(x)
	} else {
		v.F[i] = x
	}
}

// Floats returns values that must be float32.
func (v Values) Floats() []float32 {
	if v.H != nil {
		panic(fmt.Sprintf("kernel: %d values of bfloat16 where float32 belongs", len(v.H)))
	}
	return v.F
}

// Memory returns what holds values [lo, hi), for hints that it will be needed.
func (v Values) Memory(lo, hi int) []float32 {
	if v.H == nil {
		return v.F[lo:hi]
	}
	if hi-lo < 2 {
		return nil
	}
	part := v.H[lo:hi]
	return unsafe.Slice((*float32)(unsafe.Pointer(&part[0])), len(part)/2)
}

// Widen returns the number whose bfloat16 has bits h.
func Widen(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// Narrow returns the bits of v rounded to bfloat16: to nearest, and of two equally near to
// the even. As on processors that round to it, denormal numbers count as zero.
func Narrow(v float32) uint16 {
	bits := math.Float32bits(v)
	switch {
	case v != v:
		return uint16(bits>>16 | 0x40)
	case bits&0x7f800000 == 0:
		return uint16(bits >> 16 & 0x8000)
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
