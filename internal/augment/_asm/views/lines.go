package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// shuffle interleaves the bytes of register i with those of register i+4, for
// each of four pairs. Seen as one number, the bits of register and byte turn by
// one place: after three turns the byte's own bits have become the register's.
func shuffle(r []VecVirtual) []VecVirtual {
	out := make([]VecVirtual, 8)
	for i := range 4 {
		out[2*i], out[2*i+1] = YMM(), YMM()
		VPUNPCKLBW(r[i+4], r[i], out[2*i])
		VPUNPCKHBW(r[i+4], r[i], out[2*i+1])
	}
	return out
}

// place returns the address of line r's next bytes.
func place(lines, offsets Register, r int) Mem {
	o := GP64()
	MOVQ(at(offsets, 8*r), o)
	return Mem{Base: lines, Index: o, Scale: 1}
}

func interleave() {
	start("interleaveAVX2", "func(dst *uint8, src *uint8, offsets *int, n int)",
		"interleaveAVX2: dst[16*i+r] = src[offsets[r]+i] for r < 16, i < n; n is a multiple of 16 and not 0.")
	dst, src, offsets, n := arg("dst"), arg("src"), arg("offsets"), arg("n")
	Label("columns")
	// Lines r and r+8 share a register, one in each half.
	r := make([]VecVirtual, 8)
	for i := range r {
		r[i] = YMM()
		VBROADCASTI128(place(src, offsets, i), r[i])
		VINSERTI128(Imm(1), place(src, offsets, i+8), r[i], r[i])
	}
	for range 3 {
		r = shuffle(r)
	}
	for i := range r { // two columns in each
		VPERMQ(Imm(0xd8), r[i], r[i])
		VMOVDQU(r[i], at(dst, 32*i))
	}
	ADDQ(Imm(16), src)
	ADDQ(U32(256), dst)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("columns"))
	end()
}

func split() {
	start("splitAVX2", "func(dst *uint8, offsets *int, src *uint8, n int)",
		"splitAVX2: dst[offsets[r]+i] = src[16*i+r] for r < 16, i < n; n is a multiple of 16 and not 0.")
	dst, offsets, src, n := arg("dst"), arg("offsets"), arg("src"), arg("n")
	Label("columns")
	r := make([]VecVirtual, 8)
	for i := range r {
		r[i] = YMM()
		VPERMQ(Imm(0xd8), at(src, 32*i), r[i])
	}
	for range 4 {
		r = shuffle(r)
	}
	for i := range r {
		VMOVDQU(r[i].AsX(), place(dst, offsets, i))
		VEXTRACTI128(Imm(1), r[i], place(dst, offsets, i+8))
	}
	ADDQ(Imm(16), dst)
	ADDQ(U32(256), src)
	SUBQ(Imm(16), n)
	JNZ(LabelRef("columns"))
	end()
}

func weigh() {
	start("weighAVX2", "func(dst *uint8, ds int, src *uint8, ss int, first *int, count *int, weight *int32, size int, outs int, n int)",
		"weighAVX2: for i < outs, j < n, dst[i*ds+j] = sum of weight[i*size+t]·src[(first[i]+t)*ss+j] over t < count[i],",
		"plus one half, without its 22 bits of fraction, in 0..255. n is at least 8; no count is 0.")
	ss, n, dst := arg("ss"), arg("n"), arg("dst")
	first, count, weight, outs := arg("first"), arg("count"), arg("weight"), arg("outs")
	half := dwords("weighHalf", 1<<21)
	order := dwords("weighOrder", 0, 4, 1, 5, 2, 6, 3, 7)
	from, j, limit := GP64(), GP64(), GP64()

	Label("outputs")
	MOVQ(at(first, 0), from)
	IMULQ(ss, from)
	ADDQ(arg("src"), from)
	XORQ(j, j)

	// sums adds up k vectors of eight values at j.
	sums := func(label string, k int) []VecVirtual {
		acc := make([]VecVirtual, k)
		for i := range acc {
			acc[i] = YMM()
			VMOVDQU(half, acc[i])
		}
		p, w, left, factor := GP64(), GP64(), GP64(), YMM()
		LEAQ(Mem{Base: from, Index: j, Scale: 1}, p)
		MOVQ(weight, w)
		MOVQ(at(count, 0), left)
		Label(label)
		VPBROADCASTD(at(w, 0), factor)
		for i := range acc {
			v := YMM()
			VPMOVZXBD(at(p, 8*i), v)
			VPMULLD(factor, v, v)
			VPADDD(v, acc[i], acc[i])
		}
		ADDQ(ss, p)
		ADDQ(Imm(4), w)
		DECQ(left)
		JNZ(LabelRef(label))
		for i := range acc {
			VPSRAD(Imm(22), acc[i], acc[i])
		}
		return acc
	}
	LEAQ(at(n, -32), limit)
	Label("wide")
	CMPQ(j, limit)
	JG(LabelRef("narrow"))
	acc := sums("wideTaps", 4)
	VPACKSSDW(acc[1], acc[0], acc[0])
	VPACKSSDW(acc[3], acc[2], acc[2])
	VPACKUSWB(acc[2], acc[0], acc[0])
	VMOVDQU(order, acc[1])
	VPERMD(acc[0], acc[1], acc[0])
	VMOVDQU(acc[0], Mem{Base: dst, Index: j, Scale: 1})
	ADDQ(Imm(32), j)
	JMP(LabelRef("wide"))

	Label("narrow")
	CMPQ(j, n)
	JGE(LabelRef("done"))
	LEAQ(at(n, -8), limit)
	CMPQ(j, limit)
	CMOVQGT(limit, j) // the last eight, some for the second time
	acc = sums("narrowTaps", 1)
	high := XMM()
	VEXTRACTI128(Imm(1), acc[0], high)
	VPACKSSDW(high, acc[0].AsX(), high)
	VPACKUSWB(high, high, high)
	VMOVQ(high, Mem{Base: dst, Index: j, Scale: 1})
	ADDQ(Imm(8), j)
	LEAQ(at(n, -32), limit)
	JMP(LabelRef("narrow"))

	Label("done")
	ADDQ(arg("ds"), dst)
	ADDQ(Imm(8), first)
	ADDQ(Imm(8), count)
	LEAQ(Mem{Base: weight, Index: arg("size"), Scale: 4}, weight)
	DECQ(outs)
	JNZ(LabelRef("outputs"))
	end()
}

func box() {
	start("boxAVX2", "func(dst *uint8, src *uint8, n int, m int, radius int, weight uint32, edge uint32)",
		"boxAVX2: for i < n, j < m, dst[i*m+j] = weight·(sum of src[k*m+j] over |k-i| ≤ radius) + edge·(the two values",
		"beyond) + one half, without its 24 bits of fraction. src has radius+1 places before and after its n; m is a",
		"multiple of 16, n is not 0.")
	dst, src, m, radius := arg("dst"), arg("src"), arg("m"), arg("radius")
	weight, edge := broadcast("weight"), broadcast("edge")
	half := YMM()
	VMOVDQU(dwords("boxHalf", 1<<23), half)
	back, j := GP64(), GP64()
	LEAQ(at(radius, 1), back)
	IMULQ(m, back)
	SUBQ(back, src) // the first place before
	XORQ(j, j)

	load := func(p Register, v []VecVirtual) {
		for i := range v {
			VPMOVZXBD(at(p, 8*i), v[i])
		}
	}
	Label("columns")
	left, right, to := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: src, Index: j, Scale: 1}, left)
	LEAQ(Mem{Base: dst, Index: j, Scale: 1}, to)
	MOVQ(left, right)
	// The sum before place 0, and the value that enters there.
	sum := []VecVirtual{zero(), zero()}
	enter := []VecVirtual{YMM(), YMM()}
	k := GP64()
	LEAQ(Mem{Base: radius, Index: radius, Scale: 1, Disp: 1}, k)
	load(right, enter)
	Label("first")
	for i := range sum {
		VPADDD(enter[i], sum[i], sum[i])
	}
	ADDQ(m, right)
	load(right, enter)
	DECQ(k)
	JNZ(LabelRef("first"))
	Load(Param("n"), k)
	Label("places")
	ADDQ(m, right)
	leave, next := []VecVirtual{YMM(), YMM()}, []VecVirtual{YMM(), YMM()}
	load(left, leave)
	load(right, next)
	for i := range sum {
		VPSUBD(leave[i], enter[i], enter[i])
		VPADDD(enter[i], sum[i], sum[i])
		VPADDD(next[i], leave[i], leave[i])
		VPMULLD(edge, leave[i], leave[i])
		VPMULLD(weight, sum[i], enter[i])
		VPADDD(half, leave[i], leave[i])
		VPADDD(enter[i], leave[i], leave[i])
		VPSRLD(Imm(24), leave[i], leave[i])
		VMOVDQA(next[i], enter[i])
	}
	VPACKUSDW(leave[1], leave[0], leave[0])
	VPERMQ(Imm(0xd8), leave[0], leave[0])
	VEXTRACTI128(Imm(1), leave[0], leave[1].AsX())
	VPACKUSWB(leave[1].AsX(), leave[0].AsX(), leave[0].AsX())
	VMOVDQU(leave[0].AsX(), at(to, 0))
	ADDQ(m, left)
	ADDQ(m, to)
	DECQ(k)
	JNZ(LabelRef("places"))
	ADDQ(Imm(16), j)
	CMPQ(j, m)
	JB(LabelRef("columns"))
	end()
}
