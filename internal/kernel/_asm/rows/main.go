// Command rows generates the row kernels: passes over rows of channels.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// isa is what differs between the two instruction sets.
type isa struct {
	stream bool // stores go past the caches: dst is aligned, c a multiple of 16
	suffix string
	bytes  int // of a vector
	vec    func() VecVirtual
}

var sets = []isa{
	{false, "AVX512", 64, func() VecVirtual { return ZMM() }},
	{false, "AVX2", 32, func() VecVirtual { return YMM() }},
}

func (s isa) wide() bool { return s.bytes == 64 }

var tail emit.Tail

func main() {
	ConstraintExpr("amd64")
	tail = emit.NewTail("rowsTail", 8)
	for _, s := range sets {
		affine(s)
		grad(s)
		join(s)
		gather(s)
		sum(s)
		finish(s)
		stream := s
		stream.stream, stream.suffix = true, "Stream"+s.suffix
		join(stream)
		finish(stream)
		addWide(s)
		axpy(s)
		scale(s)
		dot(s)
		momentum(s)
		adam(s)
		poolMax(s, "poolMax", operand{})
		poolGrad(s, "poolGrad", operand{})
	}
	declareConstants()
	for _, s := range sets {
		halfPasses(s)
		poolMax(s, "poolMaxHalf", operand{half: true})
		poolGrad(s, "poolGradHalf", operand{half: true})
	}
	TEXT("storeFence", NOSPLIT, "func()")
	Doc("storeFence waits until what was streamed is visible to all.")
	SFENCE()
	RET()
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
	SHRQ(Imm(2), lanes)
	r.mask = maskOf(s, lanes)
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
	if r.stream && !masked {
		VMOVNTPS(v, m)
		return
	}
	r.keep(v, m, masked)
}

// keep stores what will be read soon.
func (r row) keep(v Register, m Mem, masked bool) {
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

// narrow emits code of its own for rows of one to most vectors, the last of them
// masked, so that what belongs to a channel stays in registers. Longer rows go
// on to what follows.
func narrow(s isa, c Register, most int, body func(r row, vectors int)) {
	lanes := s.bytes / 4
	for vectors := 1; vectors <= most; vectors++ {
		next := fmt.Sprintf("narrow%d_next", vectors)
		CMPQ(c, Imm(uint64(vectors*lanes)))
		JA(LabelRef(next))
		left := GP64()
		LEAQ(Mem{Base: c, Disp: -(vectors - 1) * lanes}, left)
		body(row{isa: s, mask: maskOf(s, left)}, vectors)
		emit.End()
		Label(next)
	}
}

// unrolled runs body for each vector of a narrow row.
func (r row) unrolled(vectors int, body func(j, disp int, masked bool)) {
	for j := range vectors {
		body(j, j*r.bytes, j == vectors-1)
	}
}

// maskOf returns a mask of the first lanes; lanes is overwritten.
func maskOf(s isa, lanes Register) Register {
	if s.wide() {
		return emit.WideMask(lanes)
	}
	m := YMM()
	tail.Mask(lanes, m)
	return m
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
	emit.Start(name+s.suffix, signature, doc...)
}
