package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constant returns a vector of v in memory.
func constant(v float32) Mem { return pattern(math.Float32bits(v)) }

// pattern returns a vector of the same bits in every lane. Each is written once.
func pattern(bits uint32) Mem {
	at, ok := patterns[bits]
	if !ok {
		if sealed {
			panic(fmt.Sprintf("fill has no constant %#x", bits))
		}
		at = 64 * len(patterns)
		patterns[bits] = at
		for i := range 16 {
			DATA(at+4*i, U32(bits))
		}
	}
	return table.Offset(at)
}

var (
	table    Mem
	patterns = map[uint32]int{}
	sealed   bool // functions have begun, and the table is written
)

// normalTail are the coefficients of P in tail, the highest first.
var normalTail = []float32{
	0.028916023671627045, -0.12625890970230103, 0.1692989021539688, -0.06862951070070267, 0.10740528255701065,
	0.07223781943321228, 0.10175979137420654, 0.10755041986703873, 0.10772018879652023,
}

// horner returns Σ coefs[i]·x^(n−i).
func (s isa) horner(x Register, coefs ...float32) VecVirtual {
	p := s.vec()
	VMOVUPS(constant(coefs[0]), p)
	for _, c := range coefs[1:] {
		VFMADD213PS(constant(c), x, p)
	}
	return p
}

// exp turns x, at most a little above 0, into its exponential, at least 2⁻¹²⁶: with
// the polynomial of Cephes' expf about the nearest multiple n of ln 2, and n
// added to the exponent. What is not a number stays so.
func (s isa) exp(x VecVirtual) {
	n, m := s.vec(), s.vec()
	VMOVUPS(constant(-87.3365), n)
	VMAXPS(x, n, x)
	const magic = 3 << 22 // the sum's last bits are n
	VMOVUPS(constant(magic), n)
	VFMADD231PS(constant(1.44269504), x, n)
	VSUBPS(constant(magic), n, m)
	VFNMADD231PS(constant(0.693359375), m, x)
	VFNMADD231PS(constant(-2.12194440e-4), m, x)
	p := s.horner(x, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
		5.0000001201e-1, 1, 1)
	VPSLLD(Imm(23), n, n)
	VPADDD(n, p, x)
}

// tail returns, of u, |u|, Φ(−|u|) and exp(−u²/2). With t = 1/(1 + 0.27·|u|)
// the tail of the normal distribution is exp(−u²/2)·t·P(t); P's relative error is
// 2.4e-8 up to |u| = 14, where the tail is nothing in float32.
func (s isa) tail(u VecVirtual) (size, q, e VecVirtual) {
	size, e = s.vec(), s.vec()
	VANDPS(pattern(0x7fffffff), u, size)
	VMULPS(constant(-0.5), u, e)
	VMULPS(u, e, e)
	s.exp(e)
	d, t := s.vec(), s.vec()
	VMOVUPS(constant(1), t)
	VMOVAPS(t, d)
	VFMADD231PS(constant(0.27), size, d)
	VDIVPS(d, t, t)
	q = s.horner(t, normalTail...)
	VMULPS(t, q, q)
	VMULPS(e, q, q)
	return size, q, e
}

// sum and largest leave the sum, or the largest, of all lanes of v in the lowest
// lane of the result.
func (s isa) sum(v VecVirtual) Register {
	return s.reduce(v, func(a, b, dst Register) { VADDPS(a, b, dst) })
}

func (s isa) largest(v VecVirtual) Register {
	return s.reduce(v, func(a, b, dst Register) { VMAXPS(a, b, dst) })
}

func (s isa) reduce(v VecVirtual, op func(a, b, dst Register)) Register {
	y := v.AsY()
	if s.wide() {
		high := YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		op(high, y, y)
	}
	x, z := y.(VecVirtual).AsX(), XMM()
	VEXTRACTF128(Imm(1), y, z)
	op(z, x, x)
	VPSHUFD(Imm(0x4e), x, z)
	op(z, x, x)
	VPSHUFD(Imm(0xb1), x, z)
	op(z, x, x)
	return x
}
