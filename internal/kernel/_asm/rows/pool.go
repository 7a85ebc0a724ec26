package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// poolMax takes 64 channels at a time, since a vector's choice must be made before the next
// one begins, and then 16. With AVX2 it takes 16, as two vectors.
func poolMax(s isa, name string, of operand) {
	start(s, name, "func(dst *"+of.word()+", arg *uint8, x *"+of.word()+", off *int64, tap *int32, n int, c int, scale *float32, shift *float32, lo float32)",
		name+s.suffix+": dst[i] = v(t), arg[i] = tap[t] of the first greatest v(t) = max(lo, x[off[t]+i]·scale[i] + shift[i])",
		"among t < n. n is not 0; c is a multiple of 16.")
	i, c := GP64(), emit.Pointer("c")
	XORQ(i, i)
	if s.wide() {
		end := GP64()
		Label("groups")
		LEAQ(Mem{Base: i, Disp: 64}, end)
		CMPQ(end, c)
		JA(LabelRef("singles"))
		s.poolGroup("group", of, i, 4)
		JMP(LabelRef("groups"))
		Label("singles")
		CMPQ(i, c)
		JAE(LabelRef("done"))
	}
	Label("single")
	s.poolGroup("one", of, i, 64/s.bytes)
	CMPQ(i, c)
	JB(LabelRef("single"))
	Label("done")
	emit.End()
}

// poolGroup pools some vectors of channels, from i on.
func (s isa) poolGroup(label string, of operand, i Register, vectors int) {
	dst, arg, x := of.load("dst"), emit.Pointer("arg"), emit.Pointer("x")
	off, tap, n := emit.Pointer("off"), emit.Pointer("tap"), emit.Pointer("n")
	scale, shift := operand{}.load("scale"), operand{}.load("shift")
	lo := s.broadcast("lo")
	type lane struct{ scale, shift, best, index VecVirtual }
	lanes := make([]lane, vectors)
	value := func(k int, p Register) VecVirtual {
		v := s.read(operand{p, of.half}, i, k)
		VFMADD213PS(lanes[k].shift, lanes[k].scale, v)
		VMAXPS(v, lo, v)
		return v
	}
	p, t := GP64(), GP64()
	next := func() {
		MOVQ(Mem{Base: off, Index: t, Scale: 8}, p)
		LEAQ(Mem{Base: x, Index: p, Scale: uint8(of.size())}, p)
	}
	XORQ(t, t)
	next()
	for k := range lanes {
		l := &lanes[k]
		l.scale, l.shift, l.index = s.read(scale, i, k), s.read(shift, i, k), s.vec()
		l.best = value(k, p)
		VPBROADCASTD(Mem{Base: tap}, l.index)
	}
	JMP(LabelRef(label + "_test"))
	Label(label + "_taps")
	next()
	this := s.vec()
	VPBROADCASTD(Mem{Base: tap, Index: t, Scale: 4}, this)
	for k, l := range lanes {
		v := value(k, p)
		const greater, unordered = 0x1e, 0x03
		if s.wide() {
			VCMPPS(Imm(greater), l.best, v, K1)
			VCMPPS(Imm(unordered), v, v, K2)
			KORW(K1, K2, K1)
			VMOVAPS(v, K1, l.best)
			VMOVDQA32(this, K1, l.index)
			continue
		}
		m, u := s.vec(), s.vec()
		VCMPPS(Imm(greater), l.best, v, m)
		VCMPPS(Imm(unordered), v, v, u)
		VORPS(u, m, m)
		VBLENDVPS(m, v, l.best, l.best)
		VBLENDVPS(m, this, l.index, l.index)
	}
	Label(label + "_test")
	INCQ(t)
	CMPQ(t, n)
	JB(LabelRef(label + "_taps"))
	for k, l := range lanes {
		s.write(l.best, dst, i, k, false)
		if s.wide() {
			VPMOVDB(l.index, Mem{Base: arg, Index: i, Scale: 1, Disp: 16 * k})
		}
	}
	if !s.wide() {
		words := YMM()
		VPACKUSDW(lanes[1].index, lanes[0].index, words)
		VPERMQ(Imm(0xd8), words, words)
		high := XMM()
		VEXTRACTI128(Imm(1), words, high)
		VPACKUSWB(high, words.AsX(), high)
		VMOVDQU(high, Mem{Base: arg, Index: i, Scale: 1})
	}
	ADDQ(Imm(uint64(vectors*s.lanes())), i)
}

func poolGrad(s isa, name string, of operand) {
	start(s, name, "func(dst *float32, d *"+of.word()+", arg *uint8, off *int64, tap *int32, n int, c int)",
		name+s.suffix+": dst[i] = Σ d[off[t]+i] over t < n where arg[off[t]+i] = tap[t]. c is a multiple of 16.")
	dst, d, arg := emit.Pointer("dst"), emit.Pointer("d"), emit.Pointer("arg")
	off, tap, n, c := emit.Pointer("off"), emit.Pointer("tap"), emit.Pointer("n"), emit.Pointer("c")
	i, t := GP64(), GP64()
	XORQ(i, i)
	Label("channels")
	acc := make([]VecVirtual, 64/s.bytes)
	for k := range acc {
		acc[k] = s.vec()
		VXORPS(acc[k], acc[k], acc[k])
	}
	XORQ(t, t)
	JMP(LabelRef("test"))
	Label("taps")
	o, want := GP64(), s.vec()
	MOVQ(Mem{Base: off, Index: t, Scale: 8}, o)
	ADDQ(i, o)
	VPBROADCASTD(Mem{Base: tap, Index: t, Scale: 4}, want)
	for k := range acc {
		index := s.vec()
		VPMOVZXBD(Mem{Base: arg, Index: o, Scale: 1, Disp: k * s.bytes / 4}, index)
		var from Op = s.mem(operand{d, of.half}, o, k)
		if of.half {
			from = s.read(operand{d, true}, o, k)
		}
		if s.wide() {
			VPCMPEQD(want, index, K1)
			VADDPS(from, acc[k], K1, acc[k])
		} else {
			VPCMPEQD(want, index, index)
			VANDPS(from, index, index)
			VADDPS(index, acc[k], acc[k])
		}
	}
	INCQ(t)
	Label("test")
	CMPQ(t, n)
	JB(LabelRef("taps"))
	for k := range acc {
		VMOVUPS(acc[k], Mem{Base: dst, Index: i, Scale: 4, Disp: k * s.bytes})
	}
	ADDQ(Imm(16), i)
	CMPQ(i, c)
	JB(LabelRef("channels"))
	emit.End()
}
