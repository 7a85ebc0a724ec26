package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// Passes over rows of which some are bfloat16. They take whole vectors of channels: c is a
// multiple of a vector's lanes. AVX512 is here AVX-512 with AVX512_BF16.

// operand is a row in memory, of float32 or of bfloat16.
type operand struct {
	at   Register
	half bool
}

func (o operand) size() int {
	if o.half {
		return 2
	}
	return 4
}

func (o operand) word() string {
	if o.half {
		return "uint16"
	}
	return "float32"
}

// load takes the operand from a parameter.
func (o operand) load(name string) operand { return operand{emit.Pointer(name), o.half} }

// stride loads a stride in elements and turns it into bytes.
func (o operand) stride(name string) Register {
	s := Load(Param(name), GP64())
	SHLQ(Imm(uint64(o.size()/2)), s)
	return s
}

func (s isa) lanes() int { return s.bytes / 4 }

// mem is the place of vector number j from channel i on; without i from the first.
func (s isa) mem(o operand, i Register, j int) Mem {
	m := Mem{Base: o.at, Disp: j * s.lanes() * o.size()}
	if i != nil {
		m.Index, m.Scale = i, uint8(o.size())
	}
	return m
}

func (s isa) read(o operand, i Register, j int) VecVirtual {
	v := s.vec()
	if o.half {
		VPMOVZXWD(s.mem(o, i, j), v)
		VPSLLD(Imm(16), v, v)
	} else {
		VMOVUPS(s.mem(o, i, j), v)
	}
	return v
}

// write stores v, rounded if it goes to bfloat16. If back is set v becomes what was stored.
func (s isa) write(v VecVirtual, o operand, i Register, j int, back bool) {
	to := s.mem(o, i, j)
	if !o.half {
		VMOVUPS(v, to)
		return
	}
	if s.wide() {
		emit.StoreHalf(v, to)
		if back {
			VPMOVZXWD(Y31, v)
			VPSLLD(Imm(16), v, v)
		}
		return
	}
	u, t, m := YMM(), YMM(), YMM()
	VPSRLD(Imm(16), v, u)
	VPAND(constant("one"), u, u)
	VPADDD(constant("bias"), u, u)
	VPADDD(v, u, u)
	const unordered = 0x03
	VCMPPS(Imm(unordered), v, v, m)
	VPOR(constant("quiet"), v, t)
	VBLENDVPS(m, t, u, u)
	VPAND(constant("exponent"), v, t)
	VPXOR(m, m, m)
	VPCMPEQD(m, t, m)
	VPAND(constant("sign"), v, t)
	VBLENDVPS(m, t, u, u)
	VPSRLD(Imm(16), u, u)
	if back {
		VPSLLD(Imm(16), u, v)
	}
	high := XMM()
	VEXTRACTI128(Imm(1), u, high)
	VPACKUSDW(high, u.AsX(), high)
	VMOVDQU(high, to)
}

// What rounding with AVX2 needs in all lanes.
var (
	constants = []struct {
		name string
		bits uint32
	}{{"one", 1}, {"bias", 0x7fff}, {"quiet", 0x400000}, {"exponent", 0x7f800000}, {"sign", 0x80000000}}
	table Mem
)

func declareConstants() {
	table = GLOBL("rowsRound", RODATA|NOPTR)
	for k, c := range constants {
		for i := range 8 {
			DATA(32*k+4*i, U32(c.bits))
		}
	}
}

func constant(name string) Mem {
	for k, c := range constants {
		if c.name == name {
			return table.Offset(32 * k)
		}
	}
	panic(name)
}

// vectors is a loop over the whole vectors of a row.
func (s isa) vectors(label string, c Register, body func(i Register)) {
	i := GP64()
	XORQ(i, i)
	Label(label)
	body(i)
	ADDQ(Imm(uint64(s.lanes())), i)
	CMPQ(i, c)
	JB(LabelRef(label))
}

// halves emits code of its own for rows of exactly one to most vectors, so that what
// belongs to a channel stays in registers: prepare loads it, and body takes a row.
// Other rows go on to what follows.
func (s isa) halves(c, rows Register, most int, prepare, body func(vectors int), next func()) {
	for vectors := 1; vectors <= most; vectors++ {
		other, loop := fmt.Sprintf("other%d", vectors), fmt.Sprintf("row%d", vectors)
		CMPQ(c, Imm(uint64(vectors*s.lanes())))
		JNE(LabelRef(other))
		prepare(vectors)
		Label(loop)
		body(vectors)
		next()
		DECQ(rows)
		JNZ(LabelRef(loop))
		emit.End()
		Label(other)
	}
}

func convert(s isa, name string, from, to operand) {
	start(s, name, fmt.Sprintf("func(dst *%s, ds int, src *%s, ss int, rows int, c int)", to.word(), from.word()),
		name+s.suffix+": dst = src.")
	dst, ds, src, ss := to.load("dst"), to.stride("ds"), from.load("src"), from.stride("ss")
	rows, c := emit.Pointer("rows"), emit.Pointer("c")
	Label("row")
	s.vectors("c", c, func(i Register) { s.write(s.read(src, i, 0), dst, i, 0, false) })
	ADDQ(ds, dst.at)
	ADDQ(ss, src.at)
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

func affineHalf(s isa, name string, from, to operand) {
	start(s, name, fmt.Sprintf("func(dst *%s, ds int, src *%s, ss int, rows int, c int, scale *float32, shift *float32, lo float32)",
		to.word(), from.word()),
		name+s.suffix+": dst = max(lo, src·scale + shift).")
	dst, ds, src, ss := to.load("dst"), to.stride("ds"), from.load("src"), from.stride("ss")
	scale, shift := operand{}.load("scale"), operand{}.load("shift")
	lo := s.broadcast("lo")
	rows, c := emit.Pointer("rows"), emit.Pointer("c")
	one := func(a, b VecVirtual, i Register, j int) {
		x := s.read(src, i, j)
		VFMADD213PS(b, a, x)
		VMAXPS(x, lo, x) // in this order a NaN of x comes through
		s.write(x, dst, i, j, false)
	}
	next := func() {
		ADDQ(ds, dst.at)
		ADDQ(ss, src.at)
	}
	var a, b [4]VecVirtual
	s.halves(c, rows, 4, func(vectors int) {
		for j := range vectors {
			a[j], b[j] = s.read(scale, nil, j), s.read(shift, nil, j)
		}
	}, func(vectors int) {
		for j := range vectors {
			one(a[j], b[j], nil, j)
		}
	}, next)
	Label("row")
	s.vectors("c", c, func(i Register) { one(s.read(scale, i, 0), s.read(shift, i, 0), i, 0) })
	next()
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

func gradHalf(s isa, name string, to operand) {
	start(s, name, fmt.Sprintf("func(dst *%s, ds int, d *uint16, y *uint16, ss int, rows int, c int, a *float32, b *float32, k *float32)", to.word()),
		name+s.suffix+": dst = a·d + b·y + k.")
	from := operand{half: true}
	dst, ds, d, y, ss := to.load("dst"), to.stride("ds"), from.load("d"), from.load("y"), from.stride("ss")
	a, b, k := operand{}.load("a"), operand{}.load("b"), operand{}.load("k")
	rows, c := emit.Pointer("rows"), emit.Pointer("c")
	one := func(va, vb, vk VecVirtual, i Register, j int) {
		v := s.read(y, i, j)
		VFMADD213PS(vk, vb, v)
		u := s.read(d, i, j)
		VFMADD231PS(va, u, v)
		s.write(v, dst, i, j, false)
	}
	next := func() {
		ADDQ(ds, dst.at)
		ADDQ(ss, d.at)
		ADDQ(ss, y.at)
	}
	most := 4
	if !s.wide() {
		most = 3
	}
	var va, vb, vk [4]VecVirtual
	s.halves(c, rows, most, func(vectors int) {
		for j := range vectors {
			va[j], vb[j], vk[j] = s.read(a, nil, j), s.read(b, nil, j), s.read(k, nil, j)
		}
	}, func(vectors int) {
		for j := range vectors {
			one(va[j], vb[j], vk[j], nil, j)
		}
	}, next)
	Label("row")
	s.vectors("c", c, func(i Register) { one(s.read(a, i, 0), s.read(b, i, 0), s.read(k, i, 0), i, 0) })
	next()
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

// joinHalf reads a as what from says.
func joinHalf(s isa, name string, from operand) {
	start(s, name, fmt.Sprintf("func(dst *uint16, ds int, a *%s, sa int, b *uint16, sb int, rows int, c int, as *float32, at *float32, bs *float32, bt *float32, lo float32, loA float32, loB float32)", from.word()),
		name+s.suffix+": dst = max(lo, max(loA, a·as + at) + max(loB, b·bs + bt)).")
	half := operand{half: true}
	dst, ds, a, sa, b, sb := half.load("dst"), half.stride("ds"), from.load("a"), from.stride("sa"), half.load("b"), half.stride("sb")
	as, at, bs, bt := operand{}.load("as"), operand{}.load("at"), operand{}.load("bs"), operand{}.load("bt")
	lo, loA, loB := s.broadcast("lo"), s.broadcast("loA"), s.broadcast("loB")
	c := emit.Pointer("c")
	Label("row")
	s.vectors("c", c, func(i Register) {
		va, vb := s.read(as, i, 0), s.read(bs, i, 0)
		ta, tb := s.read(at, i, 0), s.read(bt, i, 0)
		xa, xb := s.read(a, i, 0), s.read(b, i, 0)
		VFMADD213PS(ta, xa, va)
		VFMADD213PS(tb, xb, vb)
		VMAXPS(va, loA, va)
		VMAXPS(vb, loB, vb)
		VADDPS(vb, va, va)
		VMAXPS(va, lo, va)
		s.write(va, dst, i, 0, false)
	})
	ADDQ(ds, dst.at)
	ADDQ(sa, a.at)
	ADDQ(sb, b.at)
	rows, err := Param("rows").Resolve()
	if err != nil {
		panic(err)
	}
	DECQ(rows.Addr)
	JNZ(LabelRef("row"))
	emit.End()
}

// grouped runs down for groups of vectors of a row and then for single ones.
func (s isa) grouped(c Register, group int, down func(label string, vectors int, i Register)) {
	i, end := GP64(), GP64()
	XORQ(i, i)
	Label("groups")
	LEAQ(Mem{Base: i, Disp: group * s.lanes()}, end)
	CMPQ(end, c)
	JA(LabelRef("singles"))
	down("group", group, i)
	ADDQ(Imm(uint64(group*s.lanes())), i)
	JMP(LabelRef("groups"))
	Label("singles")
	CMPQ(i, c)
	JAE(LabelRef("done"))
	down("single", 1, i)
	ADDQ(Imm(uint64(s.lanes())), i)
	JMP(LabelRef("singles"))
	Label("done")
	emit.End()
}

// from is where an operand's row goes on at channel i.
func (o operand) from(i Register) operand {
	p := GP64()
	LEAQ(Mem{Base: o.at, Index: i, Scale: uint8(o.size())}, p)
	return operand{p, o.half}
}

// storeHalf keeps the sums of a group of channels in registers and runs down the rows.
func storeHalf(s isa) {
	start(s, "storeHalf", "func(dst *uint16, ds int, prod *float32, ps int, rows int, c int, sum *float32, square *float32)",
		"storeHalf"+s.suffix+": dst = prod, sum += Σ dst, square += Σ dst² over the rows.")
	half := operand{half: true}
	dst, ds, prod, ps := half.load("dst"), half.stride("ds"), operand{}.load("prod"), operand{}.stride("ps")
	sum, square, rows := operand{}.load("sum"), operand{}.load("square"), emit.Pointer("rows")
	s.grouped(emit.Pointer("c"), 4, func(label string, vectors int, i Register) {
		var a, b [4]VecVirtual
		for j := range vectors {
			a[j], b[j] = s.read(sum, i, j), s.read(square, i, j)
		}
		to, p, left := dst.from(i), prod.from(i), GP64()
		MOVQ(rows, left)
		Label(label + "_row")
		for j := range vectors {
			v := s.read(p, nil, j)
			s.write(v, to, nil, j, true)
			VADDPS(v, a[j], a[j])
			VFMADD231PS(v, v, b[j])
		}
		ADDQ(ds, to.at)
		ADDQ(ps, p.at)
		DECQ(left)
		JNZ(LabelRef(label + "_row"))
		for j := range vectors {
			s.write(a[j], sum, i, j, false)
			s.write(b[j], square, i, j, false)
		}
	})
}

// finishHalf does what finish does, where all but the products is bfloat16.
func finishHalf(s isa) {
	start(s, "finishHalf", "func(f *[16]uintptr)",
		"finishHalf"+s.suffix+": d = prod + add, or 0 where mask·scale + shift ≤ 0; dst = d; sum += dst; sumDot += dst·dot.")
	f := emit.Pointer("f")
	at := func(name string) Mem { return Mem{Base: f, Disp: finishFields[name]} }
	c := GP64()
	MOVQ(at("c"), c)
	zero := s.vec()
	VXORPS(zero, zero, zero)
	group := 4
	if !s.wide() {
		group = 1
	}
	type operands map[string]operand
	s.grouped(c, group, func(label string, vectors int, i Register) {
		field := func(name string, half bool) operand {
			p := GP64()
			MOVQ(at(name), p)
			return operand{p, half}
		}
		p := operands{}
		for _, name := range []string{"dst", "prod", "add", "mask", "dot"} {
			o := field(name, name != "prod")
			LEAQ(Mem{Base: o.at, Index: i, Scale: uint8(o.size())}, o.at)
			p[name] = o
		}
		param := func(name string) []VecVirtual {
			v, o := make([]VecVirtual, vectors), field(name, false)
			for j := range v {
				v[j] = s.read(o, i, j)
			}
			return v
		}
		scale, shift, sum, sumDot := param("scale"), param("shift"), param("sum"), param("sumDot")
		left := GP64()
		MOVQ(at("rows"), left)
		Label(label + "_row")
		for j := range vectors {
			m := s.read(p["mask"], nil, j)
			VFMADD213PS(shift[j], scale[j], m)
			d, e := s.read(p["prod"], nil, j), s.read(p["add"], nil, j)
			VADDPS(e, d, d)
			const notLessOrEqual = 0x16 // true for NaN
			if s.wide() {
				VCMPPS(Imm(notLessOrEqual), zero, m, K2)
				VMOVAPS_Z(d, K2, d)
			} else {
				VCMPPS(Imm(notLessOrEqual), zero, m, m)
				VANDPS(m, d, d)
			}
			s.write(d, p["dst"], nil, j, true)
			VADDPS(d, sum[j], sum[j])
			w := s.read(p["dot"], nil, j)
			VFMADD231PS(d, w, sumDot[j])
		}
		stride := GP64()
		for _, name := range []struct{ p, stride string }{{"dst", "ds"}, {"prod", "ps"}, {"add", "as"}, {"mask", "ms"}, {"dot", "dots"}} {
			o := p[name.p]
			MOVQ(at(name.stride), stride)
			LEAQ(Mem{Base: o.at, Index: stride, Scale: uint8(o.size())}, o.at)
		}
		DECQ(left)
		JNZ(LabelRef(label + "_row"))
		for j := range vectors {
			s.write(sum[j], field("sum", false), i, j, false)
			s.write(sumDot[j], field("sumDot", false), i, j, false)
		}
	})
}

func pairHalves(s isa) {
	start(s, "pairHalves", "func(dst *float32, ds int, src *uint16, below *uint16, ss int, rows int, c int)",
		"pairHalves"+s.suffix+": dst = src in the low halves, below in the high ones.")
	half := operand{half: true}
	dst, ds, src, below, ss := operand{}.load("dst"), operand{}.stride("ds"), half.load("src"), half.load("below"), half.stride("ss")
	rows, c := emit.Pointer("rows"), emit.Pointer("c")
	Label("row")
	s.vectors("c", c, func(i Register) {
		lo, hi := s.vec(), s.read(below, i, 0)
		VPMOVZXWD(s.mem(src, i, 0), lo)
		if s.wide() {
			VPORD(lo, hi, hi)
		} else {
			VPOR(lo, hi, hi)
		}
		VMOVUPS(hi, s.mem(dst, i, 0))
	})
	ADDQ(ds, dst.at)
	ADDQ(ss, src.at)
	ADDQ(ss, below.at)
	DECQ(rows)
	JNZ(LabelRef("row"))
	emit.End()
}

// halfPasses emits all of these for an instruction set.
func halfPasses(s isa) {
	full, half := operand{}, operand{half: true}
	convert(s, "widenRows", half, full)
	convert(s, "narrowRows", full, half)
	affineHalf(s, "affineWide", half, full)
	affineHalf(s, "affineHalf", half, half)
	affineHalf(s, "affineNarrow", full, half)
	gradHalf(s, "gradWide", full)
	gradHalf(s, "gradHalf", half)
	joinHalf(s, "joinHalf", half)
	joinHalf(s, "joinNarrow", full)
	storeHalf(s)
	finishHalf(s)
	pairHalves(s)
}
