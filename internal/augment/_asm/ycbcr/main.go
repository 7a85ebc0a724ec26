// Command ycbcr generates the conversion of a row of luma and chroma to pixels,
// for package imagefile and AVX2. The loop it stands for is its twin's,
// ycc.rowPlain.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	row("rowFullAVX2", "one chroma sample for each pixel", 1)
	row("rowHalfAVX2", "one chroma sample for two pixels", 2)
	Generate()
}

func dwords(name string, values ...uint32) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, U32(values[i%len(values)]))
	}
	return m
}

var middle, twice, tight, order Mem

func constants() {
	if middle.Base != nil {
		return
	}
	middle = dwords("rowMiddle", 128)
	twice = dwords("rowTwice", 0, 0, 1, 1, 2, 2, 3, 3)
	order = dwords("rowOrder", 0, 1, 2, 4, 5, 6, 3, 7)
	tight = GLOBL("rowTight", RODATA|NOPTR)
	for i := range 32 { // four of red, green, blue to four pixels
		v := uint8(0x80)
		if p := i % 16; p < 12 {
			v = uint8(p%3*4 + p/3)
		}
		DATA(i, U8(v))
	}
}

// row handles eight pixels at a time. k points to scale, offset, half, r, g, h
// and b.
func row(name, chroma string, pixels int) {
	constants()
	TEXT(name, NOSPLIT, "func(dst *uint8, luma *uint8, cb *uint8, cr *uint8, n int, k *int32)")
	Doc(name + " converts n pixels, " + chroma + "; n is a multiple of 8 and not 0.")
	arg := func(name string) Register { return Load(Param(name), GP64()) }
	dst, luma, cb, cr, n, k := arg("dst"), arg("luma"), arg("cb"), arg("cr"), arg("n"), arg("k")
	constant := make([]VecVirtual, 7)
	for i := range constant {
		constant[i] = YMM()
		VPBROADCASTD(Mem{Base: k, Disp: 4 * i}, constant[i])
	}
	scale, offset, half, r, g, h, b := constant[0], constant[1], constant[2], constant[3], constant[4], constant[5],
		constant[6]
	spread := YMM()
	if pixels == 2 {
		VMOVDQU(twice, spread)
	}
	Label("pixels")
	load := func(p Register) VecVirtual {
		v := YMM()
		if pixels == 2 { // the upper half stays empty until the samples are spread
			VPMOVZXBD(Mem{Base: p}, v.AsX())
		} else {
			VPMOVZXBD(Mem{Base: p}, v)
		}
		VPSUBD(middle, v, v)
		return v
	}
	u, v := load(cb), load(cr)
	red, green, blue, x := YMM(), YMM(), YMM(), YMM()
	VPMULLD(r, v, red)
	VPADDD(half, red, red)
	VPMULLD(g, u, x)
	VPSUBD(x, half, green)
	VPMULLD(h, v, x)
	VPSUBD(x, green, green)
	VPMULLD(b, u, blue)
	VPADDD(half, blue, blue)
	y := YMM()
	VPMOVZXBD(Mem{Base: luma}, y)
	VPSUBD(offset, y, y)
	VPMULLD(scale, y, y)
	for _, c := range []VecVirtual{red, green, blue} {
		if pixels == 2 {
			VPERMD(c, spread, c)
		}
		VPADDD(y, c, c)
		VPSRAD(Imm(16), c, c)
	}
	VPACKSSDW(green, red, red)
	VPACKSSDW(blue, blue, blue)
	VPACKUSWB(blue, red, red)
	VPSHUFB(tight, red, red)
	VMOVDQU(order, x)
	VPERMD(red, x, red)
	VMOVDQU(red.AsX(), Mem{Base: dst})
	VEXTRACTI128(Imm(1), red, red.AsX())
	VMOVQ(red.AsX(), Mem{Base: dst, Disp: 16})
	ADDQ(Imm(24), dst)
	ADDQ(Imm(8), luma)
	ADDQ(Imm(uint64(8/pixels)), cb)
	ADDQ(Imm(uint64(8/pixels)), cr)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("pixels"))
	VZEROUPPER()
	RET()
}
