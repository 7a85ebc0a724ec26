package ptx

import "math"

// atomics returns what an atomic operation makes of the old value and its operand.
func atomics(name, kind string) func(old, v uint64) uint64 {
	n := 8 * sizes[kind]
	switch name {
	case "exch":
		return func(_, v uint64) uint64 { return v }
	case "and":
		return func(old, v uint64) uint64 { return old & v }
	case "or":
		return func(old, v uint64) uint64 { return old | v }
	case "xor":
		return func(old, v uint64) uint64 { return old ^ v }
	case "inc":
		return func(old, v uint64) uint64 {
			if old >= v {
				return 0
			}
			return old + 1
		}
	case "dec":
		return func(old, v uint64) uint64 {
			if old == 0 || old > v {
				return v
			}
			return old - 1
		}
	case "add":
		switch kind {
		case "f32":
			return func(old, v uint64) uint64 { return bits32(f32(old) + f32(v)) }
		case "f64":
			return func(old, v uint64) uint64 { return math.Float64bits(f64(old) + f64(v)) }
		case "u32", "s32", "u64", "s64":
			return func(old, v uint64) uint64 { return (old + v) & low(n) }
		}
	case "min", "max":
		first := func(old, v uint64) bool { return old < v }
		if kind[0] == 's' {
			first = func(old, v uint64) bool { return signed(old, n) < signed(v, n) }
		}
		if isFloat(kind) {
			return nil
		}
		return func(old, v uint64) uint64 {
			if first(old, v) == (name == "min") {
				return old
			}
			return v
		}
	}
	return nil
}

// atomic adds atom and red.
func (c *compiler) atomic(kind string) {
	args := c.s.args
	d := c.sink
	if c.s.op[0] == "atom" {
		if len(args) == 0 {
			c.args(3)
		}
		d, args = c.dst(&args[0]), args[1:]
	}
	name := ""
	for _, m := range c.s.op[1:] {
		switch m {
		case "add", "inc", "dec", "exch", "cas", "min", "max", "and", "or", "xor":
			name = m
		}
	}
	size := sizes[kind]
	if size != 4 && size != 8 && !(name == "cas" && size == 2) {
		c.refuse("a type that it has not")
	}
	if len(args) != 2 && !(name == "cas" && len(args) == 3) {
		c.refuse("operands that it has not")
	}
	base, a := c.address(&args[0])
	a.size, a.align, a.write, a.atom = size, size, true, true
	c.k.grain = min(c.k.grain, size)
	x := c.src(&args[1], kind)
	if name == "cas" {
		if len(args) != 3 {
			c.refuse("operands that it has not")
		}
		y := c.src(&args[2], kind)
		c.lanes(func(w *warp, i int) {
			b := w.bytes(i, w.row(base)[i]+a.off, &a)
			old := load(b, size)
			if old == w.row(x)[i] {
				store(b, size, w.row(y)[i])
			}
			w.r[d][i] = old
		})
		return
	}
	fn := atomics(name, kind)
	if fn == nil {
		c.refuse("unknown instruction")
	}
	c.lanes(func(w *warp, i int) {
		b := w.bytes(i, w.row(base)[i]+a.off, &a)
		old := load(b, size)
		store(b, size, fn(old, w.row(x)[i]))
		w.r[d][i] = old
	})
}
