// Command rows generates the row kernels: passes over rows of channels.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// isa is what differs between the two instruction sets.
type isa struct {
	suffix string
	bytes  int // of a vector
	vec    func() VecVirtual
}

var sets = []isa{
	{"AVX512", 64, func() VecVirtual { return ZMM() }},
	{"AVX2", 32, func() VecVirtual { return YMM() }},
}

func (s isa) wide() bool { return s.bytes == 64 }

// tailTable holds 8 ones and 8 zeros, to read masks of AVX2 from.
var tailTable Mem

func main() {
	ConstraintExpr("amd64")
	tailTable = GLOBL("rowsTail", RODATA|NOPTR)
	for i := range 16 {
		v := uint32(0)
		if i < 8 {
			v = 0xffffffff
		}
		DATA(i*4, U32(v))
	}
	for _, s := range sets {
		affine(s)
		grad(s)
		join(s)
		sum(s)
		finish(s)
		addWide(s)
		axpy(s)
		scale(s)
		dot(s)
		momentum(s)
		adam(s)
		poolMax(s)
		poolGrad(s)
	}
	Generate()
}

// row is a loop over the channels of a row: full vectors, then a masked tail.
type row struct {
	isa
	full Register // bytes in full vectors
	rest Register // bytes after them
	mask Register // K1 or a vector
}

// channels starts a row of c channels; c is overwritten.
func channels(s isa, c Register) row {
	r := row{isa: s, full: c, rest: GP64()}
	SHLQ(Imm(2), c)
	MOVQ(c, r.rest)
	ANDQ(Imm(uint64(s.bytes-1)), r.rest)
	SUBQ(r.rest, c)
	lanes := GP64()
	MOVQ(r.rest, lanes)
	if s.wide() {
		SHRQ(Imm(2), lanes)
		bits := GP64()
		MOVQ(I64(-1), bits)
		BZHIQ(lanes, bits, bits)
		KMOVW(bits.As32(), K1)
		r.mask = K1
		return r
	}
	// the mask starts 8-lanes before the middle of the table
	NEGQ(lanes)
	table := GP64()
	LEAQ(tailTable, table)
	m := YMM()
	VMOVUPS(Mem{Base: table, Index: lanes, Scale: 1, Disp: 32}, m)
	r.mask = m
	return r
}

// load reads a vector; a masked one reads zeros beyond the row.
func (r row) load(m Mem, masked bool) VecVirtual {
	v := r.vec()
	switch {
	case !masked:
		VMOVUPS(m, v)
	case r.wide():
		VMOVUPS_Z(m, r.mask, v)
	default:
		VMASKMOVPS(m, r.mask, v)
	}
	return v
}

func (r row) store(v Register, m Mem, masked bool) {
	if masked {
		if r.wide() {
			VMOVUPS(v, r.mask, m)
		} else {
			VMASKMOVPS(v, r.mask, m)
		}
		return
	}
	VMOVUPS(v, m)
}

// each runs body at byte offset i of the row, for all of it.
func (r row) each(label string, body func(i Register, masked bool)) {
	i := GP64()
	XORQ(i, i)
	JMP(LabelRef(label + "_test"))
	Label(label + "_vector")
	body(i, false)
	ADDQ(Imm(uint64(r.bytes)), i)
	Label(label + "_test")
	CMPQ(i, r.full)
	JB(LabelRef(label + "_vector"))
	TESTQ(r.rest, r.rest)
	JZ(LabelRef(label + "_done"))
	body(i, true)
	Label(label + "_done")
}

func ptr(name string) Register { return Load(Param(name), GP64()) }

// stride loads a stride and turns it into bytes.
func stride(name string) Register {
	s := Load(Param(name), GP64())
	SHLQ(Imm(2), s)
	return s
}

func idx(base, i Register) Mem { return Mem{Base: base, Index: i, Scale: 1} }

func (s isa) broadcast(name string) VecVirtual {
	v := s.vec()
	m, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, v)
	return v
}

func start(s isa, name, signature string, doc ...string) {
	TEXT(name+s.suffix, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

func end() {
	VZEROUPPER()
	RET()
}

func affine(s isa) {
	start(s, "affineRows", "func(dst *float32, ds int, src *float32, ss int, rows int, c int, scale *float32, shift *float32, lo float32)",
		"affineRows"+s.suffix+": dst = max(lo, src·scale + shift).")
	dst, ds, src, ss := ptr("dst"), stride("ds"), ptr("src"), stride("ss")
	rows, scale, shift := ptr("rows"), ptr("scale"), ptr("shift")
	lo := s.broadcast("lo")
	r := channels(s, ptr("c"))
	Label("row")
	r.each("c", func(i Register, masked bool) {
		v := r.load(idx(scale, i), masked)
		t := r.load(idx(shift, i), masked)
		x := r.load(idx(src, i), masked)
		VFMADD213PS(t, x, v)
		VMAXPS(v, lo, v) // in this order a NaN of v comes through
		r.store(v, idx(dst, i), masked)
	})
	ADDQ(ds, dst)
	ADDQ(ss, src)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

func grad(s isa) {
	start(s, "gradRows", "func(dst *float32, ds int, d *float32, y *float32, ss int, rows int, c int, a *float32, b *float32, k *float32)",
		"gradRows"+s.suffix+": dst = a·d + b·y + k.")
	dst, ds, d, y, ss := ptr("dst"), stride("ds"), ptr("d"), ptr("y"), stride("ss")
	rows, a, b, k := ptr("rows"), ptr("a"), ptr("b"), ptr("k")
	r := channels(s, ptr("c"))
	Label("row")
	r.each("c", func(i Register, masked bool) {
		v := r.load(idx(k, i), masked)
		vb, vy := r.load(idx(b, i), masked), r.load(idx(y, i), masked)
		VFMADD231PS(vb, vy, v)
		va, vd := r.load(idx(a, i), masked), r.load(idx(d, i), masked)
		VFMADD231PS(va, vd, v)
		r.store(v, idx(dst, i), masked)
	})
	ADDQ(ds, dst)
	ADDQ(ss, d)
	ADDQ(ss, y)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

func join(s isa) {
	start(s, "joinRows", "func(dst *float32, a *float32, b *float32, rows int, c int, as *float32, at *float32, bs *float32, bt *float32, lo float32, loA float32, loB float32)",
		"joinRows"+s.suffix+": dst = max(lo, max(loA, a·as + at) + max(loB, b·bs + bt)), all rows dense.")
	dst, a, b := ptr("dst"), ptr("a"), ptr("b")
	rows, as, at, bs, bt := ptr("rows"), ptr("as"), ptr("at"), ptr("bs"), ptr("bt")
	lo, loA, loB := s.broadcast("lo"), s.broadcast("loA"), s.broadcast("loB")
	width := stride("c")
	r := channels(s, ptr("c"))
	Label("row")
	r.each("c", func(i Register, masked bool) {
		va, vb := r.load(idx(as, i), masked), r.load(idx(bs, i), masked)
		ta, tb := r.load(idx(at, i), masked), r.load(idx(bt, i), masked)
		xa, xb := r.load(idx(a, i), masked), r.load(idx(b, i), masked)
		VFMADD213PS(ta, xa, va)
		VFMADD213PS(tb, xb, vb)
		VMAXPS(va, loA, va)
		VMAXPS(vb, loB, vb)
		VADDPS(vb, va, va)
		VMAXPS(va, lo, va)
		r.store(va, idx(dst, i), masked)
	})
	ADDQ(width, dst)
	ADDQ(width, a)
	ADDQ(width, b)
	DECQ(rows)
	JNZ(LabelRef("row"))
	end()
}

// sum keeps a group of channels in registers and runs down the rows: four
// vectors at a time, then single ones with two rows in flight.
func sum(s isa) {
	start(s, "sumRows", "func(y *float32, ys int, rows int, c int, sum *float32, square *float32)",
		"sumRows"+s.suffix+": sum = Σ y, square = Σ y² over the rows.")
	y, ys, rows := ptr("y"), stride("ys"), ptr("rows")
	a, b := ptr("sum"), ptr("square")
	r := channels(s, ptr("c"))
	i := GP64()
	XORQ(i, i)

	const group = 4
	wide := GP64() // where groups end
	Label("groups")
	LEAQ(Mem{Base: i, Disp: group * s.bytes}, wide)
	CMPQ(wide, r.full)
	JA(LabelRef("singles"))
	down(r, "group", group, 1, false, i, y, ys, rows, a, b)
	MOVQ(wide, i)
	JMP(LabelRef("groups"))

	Label("singles")
	CMPQ(i, r.full)
	JAE(LabelRef("tail"))
	down(r, "single", 1, 4, false, i, y, ys, rows, a, b)
	ADDQ(Imm(uint64(s.bytes)), i)
	JMP(LabelRef("singles"))

	Label("tail")
	TESTQ(r.rest, r.rest)
	JZ(LabelRef("done"))
	down(r, "last", 1, 4, true, i, y, ys, rows, a, b)
	Label("done")
	end()
}

// down sums vectors at i of all rows, unroll rows at a time.
func down(r row, label string, vectors, unroll int, masked bool, i, y, ys, rows, a, b Register) {
	var sums, squares []VecVirtual
	for range vectors * unroll {
		v, w := r.vec(), r.vec()
		VXORPS(v, v, v)
		VXORPS(w, w, w)
		sums, squares = append(sums, v), append(squares, w)
	}
	p, n := GP64(), GP64()
	LEAQ(idx(y, i), p)
	MOVQ(rows, n)
	step := func(u int) {
		for j := range vectors {
			v := r.load(Mem{Base: p, Disp: j * r.bytes}, masked)
			VADDPS(v, sums[u*vectors+j], sums[u*vectors+j])
			VFMADD231PS(v, v, squares[u*vectors+j])
		}
		ADDQ(ys, p)
	}
	if unroll > 1 {
		Label(label + "_many")
		SUBQ(Imm(uint64(unroll)), n)
		JL(LabelRef(label + "_few"))
		for u := range unroll {
			step(u)
		}
		JMP(LabelRef(label + "_many"))
		Label(label + "_few")
		ADDQ(Imm(uint64(unroll)), n)
		JZ(LabelRef(label + "_write"))
	}
	Label(label + "_row")
	step(0)
	DECQ(n)
	JNZ(LabelRef(label + "_row"))
	Label(label + "_write")
	for n := unroll * vectors / 2; n >= vectors; n /= 2 {
		for j := range n {
			VADDPS(sums[j+n], sums[j], sums[j])
			VADDPS(squares[j+n], squares[j], squares[j])
		}
	}
	for j := range vectors {
		r.store(sums[j], Mem{Base: a, Index: i, Scale: 1, Disp: j * r.bytes}, masked)
		r.store(squares[j], Mem{Base: b, Index: i, Scale: 1, Disp: j * r.bytes}, masked)
	}
}

// Offsets of the fields of finishArgs.
var finishFields = map[string]int{
	"dst": 0, "ds": 8, "prod": 16, "ps": 24, "add": 32, "as": 40, "mask": 48, "ms": 56,
	"dot": 64, "dots": 72, "scale": 80, "shift": 88, "sum": 96, "sumDot": 104, "rows": 112, "c": 120,
}

func finish(s isa) {
	start(s, "finishRows", "func(f *[16]uintptr)",
		"finishRows"+s.suffix+": d = prod + add, or 0 where mask·scale + shift ≤ 0; dst = d; sum += d; sumDot += d·dot.")
	f := ptr("f")
	field := func(name string) Register {
		v := GP64()
		MOVQ(Mem{Base: f, Disp: finishFields[name]}, v)
		return v
	}
	dst, prod, add, mask, dot := field("dst"), field("prod"), field("add"), field("mask"), field("dot")
	scale, shift, sum, sumDot := field("scale"), field("shift"), field("sum"), field("sumDot")
	// strides in bytes and what is left of rows live on the stack
	strides := map[Register]Mem{}
	for _, m := range []struct {
		p    Register
		name string
	}{{dst, "ds"}, {prod, "ps"}, {add, "as"}, {mask, "ms"}, {dot, "dots"}} {
		v := field(m.name)
		SHLQ(Imm(2), v)
		strides[m.p] = AllocLocal(8)
		MOVQ(v, strides[m.p])
	}
	left := AllocLocal(8)
	MOVQ(field("rows"), left)
	r := channels(s, field("c"))
	zero := s.vec()
	VXORPS(zero, zero, zero)
	Label("row")
	r.each("c", func(i Register, masked bool) {
		m := r.load(idx(scale, i), masked)
		t := r.load(idx(shift, i), masked)
		x := r.load(idx(mask, i), masked)
		VFMADD213PS(t, x, m)
		d := r.load(idx(prod, i), masked)
		e := r.load(idx(add, i), masked)
		VADDPS(e, d, d)
		const notLessOrEqual = 0x16 // true for NaN
		if s.wide() {
			VCMPPS(Imm(notLessOrEqual), zero, m, K2)
			VMOVAPS_Z(d, K2, d)
		} else {
			VCMPPS(Imm(notLessOrEqual), zero, m, m)
			VANDPS(m, d, d)
		}
		r.store(d, idx(dst, i), masked)
		w := r.load(idx(dot, i), masked)
		acc, accDot := r.load(idx(sum, i), masked), r.load(idx(sumDot, i), masked)
		VADDPS(d, acc, acc)
		VFMADD231PS(d, w, accDot)
		r.store(acc, idx(sum, i), masked)
		r.store(accDot, idx(sumDot, i), masked)
	})
	for _, p := range []Register{dst, prod, add, mask, dot} {
		ADDQ(strides[p], p)
	}
	DECQ(left)
	JNZ(LabelRef("row"))
	end()
}

func addWide(s isa) {
	start(s, "addWide", "func(sum *float64, part *float32, n int)",
		"addWide"+s.suffix+": sum += part, part = 0. n is a multiple of 4.")
	sum, part, n := ptr("sum"), ptr("part"), ptr("n")
	zero := XMM()
	VXORPS(zero, zero, zero)
	Label("loop")
	v := YMM()
	VCVTPS2PD(Mem{Base: part}, v)
	VMOVUPS(zero, Mem{Base: part})
	VADDPD(Mem{Base: sum}, v, v)
	VMOVUPD(v, Mem{Base: sum})
	ADDQ(Imm(32), sum)
	ADDQ(Imm(16), part)
	SUBQ(Imm(4), n)
	JNZ(LabelRef("loop"))
	end()
}
