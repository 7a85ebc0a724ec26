package ptx

import (
	"math"
	"math/bits"
)

// test compares a and b of all threads; bit i is thread i's answer.
type test func(a, b *row) uint32

func equal[T integer](a, b *row) (m uint32) {
	for i := range a {
		if T(a[i]) == T(b[i]) {
			m |= 1 << i
		}
	}
	return m
}

func less[T integer](a, b *row) (m uint32) {
	for i := range a {
		if T(a[i]) < T(b[i]) {
			m |= 1 << i
		}
	}
	return m
}

func inverse(t test) test { return func(a, b *row) uint32 { return ^t(a, b) } }
func swapped(t test) test { return func(a, b *row) uint32 { return t(b, a) } }

// comparison returns the test of a name for a type.
func (c *compiler) comparison(name, kind string) test {
	if isFloat(kind) {
		return c.floatComparison(name, kind)
	}
	eq := sized[test](kind, equal[uint16], equal[uint32], equal[uint64])
	lt := typed[test](kind, less[int16], less[int32], less[int64], less[uint16], less[uint32], less[uint64])
	switch name {
	case "eq":
		return eq
	case "ne":
		return inverse(eq)
	case "lt", "lo":
		return lt
	case "ge", "hs":
		return inverse(lt)
	case "gt", "hi":
		return swapped(lt)
	case "le", "ls":
		return inverse(swapped(lt))
	}
	c.refuse("unknown comparison %s", name)
	return nil
}

func (c *compiler) floatComparison(name, kind string) test {
	as := decoder(kind)
	if as == nil {
		c.refuse("a type that it has not")
	}
	unordered := false
	if n := len(name); n == 3 && name[2] == 'u' {
		unordered, name = true, name[:2]
	}
	var f func(a, b float64) bool
	switch name {
	case "eq":
		f = func(a, b float64) bool { return a == b }
	case "ne":
		f = func(a, b float64) bool { return a < b || a > b }
	case "lt":
		f = func(a, b float64) bool { return a < b }
	case "le":
		f = func(a, b float64) bool { return a <= b }
	case "gt":
		f = func(a, b float64) bool { return a > b }
	case "ge":
		f = func(a, b float64) bool { return a >= b }
	case "num":
		f = func(a, b float64) bool { return a == a && b == b }
	case "nan":
		f = func(a, b float64) bool { return a != a || b != b }
	default:
		c.refuse("unknown comparison %s", name)
	}
	if kind == "f32" && quickTests[name] != nil {
		t := quickTests[name]
		if !unordered {
			return t
		}
		return func(a, b *row) uint32 { return t(a, b) | unorderedTest(a, b) }
	}
	return func(a, b *row) (m uint32) {
		for i := range a {
			x, y := as(a[i]), as(b[i])
			if f(x, y) || unordered && (x != x || y != y) {
				m |= 1 << i
			}
		}
		return m
	}
}

// quickTests compare float32s that are numbers.
var quickTests = map[string]test{
	"eq": func(a, b *row) (m uint32) {
		for i := range a {
			if f32(a[i]) == f32(b[i]) {
				m |= 1 << i
			}
		}
		return m
	},
	"lt": lessF32,
	"gt": swapped(lessF32),
	"le": mostF32,
	"ge": swapped(mostF32),
}

func lessF32(a, b *row) (m uint32) {
	for i := range a {
		if f32(a[i]) < f32(b[i]) {
			m |= 1 << i
		}
	}
	return m
}

func mostF32(a, b *row) (m uint32) {
	for i := range a {
		if f32(a[i]) <= f32(b[i]) {
			m |= 1 << i
		}
	}
	return m
}

func unorderedTest(a, b *row) (m uint32) {
	for i := range a {
		if x, y := f32(a[i]), f32(b[i]); x != x || y != y {
			m |= 1 << i
		}
	}
	return m
}

var combine = map[string]func(a, b uint32) uint32{
	"and": func(a, b uint32) uint32 { return a & b },
	"or":  func(a, b uint32) uint32 { return a | b },
	"xor": func(a, b uint32) uint32 { return a ^ b },
}

// third reads the predicate that a comparison is combined with.
func (c *compiler) third() (with func(a, b uint32) uint32, p int32, flip uint32) {
	if len(c.s.op) < 3 || combine[c.s.op[2]] == nil {
		c.args(3)
		return func(a, _ uint32) uint32 { return a }, 0, 0
	}
	c.args(4)
	o := &c.s.args[3]
	if o.not {
		flip = all
	}
	return combine[c.s.op[2]], c.predicate(o), flip
}

func (c *compiler) setp(kind string) {
	with, third, flip := c.third()
	if len(c.s.op) < 3 || sizes[kind] < 2 {
		c.refuse("a type that it has not")
	}
	test := c.comparison(c.s.op[1], kind)
	p, q := int32(-1), int32(-1)
	if o := c.s.args[0]; o.text != "_" {
		p = c.predicate(&operand{text: o.text})
	}
	if o := c.s.args[0]; o.also != "" && o.also != "_" {
		q = c.predicate(&operand{text: o.also})
	}
	a, b := c.src(&c.s.args[1], kind), c.src(&c.s.args[2], kind)
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		t, x := test(w.row(a), w.row(b)), w.p[third]^flip
		if p >= 0 {
			w.p[p] = w.p[p]&^m | with(t, x)&m
		}
		if q >= 0 {
			w.p[q] = w.p[q]&^m | with(^t, x)&m
		}
	}})
}

func (c *compiler) set(kind string) {
	with, third, flip := c.third()
	if len(c.s.op) < 4 || sizes[kind] < 2 {
		c.refuse("no types")
	}
	to := c.s.op[len(c.s.op)-2]
	yes := low(8 * sizes[to])
	if to == "f32" {
		yes = uint64(math.Float32bits(1))
	} else if isFloat(to) || sizes[to] != 4 {
		c.refuse("a type that it has not")
	}
	test := c.comparison(c.s.op[1], kind)
	d, a, b := c.dst(&c.s.args[0]), c.src(&c.s.args[1], kind), c.src(&c.s.args[2], kind)
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		t := with(test(w.row(a), w.row(b)), w.p[third]^flip)
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			w.r[d][i] = uint64(t>>i&1) * yes
		}
	}})
}

func (c *compiler) selp(kind string) {
	c.args(4)
	d, a, b := c.dst(&c.s.args[0]), c.src(&c.s.args[1], kind), c.src(&c.s.args[2], kind)
	p := c.predicate(&c.s.args[3])
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		to, x, y, t := &w.r[d], w.row(a), w.row(b), w.p[p]
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			if t>>i&1 == 1 {
				to[i] = x[i]
			} else {
				to[i] = y[i]
			}
		}
	}})
}

func (c *compiler) slct() {
	if len(c.s.op) < 3 {
		c.refuse("no types")
	}
	kind, by := c.s.op[len(c.s.op)-2], c.s.op[len(c.s.op)-1]
	if sizes[kind] < 2 || by != "f32" && by != "s32" {
		c.refuse("a type that it has not")
	}
	c.pure(each3(func(a, b, v uint64) uint64 {
		if by == "f32" && math.Float32frombits(uint32(v)) >= 0 || by == "s32" && int32(v) >= 0 {
			return a
		}
		return b
	}), kind, kind, by)
}

// logic adds what works on predicates.
func (c *compiler) logic(name string) {
	if name == "not" {
		c.args(2)
		d := c.predicate(&c.s.args[0])
		a := c.predicate(&c.s.args[1])
		c.emit(inst{kind: effect, do: func(w *warp, m uint32) { w.p[d] = w.p[d]&^m | ^w.p[a]&m }})
		return
	}
	c.args(3)
	d := c.predicate(&c.s.args[0])
	with := combine[name]
	if with == nil {
		c.refuse("unknown instruction")
	}
	var p [2]int32
	var zero [2]uint32
	for i := range p {
		if o := &c.s.args[1+i]; o.num && o.val == 0 {
			zero[i] = all
		} else {
			p[i] = c.predicate(o)
		}
	}
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		w.p[d] = w.p[d]&^m | with(w.p[p[0]]&^zero[0], w.p[p[1]]&^zero[1])&m
	}})
}

func (c *compiler) testp(kind string) {
	c.args(2)
	if len(c.s.op) < 3 || kind != "f32" && kind != "f64" {
		c.refuse("a type that it has not")
	}
	smallest := map[string]float64{"f32": 0x1p-126, "f64": 0x1p-1022}[kind]
	f := map[string]func(x float64) bool{
		"finite":     func(x float64) bool { return x-x == 0 },
		"infinite":   func(x float64) bool { return math.IsInf(x, 0) },
		"number":     func(x float64) bool { return x == x },
		"notanumber": func(x float64) bool { return x != x },
		"normal":     func(x float64) bool { return x-x == 0 && math.Abs(x) >= smallest },
		"subnormal":  func(x float64) bool { return x != 0 && math.Abs(x) < smallest },
	}[c.s.op[1]]
	if f == nil {
		c.refuse("unknown test")
	}
	d, a, as := c.predicate(&c.s.args[0]), c.src(&c.s.args[1], kind), decoder(kind)
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		t := uint32(0)
		for i, v := range w.row(a) {
			if f(as(v)) {
				t |= 1 << i
			}
		}
		w.p[d] = w.p[d]&^m | t&m
	}})
}
