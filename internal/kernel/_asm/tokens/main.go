// Command tokens generates the row kernels of transformers: GELU, softmax and
// layer normalisation, each of one row.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
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

var tails emit.Tail

func main() {
	ConstraintExpr("amd64")
	tails = emit.NewTail("tokensTail", 8)
	table = GLOBL("tokensConstants", RODATA|NOPTR)
	fill()
	for _, s := range sets {
		gelu(s)
		geluGrad(s)
		softmax(s)
		softmaxGrad(s)
		norm(s)
		normGrad(s)
	}
	Generate()
}

// row is a loop over a row: full vectors, then a masked tail.
type row struct {
	isa
	full, rest Register // bytes in full vectors, and after them
	mask       Register // K1 or a vector
}

// elements starts a row of n elements.
func elements(s isa) row {
	r := row{isa: s, full: emit.Stride("n"), rest: GP64()}
	MOVQ(r.full, r.rest)
	ANDQ(Imm(uint64(s.bytes-1)), r.rest)
	SUBQ(r.rest, r.full)
	lanes := GP64()
	MOVQ(r.rest, lanes)
	SHRQ(Imm(2), lanes)
	if s.wide() {
		r.mask = emit.WideMask(lanes)
	} else {
		m := YMM()
		tails.Mask(lanes, m)
		r.mask = m
	}
	return r
}

// at is one vector of a row.
type at struct {
	row
	i      Register // bytes before it
	masked bool
}

// each runs body for all of the row.
func (r row) each(label string, body func(a at)) {
	i := GP64()
	XORQ(i, i)
	JMP(LabelRef(label + "_test"))
	Label(label + "_vector")
	body(at{r, i, false})
	ADDQ(Imm(uint64(r.bytes)), i)
	Label(label + "_test")
	CMPQ(i, r.full)
	JB(LabelRef(label + "_vector"))
	TESTQ(r.rest, r.rest)
	JZ(LabelRef(label + "_done"))
	body(at{r, i, true})
	Label(label + "_done")
}

// load reads the vector of the row at p; beyond the row it has zeros.
func (a at) load(p Register) VecVirtual {
	v, m := a.vec(), Mem{Base: p, Index: a.i, Scale: 1}
	switch {
	case !a.masked:
		VMOVUPS(m, v)
	case a.wide():
		VMOVUPS_Z(m, a.mask, v)
	default:
		VMASKMOVPS(m, a.mask, v)
	}
	return v
}

func (a at) store(v, p Register) {
	m := Mem{Base: p, Index: a.i, Scale: 1}
	switch {
	case !a.masked:
		VMOVUPS(v, m)
	case a.wide():
		VMOVUPS(v, a.mask, m)
	default:
		VMASKMOVPS(v, a.mask, m)
	}
}

// zeroed clears what is beyond the row in v.
func (a at) zeroed(v VecVirtual) {
	switch {
	case !a.masked:
	case a.wide():
		VMOVAPS_Z(v, a.mask, v)
	default:
		VANDPS(v, a.mask, v)
	}
}

// instead puts other in the place of what is beyond the row in v.
func (a at) instead(v, other VecVirtual) {
	switch {
	case !a.masked:
	case a.wide():
		VBLENDMPS(v, other, a.mask, v)
	default:
		VBLENDVPS(a.mask, v, other, v)
	}
}

func (s isa) zero() VecVirtual {
	v := s.vec()
	VXORPS(v, v, v)
	return v
}

// broadcast returns a vector of a parameter; spread one of a lowest lane.
func (s isa) broadcast(name string) VecVirtual {
	v := s.vec()
	m, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(m.Addr, v)
	return v
}

func (s isa) spread(x Register) VecVirtual {
	v := s.vec()
	VBROADCASTSS(x, v)
	return v
}

func start(s isa, name, signature, doc string) {
	emit.Start(name+s.suffix, signature, name+s.suffix+doc)
}
