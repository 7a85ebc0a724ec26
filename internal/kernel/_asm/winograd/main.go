// Command winograd generates the transforms of Winograd convolution. Each is a
// small matrix T applied on both sides, Y = T·X·Tᵀ, where an element of X or Y
// is a vector of channels.
package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
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

// transform is one of the matrices, as code for some of its rows at a time.
type transform struct {
	name, doc string
	in, out   int
	consts    []float64
	groups    [][]int // rows whose code shares work
	rows      func(e *emitter, group int, x func(i int) element) []VecVirtual
}

// The points are 0, ±a, ±b and ∞ with b = 1/a = √2: half the rounding error of
// the usual 0, ±1, ±2, ∞.
var a, b = math.Sqrt2 / 2, math.Sqrt2

var transforms = []transform{
	{
		name: "winogradInput", doc: "Bᵀ: 6 × 6 pixels of input to a tile", in: 6, out: 6,
		consts: []float64{2.5, 2, 0.5, a, b},
		groups: [][]int{{1, 2}, {3, 4}, {0}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0:
				return e.pm(e.mulAdd(x(4), -2, x(2)), a, e.mulAdd(x(3), -2, x(1)))
			case 1:
				return e.pm(e.mulAdd(x(4), -0.5, x(2)), b, e.mulAdd(x(3), -0.5, x(1)))
			}
			first := group - 2 // rows 0 and 5 are alike
			v := e.mulAdd(x(first), -2.5, x(first+2))
			e.addTo(v, 1, x(first+4))
			return []VecVirtual{v}
		},
	},
	{
		name: "winogradOutput", doc: "Aᵀ: a tile of products to 4 × 4 pixels of output", in: 6, out: 4,
		consts: []float64{0.5, 2, a, b, a / 2, 2 * b},
		groups: [][]int{{0, 2}, {1, 3}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group == 0 {
				s1, s2 := e.sum(x(1), x(2)), e.sum(x(3), x(4))
				y2 := e.times(0.5, e.val(s1))
				e.addTo(y2, 2, e.val(s2))
				VADDPS(x(0).op(), s1, s1)
				VADDPS(s2, s1, s1)
				return []VecVirtual{s1, y2}
			}
			d1, d2 := e.diff(x(1), x(2)), e.diff(x(3), x(4))
			y1 := e.times(a, e.val(d1))
			e.addTo(y1, b, e.val(d2))
			y3 := x(5).fresh()
			e.addTo(y3, a/2, e.val(d1))
			e.addTo(y3, 2*b, e.val(d2))
			return []VecVirtual{y1, y3}
		},
	},
	{
		name: "winogradGrad", doc: "A: 4 × 4 pixels of the output gradient to a tile", in: 4, out: 6,
		consts: []float64{0.5, 2, a, b},
		groups: [][]int{{1, 2}, {3, 4}, {0}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0:
				return e.pm(e.mulAdd(x(0), 0.5, x(2)), a, e.mulAdd(x(1), 0.5, x(3)))
			case 1:
				return e.pm(e.mulAdd(x(0), 2, x(2)), b, e.mulAdd(x(1), 2, x(3)))
			case 2:
				return []VecVirtual{x(0).fresh()}
			}
			return []VecVirtual{x(3).fresh()}
		},
	},
	{
		name: "winogradWeight", doc: "G: 3 × 3 weights to a tile", in: 3, out: 6,
		consts: []float64{2.0 / 3, 1.0 / 3, 2 * a / 3, 1.0 / 6, b / 6},
		groups: [][]int{{1, 2}, {3, 4}, {0}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0: // −2/3·x0 − 1/3·x2 ∓ 2a/3·x1
				even := e.times(1.0/3, x(2))
				e.addTo(even, 2.0/3, x(0))
				zero := e.vec()
				VXORPS(zero, zero, zero)
				VSUBPS(even, zero, even)
				return e.pm(even, -2*a/3, x(1).fresh())
			case 1:
				even := e.times(1.0/6, x(0))
				e.addTo(even, 1.0/3, x(2))
				return e.pm(even, b/6, x(1).fresh())
			case 2:
				return []VecVirtual{x(0).fresh()}
			}
			return []VecVirtual{x(2).fresh()}
		},
	},
	{
		name: "winogradWeightGrad", doc: "Gᵀ: a tile of sums to the gradient of 3 × 3 weights", in: 6, out: 3,
		consts: []float64{2.0 / 3, 1.0 / 3, 2 * a / 3, 1.0 / 6, b / 6},
		groups: [][]int{{0, 2}, {1}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group == 1 {
				d1, d2 := e.diff(x(2), x(1)), e.diff(x(3), x(4))
				v := e.times(2*a/3, e.val(d1))
				e.addTo(v, b/6, e.val(d2))
				return []VecVirtual{v}
			}
			s1, s2 := e.sum(x(1), x(2)), e.sum(x(3), x(4))
			w0 := x(0).fresh()
			e.addTo(w0, -2.0/3, e.val(s1))
			e.addTo(w0, 1.0/6, e.val(s2))
			VSUBPS(s1, s2, s2)
			w2 := x(5).fresh()
			e.addTo(w2, 1.0/3, e.val(s2))
			return []VecVirtual{w0, w2}
		},
	},
}

func main() {
	ConstraintExpr("amd64")
	consts := constants()
	for _, s := range sets {
		for _, t := range transforms {
			generate(s, t, consts)
		}
	}
	Generate()
}

// constants writes every constant as a vector of 32 bytes.
func constants() map[float64]Mem {
	table := GLOBL("winogradConstants", RODATA|NOPTR)
	at := map[float64]Mem{}
	n := 0
	for _, t := range transforms {
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
	SHLQ(Imm(2), bytes)
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

	srcAt, dstAt := rowsOf(srcRow, t.in), stepsOf(dstCol, t.out)
	i := GP64()
	Label("item")
	XORQ(i, i)
	Label("channels")
	for g, group := range t.groups {
		// the group's rows of T·X, column by column
		from := GP64()
		LEAQ(Mem{Base: src, Index: i, Scale: 1}, from)
		y := make([][]VecVirtual, len(group))
		for col := range t.in {
			out := t.rows(e, g, func(i int) element { return element{e: e, mem: srcAt(from, i)} })
			for k, v := range out {
				y[k] = append(y[k], v)
			}
			if col < t.in-1 {
				ADDQ(srcCol, from)
			}
		}
		// those rows times Tᵀ
		for k, row := range group {
			to := GP64()
			LEAQ(Mem{Base: dst, Index: i, Scale: 1}, to)
			step(to, dstRow, row)
			for g, group := range t.groups {
				out := t.rows(e, g, func(i int) element { return e.val(y[k][i]) })
				for n, col := range group {
					VMOVUPS(out[n], dstAt(to, col))
				}
			}
		}
	}
	ADDQ(Imm(uint64(s.bytes)), i)
	CMPQ(i, channels)
	JB(LabelRef("channels"))
	ADDQ(Mem{Base: p, Disp: 8 * 3}, dst)
	ADDQ(Mem{Base: p, Disp: 8 * 7}, src)
	DECQ(items)
	JNZ(LabelRef("item"))
	VZEROUPPER()
	RET()
}

// stepsOf returns how to address base + n·stride for n below count, with 3 and
// 5 strides in registers.
func stepsOf(stride Register, count int) func(base Register, n int) Mem {
	var three, five Register
	if count > 3 {
		three = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, three)
	}
	if count > 5 {
		five = GP64()
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, five)
	}
	return func(base Register, n int) Mem {
		switch n {
		case 0:
			return Mem{Base: base}
		case 3:
			return Mem{Base: base, Index: three, Scale: 1}
		case 5:
			return Mem{Base: base, Index: five, Scale: 1}
		}
		return Mem{Base: base, Index: stride, Scale: uint8(n)}
	}
}

var rowsOf = stepsOf

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
