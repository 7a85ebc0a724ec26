// Command winograd generates the transforms of Winograd convolution. Each is a
// small matrix T applied on both sides, Y = T·X·Tᵀ, where an element of X or Y
// is a vector of channels.
package main

import (
	"fmt"
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

type isa struct {
	suffix string
	bytes  int
	vec    func() VecVirtual
}

var sets = []isa{
	{"AVX512", 64, func() VecVirtual { return ZMM() }},
	{"AVX2", 32, func() VecVirtual { return YMM() }},
}

// operand is an element that a transform reads: in memory, or in a register
// that must not change.
type element struct {
	e   *emitter
	mem Mem
	reg Register
}

func (x element) op() Op {
	if x.reg != nil {
		return x.reg
	}
	return x.mem
}

// fresh returns the element in a register of its own.
func (x element) fresh() VecVirtual {
	v := x.e.vec()
	if x.reg != nil {
		VMOVAPS(x.reg, v)
	} else {
		VMOVUPS(x.mem, v)
	}
	return v
}

// emitter emits arithmetic on elements.
type emitter struct {
	isa
	consts map[float64]Op
}

// constant returns a register under AVX-512, and memory under AVX2, which has
// no registers to spare.
func (e *emitter) constant(c float64) Op {
	if o, ok := e.consts[c]; ok {
		return o
	}
	panic(fmt.Sprintf("constant %v was not declared", c))
}

// mulAdd returns x + c·y.
func (e *emitter) mulAdd(x element, c float64, y element) VecVirtual {
	v := x.fresh()
	e.addTo(v, c, y)
	return v
}

// addTo does v += c·y.
func (e *emitter) addTo(v VecVirtual, c float64, y element) {
	switch c {
	case 1:
		VADDPS(y.op(), v, v)
		return
	case -1:
		VSUBPS(y.op(), v, v)
		return
	}
	neg := c < 0
	k := e.constant(math.Abs(c))
	a, b := y.op(), k
	if _, isReg := k.(Register); !isReg {
		if y.reg == nil {
			a = y.fresh()
		}
		a, b = b, a
	}
	if neg {
		VFNMADD231PS(a, b, v)
	} else {
		VFMADD231PS(a, b, v)
	}
}

// times returns c·y.
func (e *emitter) times(c float64, y element) VecVirtual {
	v := e.vec()
	k := e.constant(c)
	if _, isReg := k.(Register); isReg {
		VMULPS(y.op(), k, v)
	} else {
		r := y.reg
		if r == nil {
			r = y.fresh()
		}
		VMULPS(k, r, v)
	}
	return v
}

// pm returns e + c·o and e − c·o; it may change e.
func (e *emitter) pm(even VecVirtual, c float64, odd VecVirtual) []VecVirtual {
	minus := e.vec()
	VMOVAPS(even, minus)
	e.addTo(even, c, e.val(odd))
	e.addTo(minus, -c, e.val(odd))
	return []VecVirtual{even, minus}
}

func (e *emitter) val(v VecVirtual) element { return element{e: e, reg: v} }

// sumDiff returns x + y or x − y.
func (e *emitter) sum(x, y element) VecVirtual {
	v := x.fresh()
	VADDPS(y.op(), v, v)
	return v
}

func (e *emitter) diff(x, y element) VecVirtual {
	v := x.fresh()
	VSUBPS(y.op(), v, v)
	return v
}

var all = slices.Concat(transforms, halving, pairs)

func main() {
	ConstraintExpr("amd64")
	consts := constants()
	for _, s := range sets {
		for _, t := range all {
			if !t.pairs || s.bytes == 64 {
				generate(s, t, consts)
			}
		}
	}
	Generate()
}

// constants writes every constant as a vector of 32 bytes.
func constants() map[float64]Mem {
	table := GLOBL("winogradConstants", RODATA|NOPTR)
	at := map[float64]Mem{}
	n := 0
	for _, t := range all {
		for _, c := range t.consts {
			if _, ok := at[c]; ok {
				continue
			}
			at[c] = table.Offset(n)
			for range 8 {
				DATA(n, U32(math.Float32bits(float32(c)))) // F32 would write 2 as an integer
				n += 4
			}
		}
	}
	return at
}

func generate(s isa, t transform, consts map[float64]Mem) {
	TEXT(t.name+s.suffix, NOSPLIT, "func(p *[9]uintptr, channels int)")
	Pragma("noescape")
	Doc(t.name+s.suffix+" applies "+t.doc+" on both sides.",
		"p is a winogradArgs; channels is a multiple of 16.")
	p := Load(Param("p"), GP64())
	field := func(i int) Register {
		v := GP64()
		MOVQ(Mem{Base: p, Disp: 8 * i}, v)
		return v
	}
	dst, dstRow, dstCol := field(0), field(1), field(2)
	src, srcRow, srcCol := field(4), field(5), field(6)
	items := AllocLocal(8)
	MOVQ(field(8), items)
	channels := AllocLocal(8)
	bytes := Load(Param("channels"), GP64())
	SHLQ(Imm(uint64(2/t.scale())), bytes)
	MOVQ(bytes, channels)

	e := &emitter{isa: s, consts: map[float64]Op{}}
	for _, c := range t.consts {
		if s.bytes == 32 {
			e.consts[c] = consts[c]
			continue
		}
		v := ZMM()
		VBROADCASTSS(consts[c], v)
		e.consts[c] = v
	}

	srcAt, dstAt := steps(srcRow, t.in), steps(dstCol, t.out)
	i := GP64()
	Label("item")
	XORQ(i, i)
	Label("channels")
	for g, group := range t.groups {
		if s.bytes == 32 && len(group)*t.in > 12 { // too many for the registers: a row at a time
			for k, row := range group {
				t.emit(e, g, []int{k}, []int{row}, i, src, srcCol, dst, dstRow, srcAt, dstAt)
			}
			continue
		}
		all := make([]int, len(group))
		for k := range all {
			all[k] = k
		}
		t.emit(e, g, all, group, i, src, srcCol, dst, dstRow, srcAt, dstAt)
	}
	ADDQ(Imm(uint64(s.bytes)/uint64(t.scale())), i)
	CMPQ(i, channels)
	JB(LabelRef("channels"))
	ADDQ(Mem{Base: p, Disp: 8 * 3}, dst)
	ADDQ(Mem{Base: p, Disp: 8 * 7}, src)
	DECQ(items)
	JNZ(LabelRef("item"))
	VZEROUPPER()
	RET()
}

// emit makes some rows of a group: those rows of T·X, column by column, and then
// each times Tᵀ.
func (t *transform) emit(e *emitter, g int, some, rows []int, i, src, srcCol, dst, dstRow Register, srcAt,
	dstAt steps4) {
	from := srcAt.start(src, i, t.scale())
	y := make([][]VecVirtual, len(some))
	for col := range t.in {
		out := t.rows(e, g, func(i int) element { return element{e: e, mem: from.at(i)} })
		for n, k := range some {
			y[n] = append(y[n], out[k])
		}
		if col < t.in-1 {
			from.add(srcCol)
		}
	}
	for n, row := range rows {
		to := dstAt.startAt(dst, i, 1, dstRow, row)
		for g, group := range t.groups {
			out := t.rows(e, g, func(i int) element { return e.val(y[n][i]) })
			for k, col := range group {
				if t.half {
					emit.StoreHalf(out[k], to.at(col))
				} else {
					VMOVUPS(out[k], to.at(col))
				}
			}
		}
	}
}

// steps4 addresses base + n·stride for n below 9, with a register for 3·stride
// and a second base 4·stride on.
type steps4 struct {
	stride, three Register
	count         int
}

func steps(stride Register, count int) steps4 {
	s := steps4{stride: stride, count: count}
	if count > 3 {
		s.three = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, s.three)
	}
	return s
}

type pointer struct {
	steps4
	low, high Register
}

// start returns a pointer to base + scale·i.
func (s steps4) start(base, i Register, scale uint8) pointer {
	return s.startAt(base, i, scale, nil, 0)
}

// startAt returns a pointer to base + scale·i + n·stride.
func (s steps4) startAt(base, i Register, scale uint8, stride Register, n int) pointer {
	p := pointer{steps4: s, low: GP64()}
	LEAQ(Mem{Base: base, Index: i, Scale: scale}, p.low)
	step(p.low, stride, n)
	if s.count > 4 {
		p.high = GP64()
		LEAQ(Mem{Base: p.low, Index: s.stride, Scale: 4}, p.high)
	}
	return p
}

// add moves the pointer by a register.
func (p pointer) add(r Register) {
	ADDQ(r, p.low)
	if p.high != nil {
		ADDQ(r, p.high)
	}
}

// at returns the operand n strides on.
func (p pointer) at(n int) Mem {
	base := p.low
	if n > 4 || n == 4 && p.high != nil {
		base, n = p.high, n-4
	}
	switch n {
	case 0:
		return Mem{Base: base}
	case 3:
		return Mem{Base: base, Index: p.three, Scale: 1}
	}
	return Mem{Base: base, Index: p.stride, Scale: uint8(n)}
}

// step adds n·stride to p.
func step(p, stride Register, n int) {
	for ; n >= 4; n -= 4 {
		LEAQ(Mem{Base: p, Index: stride, Scale: 4}, p)
	}
	if n >= 2 {
		LEAQ(Mem{Base: p, Index: stride, Scale: 2}, p)
		n -= 2
	}
	if n == 1 {
		ADDQ(stride, p)
	}
}
