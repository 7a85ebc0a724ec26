package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// square generates the product of many rows of 16 with a 16 × 16 matrix, which
// stays in registers: eight rows at a time, the last eight of them again if they
// are no multiple.
func square() {
	const high = 8
	c.Function("squareAVX512")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rows int, a, b *float32, ahead uintptr, c *float32)")
	c.Pragma("noescape")
	c.Doc(
		"squareAVX512 multiplies at least 8 rows of 16 elements by 16 × 16:",
		"",
		"\tfor i := range rows {",
		"\t\tfor j := range 16 {",
		"\t\t\tvar sum float32",
		"\t\t\tfor p := range 16 {",
		"\t\t\t\tsum = fma(a[i*16+p], b[p*16+j], sum)",
		"\t\t\t}",
		"\t\t\tc[i*16+j] = sum",
		"\t\t}",
		"\t}",
		"",
		"Meanwhile it fetches as many lines as rows from ahead bytes beyond b on.",
	)
	rows := c.Load(c.Param("rows"), c.GP64())
	a := c.Load(c.Param("a"), c.GP64())
	b := c.Load(c.Param("b"), c.GP64())
	ahead := c.Load(c.Param("ahead"), c.GP64())
	to := c.Load(c.Param("c"), c.GP64())
	var matrix [16]VecVirtual
	for p := range matrix {
		matrix[p] = c.ZMM()
		c.VMOVUPS(Mem{Base: b, Disp: 64 * p}, matrix[p])
	}
	c.ADDQ(b, ahead)

	c.Label("loop")
	var acc [high]VecVirtual
	for i := range acc {
		acc[i] = c.ZMM()
		c.PREFETCHT1(Mem{Base: ahead, Disp: 64 * i})
		c.VPXORD(acc[i], acc[i], acc[i])
	}
	for p := range matrix {
		for i := range acc {
			c.VFMADD231PS_BCST(Mem{Base: a, Disp: 64*i + 4*p}, matrix[p], acc[i])
		}
	}
	for i := range acc {
		c.VMOVUPS(acc[i], Mem{Base: to, Disp: 64 * i})
	}
	for _, r := range []Register{a, to, ahead} {
		c.ADDQ(U32(64*high), r)
	}
	c.SUBQ(Imm(high), rows)
	c.JZ(LabelRef("done"))
	c.CMPQ(rows, Imm(high))
	c.JGE(LabelRef("loop"))
	c.SHLQ(Imm(6), rows) // back to the last eight
	c.LEAQ(Mem{Base: a, Index: rows, Scale: 1, Disp: -64 * high}, a)
	c.LEAQ(Mem{Base: to, Index: rows, Scale: 1, Disp: -64 * high}, to)
	c.MOVQ(U32(high), rows)
	c.JMP(LabelRef("loop"))

	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}
