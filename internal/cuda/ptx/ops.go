package ptx

import (
	"math/bits"
	"slices"
	"strings"
)

// has says that an operation has a modifier.
func (c *compiler) has(mod string) bool { return slices.Contains(c.s.op[1:], mod) }

// pure adds an instruction that reads operands of types and computes each thread's
// result from its own.
func (c *compiler) pure(fn op, kinds ...string) {
	if fn == nil {
		c.refuse("a type that it has not")
	}
	c.args(1 + len(kinds))
	in := inst{fn: fn, d: c.dst(&c.s.args[0]), a: c.none, b: c.none, c: c.none}
	for i, to := range []*int32{&in.a, &in.b, &in.c}[:len(kinds)] {
		*to = c.src(&c.s.args[1+i], kinds[i])
	}
	c.emit(in)
}

// lanes adds an instruction done thread by thread.
func (c *compiler) lanes(f func(w *warp, lane int)) {
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		for ; m != 0; m &= m - 1 {
			f(w, bits.TrailingZeros32(m))
		}
	}})
}

func isFloat(kind string) bool {
	return strings.HasPrefix(kind, "f") || strings.HasPrefix(kind, "bf")
}

// statement adds the code of one statement.
func (c *compiler) statement(s *statement) {
	c.s = s
	kind := s.op[len(s.op)-1]
	name := s.op[0]
	switch name {
	case "ld", "ldu":
		c.loads()
	case "st":
		c.stores()
	case "mov":
		c.mov(kind)
	case "cvt":
		c.cvt()
	case "cvta":
		c.cvta()
	case "isspacep":
		c.isspacep()
	case "setp":
		c.setp(kind)
	case "set":
		c.set(kind)
	case "selp":
		c.selp(kind)
	case "slct":
		c.slct()
	case "testp":
		c.testp(kind)
	case "bra", "brx", "ret", "exit", "trap", "call":
		c.control(name)
	case "bar", "barrier":
		c.barrier()
	case "membar", "pragma", "nanosleep", "prefetch", "prefetchu", "griddepcontrol", "setmaxnreg", "discard",
		"applypriority", "createpolicy", "pmevent", "brkpt":
		if name == "createpolicy" && len(s.args) > 0 {
			c.emit(inst{fn: copyRow, d: c.dst(&s.args[0]), a: c.none})
		}
	case "atom", "red":
		c.atomic(kind)
	case "shfl":
		c.shfl()
	case "vote":
		c.vote()
	case "match":
		c.match(kind)
	case "redux":
		c.redux(kind)
	case "activemask":
		c.args(1)
		d := c.dst(&s.args[0])
		c.emit(inst{kind: effect, do: func(w *warp, m uint32) { w.spread(d, m, uint64(m)) }})
	case "ldmatrix", "stmatrix":
		c.matrices(name == "ldmatrix")
	case "mma":
		c.mma()
	case "cp":
		c.async()
	case "mbarrier":
		c.mbarrier()
	case "wgmma":
		c.wgmma()
	case "elect":
		c.elect()
	case "fence":
		if c.has("proxy") && c.has("async") || len(s.op) > 3 && strings.HasPrefix(s.op[3], "async") {
			c.emit(inst{kind: effect, do: func(w *warp, _ uint32) { w.fences++ }})
		}
	default:
		if len(s.op) < 2 || sizes[kind] == 0 {
			c.refuse("unknown instruction")
		}
		c.typed(name, kind)
	}
}

func (c *compiler) typed(name, kind string) {
	switch name {
	case "and", "or", "xor", "not", "cnot", "shl", "shr", "popc", "clz", "brev", "bfind", "bfe", "bfi", "shf", "lop3", "prmt":
		if kind == "pred" {
			c.logic(name)
			return
		}
		c.bitwise(name, kind)
	default:
		if isFloat(kind) {
			c.floating(name, kind)
			return
		}
		c.arithmetic(name, kind)
	}
}

// spread writes one value for threads.
func (w *warp) spread(d int32, m uint32, v uint64) {
	for r := &w.r[d]; m != 0; m &= m - 1 {
		r[bits.TrailingZeros32(m)&31] = v
	}
}

// mov moves, packs and unpacks.
func (c *compiler) mov(kind string) {
	c.args(2)
	d, s := &c.s.args[0], &c.s.args[1]
	switch {
	case kind == "pred":
		to, from := c.predicate(d), int32(0)
		zero := s.num && s.val == 0
		if !zero {
			from = c.predicate(s)
		}
		c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
			v := w.p[from]
			if zero {
				v = 0
			}
			w.p[to] = w.p[to]&^m | v&m
		}})
	case d.list != nil && s.list == nil:
		n := len(d.list)
		if n == 0 || sizes[kind]%n != 0 {
			c.refuse("%d parts of .%s", n, kind)
		}
		each := 8 * sizes[kind] / n
		from := c.src(s, kind)
		to := make([]int32, n)
		for i := range to {
			to[i] = c.dst(&d.list[i])
		}
		c.lanes(func(w *warp, i int) {
			v := w.row(from)[i]
			for k, to := range to {
				w.r[to][i] = v >> (each * k) & low(each)
			}
		})
	case s.list != nil:
		n := len(s.list)
		if n == 0 || sizes[kind]%n != 0 {
			c.refuse("%d parts of .%s", n, kind)
		}
		each := 8 * sizes[kind] / n
		from := make([]int32, n)
		for i := range from {
			from[i] = c.src(&s.list[i], map[int]string{8: "b8", 16: "b16", 32: "b32"}[each])
		}
		to := c.dst(d)
		c.lanes(func(w *warp, i int) {
			v := uint64(0)
			for k, from := range from {
				v |= w.row(from)[i] & low(each) << (each * k)
			}
			w.r[to][i] = v
		})
	case clocks[s.text]:
		to, n := c.dst(d), sizes[kind]
		c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
			w.b.l.clock += 10
			w.spread(to, m, w.b.l.clock&low(8*n))
		}})
	case c.k.async:
		to, from := c.dst(d), c.src(s, kind)
		c.emit(inst{kind: effect, do: func(w *warp, m uint32) { w.move(to, from, m) }})
	default:
		c.pure(copyRow, kind)
	}
}

// control adds what changes where threads go.
func (c *compiler) control(name string) {
	switch name {
	case "bra":
		c.args(1)
		j := jump{inst: len(c.k.code), label: c.s.args[0].text, scope: c.s.scope, line: c.s.line}
		c.f.jumps = append(c.f.jumps, j)
		c.emit(inst{kind: branch})
	case "ret":
		if c.depth > 1 {
			c.f.leaves = append(c.f.leaves, len(c.k.code))
			c.emit(inst{kind: branch})
			return
		}
		c.emit(inst{kind: leave})
	case "exit":
		c.emit(inst{kind: leave})
	case "trap":
		c.lanes(func(w *warp, i int) { w.fault(i, "a trap") })
	case "brx":
		c.args(2)
		list := c.m.targets[c.f.fn.scope][c.s.args[1].text]
		if len(list) == 0 {
			c.refuse("there is no list %s", c.s.args[1].text)
		}
		table := make([]int32, len(list))
		for i, label := range list {
			c.f.jumps = append(c.f.jumps, jump{label: label, scope: c.s.scope, table: table, k: i, line: c.s.line})
		}
		at := c.src(&c.s.args[0], "u32")
		c.emit(inst{kind: indexed, do: func(w *warp, m uint32) {
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m)
				v := w.row(at)[i]
				if v >= uint64(len(table)) {
					w.fault(i, "a jump to %d of a table of %d", v, len(table))
				}
				w.pcs[i] = table[v]
			}
		}})
	default:
		c.call()
	}
}

// call puts the body of the called function here.
func (c *compiler) call() {
	l := c.s.lists
	fn := c.m.functions[l[1][0]]
	if fn == nil || !fn.defined || fn.entry {
		c.refuse("there is no function %s", l[1][0])
	}
	if c.s.guard != "" {
		c.refuse("a call under a predicate")
	}
	if len(l[0]) != len(fn.results) || len(l[2]) != len(fn.params) {
		c.refuse("%s has %d results and %d parameters", fn.name, len(fn.results), len(fn.params))
	}
	alias := map[*variable]int{}
	bind := func(names []string, vars []*variable) {
		for i, name := range names {
			v := c.s.scope.variable(name)
			if v == nil || v.space != "param" {
				c.refuse("%s is no parameter", name)
			}
			if at, ok := c.f.alias[v]; ok {
				alias[vars[i]] = at
			} else {
				alias[vars[i]] = c.localAt(v)
			}
		}
	}
	bind(l[0], fn.results)
	bind(l[2], fn.params)
	c.function(fn, alias)
}
