package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Eight pixels of three bytes are held as bytes 0 to 15 in the lower half of a
// vector and bytes 8 to 23 in the upper.

// pixels returns the next eight at p.
func pixels(p Register) VecVirtual {
	v := YMM()
	VBROADCASTI128(at(p, 0), v)
	VINSERTI128(Imm(1), at(p, 8), v, v)
	return v
}

// pick is the shuffle that makes 32 bits of each pixel's channels: a in bits 0
// to 7 and, unless it is none, b in bits 16 to 23.
func pick(name string, a, b int) Mem {
	var m [2][16]uint8
	for half := range m {
		for i := range 4 {
			first := 3*i + 4*half
			m[half][4*i], m[half][4*i+1], m[half][4*i+2], m[half][4*i+3] = uint8(first+a), none, none, none
			if b != none {
				m[half][4*i+2] = uint8(first + b)
			}
		}
	}
	return lanes(name, m[0], m[1])
}

func shuffled(v VecVirtual, m Mem) VecVirtual {
	to := YMM()
	VPSHUFB(m, v, to)
	return to
}

// store writes eight pixels, of which each half of v holds four in its first
// twelve bytes.
func store(v VecVirtual, p Register) {
	order := YMM()
	VMOVDQU(storeOrder, order)
	VPERMD(v, order, v)
	VMOVDQU(v.AsX(), at(p, 0))
	VEXTRACTI128(Imm(1), v, v.AsX())
	VMOVQ(v.AsX(), at(p, 16))
}

// The rounded luma of eight pixels: 19595 r + 38470 g + 7471 b, with the
// middle factor, too large for a signed word, as two halves of itself.
func luma(v VecVirtual) VecVirtual {
	rg, gb := shuffled(v, pickRG), shuffled(v, pickGB)
	VPMADDWD(lumaRG, rg, rg)
	VPMADDWD(lumaGB, gb, gb)
	VPADDD(gb, rg, rg)
	VPADDD(lumaHalf, rg, rg)
	VPSRLD(Imm(16), rg, rg)
	return rg
}

// The constants of more than one function.
var (
	pickR, pickG, pickB, pickRG, pickGB Mem
	lumaRG, lumaGB, lumaHalf            Mem
	storeOrder                          Mem
)

func channels() {
	if pickR.Base != nil {
		return
	}
	pickR, pickG, pickB = pick("pickR", 0, none), pick("pickG", 1, none), pick("pickB", 2, none)
	pickRG, pickGB = pick("pickRG", 0, 1), pick("pickGB", 1, 2)
	lumaRG, lumaGB = dwords("lumaRG", 19595|38470/2<<16), dwords("lumaGB", 38470/2|7471<<16)
	lumaHalf = dwords("lumaHalf", 0x8000)
	storeOrder = dwords("storeOrder", 0, 1, 2, 4, 5, 6, 3, 7)
}

// eachEight runs body for every eight pixels of p.
func eachEight(p, n Register, body func()) {
	Label("pixels")
	body()
	ADDQ(Imm(24), p)
	SUBQ(Imm(8), n)
	JNZ(LabelRef("pixels"))
}

const eights = "n is a multiple of 8 and not 0."

func lumaSum() {
	channels()
	start("lumaSumAVX2", "func(p *uint8, n int) (sum uint64)", "lumaSumAVX2 adds up the luma of n pixels; "+eights)
	p, n := arg("p"), arg("n")
	sum, nothing := zero(), zero()
	eachEight(p, n, func() {
		l := luma(pixels(p))
		VPSADBW(nothing, l, l)
		VPADDQ(l, sum, sum)
	})
	high := XMM()
	VEXTRACTI128(Imm(1), sum, high)
	VPADDQ(high, sum.AsX(), high)
	low := XMM()
	VPSHUFD(Imm(0xee), high, low)
	VPADDQ(low, high, high)
	total := GP64()
	VMOVQ(high, total)
	Store(total, Return("sum"))
	end()
}

func grey() {
	start("greyAVX2", "func(p *uint8, n int)", "greyAVX2 sets the channels of n pixels to their luma; "+eights)
	p, n := arg("p"), arg("n")
	thrice := same("greyThrice", [16]uint8{0, 0, 0, 4, 4, 4, 8, 8, 8, 12, 12, 12, none, none, none, none})
	eachEight(p, n, func() {
		l := luma(pixels(p))
		VPSHUFB(thrice, l, l)
		store(l, p)
	})
	end()
}

func saturate() {
	start("saturateAVX2", "func(p *uint8, n int, factor float32)",
		"saturateAVX2 makes each channel v of n pixels of luma l to l + factor·(v-l), towards zero, in 0..255; "+eights)
	p, n, factor := arg("p"), arg("n"), broadcast("factor")
	side := same("saturateOrder", [16]uint8{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, none, none, none, none})
	eachEight(p, n, func() {
		v := pixels(p)
		l, base := luma(v), YMM()
		VCVTDQ2PS(l, base)
		out := []VecVirtual{shuffled(v, pickR), shuffled(v, pickG), shuffled(v, pickB)}
		for _, c := range out {
			VPSUBD(l, c, c)
			VCVTDQ2PS(c, c)
			VMULPS(factor, c, c)
			VADDPS(c, base, c)
			VCVTTPS2DQ(c, c)
		}
		VPACKSSDW(out[1], out[0], out[0])
		VPACKSSDW(out[2], out[2], out[2])
		VPACKUSWB(out[2], out[0], out[0])
		VPSHUFB(side, out[0], out[0])
		store(out[0], p)
	})
	end()
}

// substitute looks sixteen values up at a time: a shuffle reads the part of the
// table that its index's upper half names, and gives zero where the index is
// 128 or more. Each part of the table holds its difference from the one before,
// so that the sum over all parts up to the index's is the value.
func substitute() {
	start("substituteAVX2", "func(p *uint8, n int, parts *uint8)",
		"substituteAVX2 replaces n values v by the exclusive or of parts[v], parts[v-16], ... down to parts[v%16], or to",
		"parts[128+v%16] if v ≥ 128; n is a multiple of 64 and not 0.")
	p, n, parts := arg("p"), arg("n"), arg("parts")
	sixteen, top := YMM(), YMM()
	VMOVDQU(dwords("substituteSixteen", 0x10101010), sixteen)
	VMOVDQU(dwords("substituteTop", 0x80808080), top)
	Label("values")
	v := []VecVirtual{YMM(), YMM()}
	var sums [2][]VecVirtual
	for i := range v {
		VMOVDQU(at(p, 32*i), v[i])
	}
	table, found := YMM(), YMM()
	for half := range sums {
		sums[half] = []VecVirtual{zero(), zero()}
		index := []VecVirtual{YMM(), YMM()}
		for i := range v {
			if half == 0 {
				VMOVDQA(v[i], index[i])
			} else {
				VPXOR(top, v[i], index[i])
			}
		}
		for k := range 8 {
			VBROADCASTI128(at(parts, 128*half+16*k), table)
			for i := range v {
				VPSHUFB(index[i], table, found)
				VPXOR(found, sums[half][i], sums[half][i])
				if k < 7 {
					VPSUBB(sixteen, index[i], index[i])
				}
			}
		}
	}
	for i := range v {
		VPBLENDVB(v[i], sums[1][i], sums[0][i], v[i])
		VMOVDQU(v[i], at(p, 32*i))
	}
	ADDQ(Imm(64), p)
	SUBQ(Imm(64), n)
	JNZ(LabelRef("values"))
	end()
}

// hue computes what ../color.go tabulates. In float32 and in whole numbers the
// results are the same for every colour, which the tests show.
func hue() {
	start("hueAVX2", "func(p *uint8, n int, shift uint32)",
		"hueAVX2 adds shift, 0 to 255, to the hue of n pixels; "+eights)
	p, n, shift := arg("p"), arg("n"), broadcast("shift")
	f := func(x float64) uint32 { return math.Float32bits(float32(x)) }
	// By turn: h = base + sign·m.
	base := dwords("hueBase", 0, f(-1), f(1), f(1), f(3), f(5), f(3), 0)
	sign := dwords("hueSign", 0, f(1), f(1), f(-1), f(1), f(-1), f(-1), 0)
	// By sixth of the circle: what flips the place in it, and where the channels
	// are in (top, bottom, middle).
	odd := dwords("hueFlip", 255, 0, 255, 0, 255, 0, 255, 0)
	const t, b, m = 0, 1, 2
	places := make([]uint32, 8)
	for i, c := range [][3]uint32{{t, m, b}, {m, t, b}, {b, t, m}, {b, m, t}, {m, b, t}, {t, b, m}, {t, m, b}} {
		places[i] = c[0] | c[1]<<8 | c[2]<<16 | none<<24
	}
	place := dwords("huePlace", places...)
	pixel := dwords("huePixel", 0, 0x040404, 0x080808, 0x0c0c0c)
	tight := same("hueTight", [16]uint8{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, none, none, none, none})
	one, seven, byte255 := dwords("hueOne", 1), dwords("hueSeven", 7), dwords("hue255", 255)
	six, unit, scale := dwords("hueSix", f(6)), dwords("hueUnit", f(1)), dwords("hueScale", f(255))
	by255 := dwords("hueBy255", 32897) // x·32897 >> 23 = x / 255 for x < 2¹⁶
	square, bySquare, half := dwords("hueSquare", 255*255), dwords("hueBySquare", f(1.0/(255*255))), dwords("hueHalf", f(0.5))
	nearly := dwords("hue127", 127)

	divide255 := func(v VecVirtual) {
		VPMULLD(by255, v, v)
		VPSRLD(Imm(23), v, v)
	}
	eachEight(p, n, func() {
		v := pixels(p)
		r, g, b := shuffled(v, pickR), shuffled(v, pickG), shuffled(v, pickB)

		// turn = 7 - (g > r) - 2 (b > g) - 4 (r > b)
		turn, x := YMM(), YMM()
		VPCMPGTD(r, g, turn)
		VPADDD(seven, turn, turn)
		VPCMPGTD(g, b, x)
		VPADDD(x, x, x)
		VPADDD(x, turn, turn)
		VPCMPGTD(b, r, x)
		VPSLLD(Imm(2), x, x)
		VPADDD(x, turn, turn)

		// d: how far the middle channel lies below the top.
		top, low, d := YMM(), YMM(), YMM()
		VPMAXUD(g, r, top)
		VPMAXUD(b, top, top)
		VPMINUD(g, r, low)
		VPMINUD(b, low, low)
		VPADDD(g, r, d)
		VPADDD(b, d, d)
		VPSUBD(top, d, d)
		VPSUBD(low, d, d)
		VPSUBD(d, top, d)
		chroma := low
		VPSUBD(low, top, chroma)

		// h in sixths of the circle, then of 255.
		h, divisor, s := YMM(), YMM(), YMM()
		VPMAXUD(one, chroma, divisor) // without chroma any hue will do
		VCVTDQ2PS(divisor, divisor)
		VCVTDQ2PS(d, h)
		VDIVPS(divisor, h, h)
		VPERMPS(base, turn, x)
		VPERMPS(sign, turn, turn)
		VFMADD213PS(x, turn, h)
		VPSRAD(Imm(31), h, x)
		VANDPS(unit, x, x)
		VDIVPS(six, h, h)
		VADDPS(x, h, h)
		VMULPS(scale, h, h)
		VCVTTPS2DQ(h, h)
		VPADDD(shift, h, h)
		VPAND(byte255, h, h)

		// The saturation, of 255.
		VPMAXUD(one, top, divisor)
		VCVTDQ2PS(divisor, divisor)
		VCVTDQ2PS(chroma, s)
		VDIVPS(divisor, s, s)
		VMULPS(scale, s, s)
		VCVTTPS2DQ(s, s)

		// Where in which sixth the hue lies.
		sixth := YMM()
		VPADDD(h, h, x)
		VPADDD(x, h, h)
		VPADDD(h, h, h)
		VMOVDQA(h, sixth)
		divide255(sixth)
		VPMULLD(byte255, sixth, x)
		VPSUBD(x, h, h)
		VPERMD(odd, sixth, x)
		VPXOR(x, h, h)

		// bottom = v (1 - s), middle = v (1 - s·h), rounded.
		bottom, middle := YMM(), h
		VMOVDQU(byte255, bottom)
		VPSUBD(s, bottom, bottom)
		VPMULLD(top, bottom, bottom)
		VPADDD(nearly, bottom, bottom)
		divide255(bottom)
		VPMULLD(s, h, h)
		VMOVDQU(square, x)
		VPSUBD(h, x, x)
		VPMULLD(top, x, x)
		VCVTDQ2PS(x, x)
		VMULPS(bySquare, x, x)
		VADDPS(half, x, x)
		VCVTTPS2DQ(x, middle)

		VPSLLD(Imm(8), bottom, bottom)
		VPSLLD(Imm(16), middle, middle)
		VPOR(bottom, top, top)
		VPOR(middle, top, top)
		VPERMD(place, sixth, x)
		VPADDD(pixel, x, x)
		VPSHUFB(x, top, top)
		VPSHUFB(tight, top, top)
		store(top, p)
	})
	end()
}
