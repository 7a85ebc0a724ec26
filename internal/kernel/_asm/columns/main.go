// Command columns generates the column kernels: passes down the columns of a
// matrix, with means and sums of float64.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// isa is what differs between the two instruction sets. A vector of floats is
// half as wide as one of doubles, so that each belongs to the same columns.
type isa struct {
	suffix  string
	lanes   int // columns in a vector
	group   int // vectors in flight
	floats  func() VecVirtual
	doubles func() VecVirtual
}

var sets = []isa{
	{"AVX512", 8, 4, func() VecVirtual { return YMM() }, func() VecVirtual { return ZMM() }},
	{"AVX2", 4, 2, func() VecVirtual { return XMM() }, func() VecVirtual { return YMM() }},
}

func (s isa) wide() bool { return s.lanes == 8 }

var tail emit.Tail

func main() {
	ConstraintExpr("amd64")
	tail = emit.NewTail("columnsTail", 4)
	for _, s := range sets {
		sum(s)
		centre(s)
		distance(s)
		grad(s)
	}
	put()
	Generate()
}

// columns is a loop over columns: groups of vectors, single ones, a masked rest.
type columns struct {
	isa
	i       Register // bytes of floats before the current vector
	masks   [2]Register
	vectors int
	masked  bool
}

// each runs body for all of c columns; c is overwritten.
func each(s isa, c Register, body func(label string, w columns)) {
	w := columns{isa: s, i: GP64()}
	bytes := s.lanes * 4
	rest, next := GP64(), GP64()
	MOVQ(c, rest)
	ANDQ(Imm(uint64(s.lanes-1)), rest)
	SUBQ(rest, c)
	SHLQ(Imm(2), c)
	XORQ(w.i, w.i)

	Label("groups")
	LEAQ(Mem{Base: w.i, Disp: s.group * bytes}, next)
	CMPQ(next, c)
	JA(LabelRef("singles"))
	w.vectors = s.group
	body("group", w)
	ADDQ(U32(uint32(s.group*bytes)), w.i)
	JMP(LabelRef("groups"))

	Label("singles")
	CMPQ(w.i, c)
	JAE(LabelRef("tail"))
	w.vectors = 1
	body("single", w)
	ADDQ(Imm(uint64(bytes)), w.i)
	JMP(LabelRef("singles"))

	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("done"))
	w.masked = true
	w.masks = masksOf(s, rest)
	body("last", w)
	Label("done")
}

// masksOf returns masks of the first lanes, for floats and for doubles; lanes is
// overwritten.
func masksOf(s isa, lanes Register) [2]Register {
	if s.wide() {
		k := emit.WideMask(lanes)
		return [2]Register{k, k}
	}
	m, wide := XMM(), YMM()
	tail.Mask(lanes, m)
	VPMOVSXDQ(m, wide)
	return [2]Register{m, wide}
}

// load reads floats; a masked vector has zeros beyond the row.
func (w columns) load(m Mem) VecVirtual {
	v := w.floats()
	switch {
	case !w.masked:
		VMOVUPS(m, v)
	case w.wide():
		VMOVUPS_Z(m, w.masks[0], v)
	default:
		VMASKMOVPS(m, w.masks[0], v)
	}
	return v
}

func (w columns) store(v Register, m Mem) {
	switch {
	case !w.masked:
		VMOVUPS(v, m)
	case w.wide():
		VMOVUPS(v, w.masks[0], m)
	default:
		VMASKMOVPS(v, w.masks[0], m)
	}
}

// loadWide reads doubles.
func (w columns) loadWide(m Mem) VecVirtual {
	v := w.doubles()
	switch {
	case !w.masked:
		VMOVUPD(m, v)
	case w.wide():
		VMOVUPD_Z(m, w.masks[1], v)
	default:
		VMASKMOVPD(m, w.masks[1], v)
	}
	return v
}

func (w columns) storeWide(v Register, m Mem) {
	switch {
	case !w.masked:
		VMOVUPD(v, m)
	case w.wide():
		VMOVUPD(v, w.masks[1], m)
	default:
		VMASKMOVPD(v, w.masks[1], m)
	}
}

// widen turns floats into doubles.
func (s isa) widen(v Register) VecVirtual {
	d := s.doubles()
	VCVTPS2PD(v, d)
	return d
}

// narrow rounds doubles to floats.
func (s isa) narrow(d Register) VecVirtual {
	v := s.floats()
	if s.wide() {
		VCVTPD2PS(d, v)
	} else {
		VCVTPD2PSY(d, v)
	}
	return v
}

// all makes one vector for each in flight.
func (w columns) all(each func(j int) VecVirtual) []VecVirtual {
	v := make([]VecVirtual, w.vectors)
	for j := range v {
		v[j] = each(j)
	}
	return v
}

// params reads doubles that belong to columns.
func (w columns) params(name string) []VecVirtual {
	p := emit.Pointer(name)
	return w.all(func(j int) VecVirtual { return w.loadWide(w.param(p, j)) })
}

// putParams writes them.
func (w columns) putParams(v []VecVirtual, name string) {
	p := emit.Pointer(name)
	for j := range v {
		w.storeWide(v[j], w.param(p, j))
	}
}

// param is where doubles that belong to columns lie.
func (w columns) param(p Register, j int) Mem {
	return Mem{Base: p, Index: w.i, Scale: 2, Disp: j * w.lanes * 8}
}

// at is where floats lie in the row that p points to.
func (w columns) at(p Register, j int) Mem { return Mem{Base: p, Disp: j * w.lanes * 4} }

// down returns a pointer to the current columns of the first row.
func (w columns) down(name string) Register {
	p := emit.Pointer(name)
	ADDQ(w.i, p)
	return p
}

// rows runs body for each row, then moves the pointers by their strides.
func rows(label string, pointers, strides []Register, body func()) {
	left := emit.Pointer("rows")
	Label(label + "_row")
	body()
	for i, p := range pointers {
		ADDQ(strides[i], p)
	}
	DECQ(left)
	JNZ(LabelRef(label + "_row"))
}

func start(s isa, name, signature, doc string) {
	emit.Start(name+s.suffix, signature, name+s.suffix+doc)
}
