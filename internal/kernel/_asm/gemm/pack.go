package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packRows generates the packing of a row-major matrix into panels of a fixed
// width. It goes along the rows, as memory likes to be read, and fetches ahead
// in the next row.
func packRows(width int) {
	c.Function(fmt.Sprintf("packRowsAVX2x%d", width))
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(k, panels int, src *float32, stride uintptr, dst *float32)")
	c.Pragma("noescape")
	c.Doc(
		fmt.Sprintf("packRowsAVX2x%d copies k rows, stride bytes apart, to panels of %d columns:", width, width),
		"",
		"\tfor p := range k {",
		"\t\tfor j := range panels {",
		fmt.Sprintf("\t\t\tcopy(dst[(j*k+p)*%d:][:%d], src[p*stride+4*j*%d:])", width, width, width),
		"\t\t}",
		"\t}",
	)
	k := c.Load(c.Param("k"), c.GP64())
	panels := c.Load(c.Param("panels"), c.GP64())
	src := c.Load(c.Param("src"), c.GP64())
	stride := c.Load(c.Param("stride"), c.GP64())
	dst := c.Load(c.Param("dst"), c.GP64())
	between := c.GP64() // bytes from panel to panel
	c.IMUL3Q(Imm(uint64(4*width)), k, between)

	c.Label("row")
	from, to, j := c.GP64(), c.GP64(), c.GP64()
	c.MOVQ(src, from)
	c.MOVQ(dst, to)
	c.MOVQ(panels, j)
	c.ADDQ(stride, src)

	c.Label("panel")
	for at := 0; at < 4*width; at += 64 {
		c.PREFETCHT0(Mem{Base: from, Index: stride, Scale: 1, Disp: at})
	}
	y := make([]VecVirtual, width/8)
	for i := range y {
		y[i] = c.YMM()
		c.VMOVUPS(Mem{Base: from, Disp: 32 * i}, y[i])
	}
	for i := range y {
		c.VMOVUPS(y[i], Mem{Base: to, Disp: 32 * i})
	}
	c.ADDQ(Imm(uint64(4*width)), from)
	c.ADDQ(between, to)
	c.DECQ(j)
	c.JNZ(LabelRef("panel"))

	c.ADDQ(Imm(uint64(4*width)), dst)
	c.DECQ(k)
	c.JNZ(LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

// transpose generates the transposition of blocks of 8 × 8. Each block fetches
// the one 8 rows below.
func transpose() {
	c.Function("transposeAVX2")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(blocks int, src *float32, srcStride uintptr, dst *float32, dstStride uintptr)")
	c.Pragma("noescape")
	c.Doc(
		"transposeAVX2 writes 8 rows as 8 columns; strides count bytes:",
		"",
		"\tfor p := range 8 * blocks {",
		"\t\tfor j := range 8 {",
		"\t\t\tdst[p*dstStride+4*j] = src[j*srcStride+4*p]",
		"\t\t}",
		"\t}",
	)
	blocks := c.Load(c.Param("blocks"), c.GP64())
	src := c.Load(c.Param("src"), c.GP64())
	ss := c.Load(c.Param("srcStride"), c.GP64())
	dst := c.Load(c.Param("dst"), c.GP64())
	ds := c.Load(c.Param("dstStride"), c.GP64())
	ss3, ds3, src4, src8, src12 := c.GP64(), c.GP64(), c.GP64(), c.GP64(), c.GP64()
	c.LEAQ(Mem{Base: ss, Index: ss, Scale: 2}, ss3)
	c.LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, ds3)
	c.LEAQ(Mem{Base: src, Index: ss, Scale: 4}, src4)
	c.LEAQ(Mem{Base: src4, Index: ss, Scale: 4}, src8)
	c.LEAQ(Mem{Base: src8, Index: ss, Scale: 4}, src12)
	row := func(base, stride, stride3 Register, i, disp int) Mem {
		m := Mem{Base: base, Disp: disp}
		switch i {
		case 1, 2:
			m.Index, m.Scale = stride, uint8(i)
		case 3:
			m.Index, m.Scale = stride3, 1
		}
		return m
	}

	c.Label("block")
	for i := range 4 {
		c.PREFETCHT0(row(src8, ss, ss3, i, 0))
		c.PREFETCHT0(row(src12, ss, ss3, i, 0))
	}
	// r[i] holds row i, columns 0–3, beside row i+4, columns 0–3; r[i+4] the
	// same of columns 4–7.
	r := make([]VecVirtual, 8)
	for i := range r {
		r[i] = c.YMM()
		disp := i / 4 * 16
		c.VMOVUPS(row(src, ss, ss3, i%4, disp), r[i].AsX())
		c.VINSERTF128(Imm(1), row(src4, ss, ss3, i%4, disp), r[i], r[i])
	}
	for h := 0; h < 8; h += 4 {
		t := []VecVirtual{c.YMM(), c.YMM(), c.YMM(), c.YMM()}
		c.VUNPCKLPS(r[h+1], r[h], t[0])
		c.VUNPCKHPS(r[h+1], r[h], t[1])
		c.VUNPCKLPS(r[h+3], r[h+2], t[2])
		c.VUNPCKHPS(r[h+3], r[h+2], t[3])
		c.VUNPCKLPD(t[2], t[0], r[h])
		c.VUNPCKHPD(t[2], t[0], r[h+1])
		c.VUNPCKLPD(t[3], t[1], r[h+2])
		c.VUNPCKHPD(t[3], t[1], r[h+3])
	}
	for h := 0; h < 8; h += 4 {
		for i := range 4 {
			c.VMOVUPS(r[h+i], row(dst, ds, ds3, i, 0))
		}
		c.LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, dst)
	}
	for _, p := range []Register{src, src4, src8, src12} {
		c.ADDQ(Imm(32), p)
	}
	c.DECQ(blocks)
	c.JNZ(LabelRef("block"))
	c.VZEROUPPER()
	c.RET()
}

// prefetch generates the fetching of a block that will soon be needed.
func prefetch() {
	c.Function("prefetchRowsAMD64")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rows, lines int, p *float32, stride uintptr)")
	c.Pragma("noescape")
	c.Doc("prefetchRowsAMD64 fetches lines of 64 bytes from each of some rows, stride bytes apart, into the second-level cache.")
	rows := c.Load(c.Param("rows"), c.GP64())
	lines := c.Load(c.Param("lines"), c.GP64())
	p := c.Load(c.Param("p"), c.GP64())
	stride := c.Load(c.Param("stride"), c.GP64())
	at, left := c.GP64(), c.GP64()

	c.Label("row")
	c.MOVQ(p, at)
	c.MOVQ(lines, left)

	c.Label("line")
	c.PREFETCHT1(Mem{Base: at})
	c.ADDQ(Imm(64), at)
	c.DECQ(left)
	c.JNZ(LabelRef("line"))

	c.ADDQ(stride, p)
	c.DECQ(rows)
	c.JNZ(LabelRef("row"))
	c.RET()
}
