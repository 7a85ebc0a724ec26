package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// sum keeps a group of channels in registers and runs down the rows: four
// vectors at a time, then single ones with two rows in flight.
func sum(s isa) {
	start(s, "sumRows", "func(y *float32, ys int, rows int, c int, sum *float32, square *float32)",
		"sumRows"+s.suffix+": sum = Σ y, square = Σ y² over the rows.")
	y, ys, rows := emit.Pointer("y"), emit.Stride("ys"), emit.Pointer("rows")
	a, b := emit.Pointer("sum"), emit.Pointer("square")
	r := channels(s, emit.Pointer("c"))
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
	emit.End()
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

// finish keeps a group of channels in registers and runs down the rows.
func finish(s isa) {
	start(s, "finishRows", "func(f *[16]uintptr)",
		"finishRows"+s.suffix+": d = prod + add, or 0 where mask·scale + shift ≤ 0; dst = d; sum += d; sumDot += d·dot.")
	f := emit.Pointer("f")
	at := func(name string) Mem { return Mem{Base: f, Disp: finishFields[name]} }
	c := GP64()
	MOVQ(at("c"), c)
	r := channels(s, c)
	zero := s.vec()
	VXORPS(zero, zero, zero)
	group := 4
	if !s.wide() {
		group = 2
	}
	i, wide := GP64(), GP64()
	XORQ(i, i)
	Label("groups")
	LEAQ(Mem{Base: i, Disp: group * s.bytes}, wide)
	CMPQ(wide, r.full)
	JA(LabelRef("singles"))
	finishDown(r, "group", group, false, i, zero, at)
	ADDQ(I32(group*s.bytes), i)
	JMP(LabelRef("groups"))

	Label("singles")
	CMPQ(i, r.full)
	JAE(LabelRef("tail"))
	finishDown(r, "single", 1, false, i, zero, at)
	ADDQ(Imm(uint64(s.bytes)), i)
	JMP(LabelRef("singles"))

	Label("tail")
	TESTQ(r.rest, r.rest)
	JZ(LabelRef("done"))
	finishDown(r, "last", 1, true, i, zero, at)
	Label("done")
	emit.End()
}

// finishDown finishes vectors at i of all rows.
func finishDown(r row, label string, vectors int, masked bool, i Register, zero VecVirtual, at func(string) Mem) {
	p := map[string]Register{}
	for _, name := range []string{"dst", "prod", "add", "mask", "dot"} {
		p[name] = GP64()
		MOVQ(at(name), p[name])
		ADDQ(i, p[name])
	}
	each := func(body func(j, disp int)) {
		for j := range vectors {
			body(j, j*r.bytes)
		}
	}
	param := func(name string) []VecVirtual {
		v, q := make([]VecVirtual, vectors), GP64()
		MOVQ(at(name), q)
		each(func(j, disp int) { v[j] = r.load(Mem{Base: q, Index: i, Scale: 1, Disp: disp}, masked) })
		return v
	}
	scale, shift, sum, sumDot := param("scale"), param("shift"), param("sum"), param("sumDot")
	left := GP64()
	MOVQ(at("rows"), left)
	Label(label + "_row")
	each(func(j, disp int) {
		m := r.load(Mem{Base: p["mask"], Disp: disp}, masked)
		VFMADD213PS(shift[j], scale[j], m)
		d := r.load(Mem{Base: p["prod"], Disp: disp}, masked)
		e := r.load(Mem{Base: p["add"], Disp: disp}, masked)
		VADDPS(e, d, d)
		const notLessOrEqual = 0x16 // true for NaN
		if r.wide() {
			VCMPPS(Imm(notLessOrEqual), zero, m, K2)
			VMOVAPS_Z(d, K2, d)
		} else {
			VCMPPS(Imm(notLessOrEqual), zero, m, m)
			VANDPS(m, d, d)
		}
		r.store(d, Mem{Base: p["dst"], Disp: disp}, masked)
		VADDPS(d, sum[j], sum[j])
		w := r.load(Mem{Base: p["dot"], Disp: disp}, masked)
		VFMADD231PS(d, w, sumDot[j])
	})
	stride := GP64()
	for _, name := range []struct{ p, stride string }{{"dst", "ds"}, {"prod", "ps"}, {"add", "as"}, {"mask", "ms"}, {"dot", "dots"}} {
		MOVQ(at(name.stride), stride)
		LEAQ(Mem{Base: p[name.p], Index: stride, Scale: 4}, p[name.p])
	}
	DECQ(left)
	JNZ(LabelRef(label + "_row"))
	for _, out := range []struct {
		name string
		v    []VecVirtual
	}{{"sum", sum}, {"sumDot", sumDot}} {
		q := GP64()
		MOVQ(at(out.name), q)
		each(func(j, disp int) { r.keep(out.v[j], Mem{Base: q, Index: i, Scale: 1, Disp: disp}, masked) })
	}
}

func addWide(s isa) {
	start(s, "addWide", "func(sum *float64, part *float32, n int)",
		"addWide"+s.suffix+": sum += part, part = 0. n is a multiple of 4.")
	sum, part, n := emit.Pointer("sum"), emit.Pointer("part"), emit.Pointer("n")
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
	emit.End()
}
