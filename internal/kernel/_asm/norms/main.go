// Command norms generates the sums of squares and products of two vectors.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// isa is what differs between the two instruction sets.
type isa struct {
	suffix string
	lanes  int // half the floats in a vector
	vector func() VecVirtual
}

func main() {
	ConstraintExpr("amd64")
	for _, s := range []isa{
		{"AVX512", 8, func() VecVirtual { return ZMM() }},
		{"AVX2", 4, func() VecVirtual { return YMM() }},
	} {
		norms(s)
	}
	Generate()
}

// norms keeps three sums of products of two vectors, in two chains each.
func norms(s isa) {
	emit.Start("norms"+s.suffix, "func(w *float32, grad *float32, n int, lanes *float32)",
		"norms"+s.suffix+" leaves Σ w², Σ g² and Σ w·g in 16 partial sums each; n is a multiple of 32.")
	w, g, n, lanes := emit.Pointer("w"), emit.Pointer("grad"), emit.Pointer("n"), emit.Pointer("lanes")
	bytes := s.lanes * 8
	count := 16 / (s.lanes * 2) // vectors that make 16 lanes
	chains := 2
	var acc [3][]VecVirtual
	for k := range acc {
		for range chains {
			v := s.vector()
			VXORPS(v, v, v)
			acc[k] = append(acc[k], v)
		}
	}
	i := GP64()
	XORQ(i, i)
	SHLQ(Imm(2), n)
	Label("loop")
	for u := range 128 / bytes {
		x, y := s.vector(), s.vector()
		VMOVUPS(Mem{Base: w, Index: i, Scale: 1, Disp: u * bytes}, x)
		VMOVUPS(Mem{Base: g, Index: i, Scale: 1, Disp: u * bytes}, y)
		VFMADD231PS(x, x, acc[0][u%chains])
		VFMADD231PS(y, y, acc[1][u%chains])
		VFMADD231PS(x, y, acc[2][u%chains])
	}
	ADDQ(Imm(128), i)
	CMPQ(i, n)
	JB(LabelRef("loop"))
	for k := range acc {
		if count == 1 {
			VADDPS(acc[k][1], acc[k][0], acc[k][0])
		}
		for j := range count {
			VMOVUPS(acc[k][j], Mem{Base: lanes, Disp: 64*k + j*bytes})
		}
	}
	emit.End()
}
