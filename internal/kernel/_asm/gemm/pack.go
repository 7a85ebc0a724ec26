package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// packRows generates the packing of a row-major matrix into panels of a fixed
// width. It goes along the rows, as memory likes to be read, and fetches ahead
// in the next row.
func packRows(width int) {
	TEXT(fmt.Sprintf("packRowsAVX2x%d", width), NOSPLIT, "func(k, panels int, src *float32, stride uintptr, dst *float32)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("packRowsAVX2x%d copies k rows, stride bytes apart, to panels of %d columns:", width, width),
		"",
		"\tfor p := range k {",
		"\t\tfor j := range panels {",
		fmt.Sprintf("\t\t\tcopy(dst[(j*k+p)*%d:][:%d], src[p*stride+4*j*%d:])", width, width, width),
		"\t\t}",
		"\t}",
	)
	k := Load(Param("k"), GP64())
	panels := Load(Param("panels"), GP64())
	src := Load(Param("src"), GP64())
	stride := Load(Param("stride"), GP64())
	dst := Load(Param("dst"), GP64())
	between := GP64() // bytes from panel to panel
	IMUL3Q(Imm(uint64(4*width)), k, between)

	Label("row")
	from, to, j := GP64(), GP64(), GP64()
	MOVQ(src, from)
	MOVQ(dst, to)
	MOVQ(panels, j)
	ADDQ(stride, src)

	Label("panel")
	for at := 0; at < 4*width; at += 64 {
		PREFETCHT0(Mem{Base: from, Index: stride, Scale: 1, Disp: at})
	}
	y := make([]VecVirtual, width/8)
	for i := range y {
		y[i] = YMM()
		VMOVUPS(Mem{Base: from, Disp: 32 * i}, y[i])
	}
	for i := range y {
		VMOVUPS(y[i], Mem{Base: to, Disp: 32 * i})
	}
	ADDQ(Imm(uint64(4*width)), from)
	ADDQ(between, to)
	DECQ(j)
	JNZ(LabelRef("panel"))

	ADDQ(Imm(uint64(4*width)), dst)
	DECQ(k)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// transpose generates the transposition of blocks of 8 × 8. Each block fetches
// the one 8 rows below.
func transpose() {
	TEXT("transposeAVX2", NOSPLIT, "func(blocks int, src *float32, srcStride uintptr, dst *float32, dstStride uintptr)")
	Pragma("noescape")
	Doc(
		"transposeAVX2 writes 8 rows as 8 columns; strides count bytes:",
		"",
		"\tfor p := range 8 * blocks {",
		"\t\tfor j := range 8 {",
		"\t\t\tdst[p*dstStride+4*j] = src[j*srcStride+4*p]",
		"\t\t}",
		"\t}",
	)
	blocks := Load(Param("blocks"), GP64())
	src := Load(Param("src"), GP64())
	ss := Load(Param("srcStride"), GP64())
	dst := Load(Param("dst"), GP64())
	ds := Load(Param("dstStride"), GP64())
	ss3, ds3, src4, src8, src12 := GP64(), GP64(), GP64(), GP64(), GP64()
	LEAQ(Mem{Base: ss, Index: ss, Scale: 2}, ss3)
	LEAQ(Mem{Base: ds, Index: ds, Scale: 2}, ds3)
	LEAQ(Mem{Base: src, Index: ss, Scale: 4}, src4)
	LEAQ(Mem{Base: src4, Index: ss, Scale: 4}, src8)
	LEAQ(Mem{Base: src8, Index: ss, Scale: 4}, src12)
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

	Label("block")
	for i := range 4 {
		PREFETCHT0(row(src8, ss, ss3, i, 0))
		PREFETCHT0(row(src12, ss, ss3, i, 0))
	}
	// r[i] holds row i, columns 0–3, beside row i+4, columns 0–3; r[i+4] the
	// same of columns 4–7.
	r := make([]VecVirtual, 8)
	for i := range r {
		r[i] = YMM()
		disp := i / 4 * 16
		VMOVUPS(row(src, ss, ss3, i%4, disp), r[i].AsX())
		VINSERTF128(Imm(1), row(src4, ss, ss3, i%4, disp), r[i], r[i])
	}
	for h := 0; h < 8; h += 4 {
		t := []VecVirtual{YMM(), YMM(), YMM(), YMM()}
		VUNPCKLPS(r[h+1], r[h], t[0])
		VUNPCKHPS(r[h+1], r[h], t[1])
		VUNPCKLPS(r[h+3], r[h+2], t[2])
		VUNPCKHPS(r[h+3], r[h+2], t[3])
		VUNPCKLPD(t[2], t[0], r[h])
		VUNPCKHPD(t[2], t[0], r[h+1])
		VUNPCKLPD(t[3], t[1], r[h+2])
		VUNPCKHPD(t[3], t[1], r[h+3])
	}
	for h := 0; h < 8; h += 4 {
		for i := range 4 {
			VMOVUPS(r[h+i], row(dst, ds, ds3, i, 0))
		}
		LEAQ(Mem{Base: dst, Index: ds, Scale: 4}, dst)
	}
	for _, p := range []Register{src, src4, src8, src12} {
		ADDQ(Imm(32), p)
	}
	DECQ(blocks)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

// prefetch generates the fetching of a block that will soon be needed.
func prefetch() {
	TEXT("prefetchRowsAMD64", NOSPLIT, "func(rows, lines int, p *float32, stride uintptr)")
	Pragma("noescape")
	Doc("prefetchRowsAMD64 fetches lines of 64 bytes from each of some rows, stride bytes apart, into the second-level cache.")
	rows := Load(Param("rows"), GP64())
	lines := Load(Param("lines"), GP64())
	p := Load(Param("p"), GP64())
	stride := Load(Param("stride"), GP64())
	at, left := GP64(), GP64()

	Label("row")
	MOVQ(p, at)
	MOVQ(lines, left)

	Label("line")
	PREFETCHT1(Mem{Base: at})
	ADDQ(Imm(64), at)
	DECQ(left)
	JNZ(LabelRef("line"))

	ADDQ(stride, p)
	DECQ(rows)
	JNZ(LabelRef("row"))
	RET()
}
