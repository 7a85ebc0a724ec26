package ptx

import (
	"math/bits"
	"unsafe"
)

type unsigned interface{ uint16 | uint32 | uint64 }

type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

// mask returns ones for the bits of a type.
func mask[T integer]() uint64 {
	var t T
	return low(8 * int(unsafe.Sizeof(t)))
}

// sized picks by the size of a type.
func sized[T any](kind string, of16, of32, of64 T) T {
	switch sizes[kind] {
	case 8:
		return of64
	case 4:
		return of32
	}
	return of16
}

// typed picks by size and sign.
func typed[T any](kind string, s16, s32, s64, u16, u32, u64 T) T {
	if kind[0] == 's' {
		return sized(kind, s16, s32, s64)
	}
	return sized(kind, u16, u32, u64)
}

func add[T unsigned](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(T(a[i]) + T(b[i]))
	}
}

func sub[T unsigned](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(T(a[i]) - T(b[i]))
	}
}

func mul[T unsigned](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(T(a[i]) * T(b[i]))
	}
}

func mad[T unsigned](d, a, b, c *row) {
	for i := range d {
		d[i] = uint64(T(a[i])*T(b[i]) + T(c[i]))
	}
}

func and(d, a, b, _ *row) {
	for i := range d {
		d[i] = a[i] & b[i]
	}
}

func or(d, a, b, _ *row) {
	for i := range d {
		d[i] = a[i] | b[i]
	}
}

func xor(d, a, b, _ *row) {
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
}

func not[T unsigned](d, a, _, _ *row) {
	for i := range d {
		d[i] = uint64(^T(a[i]))
	}
}

func copyRow(d, a, _, _ *row) { *d = *a }

func shl[T unsigned](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(T(a[i]) << uint32(b[i]))
	}
}

func shr[T integer](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(T(a[i])>>uint32(b[i])) & mask[T]()
	}
}

func least[T integer](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(min(T(a[i]), T(b[i]))) & mask[T]()
	}
}

func most[T integer](d, a, b, _ *row) {
	for i := range d {
		d[i] = uint64(max(T(a[i]), T(b[i]))) & mask[T]()
	}
}

func quotient[T integer](d, a, b, _ *row) {
	for i := range d {
		if T(b[i]) == 0 {
			d[i] = mask[T]()
			continue
		}
		d[i] = uint64(T(a[i])/T(b[i])) & mask[T]()
	}
}

func remainder[T integer](d, a, b, _ *row) {
	for i := range d {
		if T(b[i]) == 0 {
			d[i] = a[i]
			continue
		}
		d[i] = uint64(T(a[i])%T(b[i])) & mask[T]()
	}
}

func magnitude[T integer](d, a, _, _ *row) {
	for i := range d {
		x := T(a[i])
		d[i] = uint64(max(x, -x)) & mask[T]()
	}
}

func negate[T unsigned](d, a, _, _ *row) {
	for i := range d {
		d[i] = uint64(-T(a[i]))
	}
}

// wide multiplies to twice the size; plus says that c is added.
func wide[T, U integer](plus bool) op {
	if plus {
		return func(d, a, b, c *row) {
			for i := range d {
				d[i] = uint64(U(T(a[i]))*U(T(b[i]))+U(c[i])) & mask[U]()
			}
		}
	}
	return func(d, a, b, _ *row) {
		for i := range d {
			d[i] = uint64(U(T(a[i]))*U(T(b[i]))) & mask[U]()
		}
	}
}

// high returns the upper half of a product.
func high(kind string) func(a, b uint64) uint64 {
	n := 8 * sizes[kind]
	if kind[0] == 's' {
		if n == 64 {
			return func(a, b uint64) uint64 {
				h, _ := bits.Mul64(a, b)
				if int64(a) < 0 {
					h -= b
				}
				if int64(b) < 0 {
					h -= a
				}
				return h
			}
		}
		return func(a, b uint64) uint64 { return uint64(signed(a, n)*signed(b, n)>>n) & low(n) }
	}
	if n == 64 {
		return func(a, b uint64) uint64 { h, _ := bits.Mul64(a, b); return h }
	}
	return func(a, b uint64) uint64 { return a * b >> n & low(n) }
}

// signed reads the low n bits.
func signed(v uint64, n int) int64 { return int64(v<<(64-n)) >> (64 - n) }

// Operations given for one thread.
func each1(f func(a uint64) uint64) op {
	return func(d, a, _, _ *row) {
		for i := range d {
			d[i] = f(a[i])
		}
	}
}

func each2(f func(a, b uint64) uint64) op {
	return func(d, a, b, _ *row) {
		for i := range d {
			d[i] = f(a[i], b[i])
		}
	}
}

func each3(f func(a, b, c uint64) uint64) op {
	return func(d, a, b, c *row) {
		for i := range d {
			d[i] = f(a[i], b[i], c[i])
		}
	}
}

// arithmetic adds add, sub, mul, … of integers.
func (c *compiler) arithmetic(name, kind string) {
	n := 8 * sizes[kind]
	if n < 16 {
		c.refuse("a type that it has not")
	}
	switch name {
	case "add", "sub":
		if c.has("sat") {
			c.pure(each2(func(a, b uint64) uint64 {
				x := signed(a, 32) + signed(b, 32)
				if name == "sub" {
					x = signed(a, 32) - signed(b, 32)
				}
				return uint64(min(max(x, -1<<31), 1<<31-1)) & low(32)
			}), kind, kind)
			return
		}
		if c.has("cc") {
			c.refuse("carries are not done")
		}
		if name == "add" {
			c.pure(sized[op](kind, add[uint16], add[uint32], add[uint64]), kind, kind)
		} else {
			c.pure(sized[op](kind, sub[uint16], sub[uint32], sub[uint64]), kind, kind)
		}
	case "mul", "mad":
		c.product(name == "mad", kind)
	case "mul24":
		c.pure(typed[op](kind, nil, wide24[int64](false), nil, nil, wide24[uint64](false), nil), kind, kind)
	case "mad24":
		c.pure(typed[op](kind, nil, wide24[int64](true), nil, nil, wide24[uint64](true), nil), kind, kind, kind)
	case "div":
		c.pure(typed[op](kind, quotient[int16], quotient[int32], quotient[int64],
			quotient[uint16], quotient[uint32], quotient[uint64]), kind, kind)
	case "rem":
		c.pure(typed[op](kind, remainder[int16], remainder[int32], remainder[int64],
			remainder[uint16], remainder[uint32], remainder[uint64]), kind, kind)
	case "min", "max":
		fn := typed[op](kind, least[int16], least[int32], least[int64], least[uint16], least[uint32], least[uint64])
		if name == "max" {
			fn = typed[op](kind, most[int16], most[int32], most[int64], most[uint16], most[uint32], most[uint64])
		}
		if c.has("relu") {
			plain := fn
			fn = func(d, a, b, c *row) {
				plain(d, a, b, c)
				for i := range d {
					d[i] = uint64(max(int32(d[i]), 0))
				}
			}
		}
		c.pure(fn, kind, kind)
	case "abs":
		c.pure(sized[op](kind, magnitude[int16], magnitude[int32], magnitude[int64]), kind)
	case "neg":
		c.pure(sized[op](kind, negate[uint16], negate[uint32], negate[uint64]), kind)
	case "sad":
		c.pure(each3(func(a, b, s uint64) uint64 {
			if kind[0] == 's' {
				x := signed(a, n) - signed(b, n)
				return (uint64(max(x, -x)) + s) & low(n)
			}
			return (max(a, b) - min(a, b) + s) & low(n)
		}), kind, kind, kind)
	default:
		c.refuse("unknown instruction")
	}
}

func wide24[T int64 | uint64](plus bool) op {
	return func(d, a, b, c *row) {
		for i := range d {
			v := uint64((T(a[i]<<40) >> 40) * (T(b[i]<<40) >> 40))
			if plus {
				v += c[i]
			}
			d[i] = v & low(32)
		}
	}
}

// product adds mul and mad.
func (c *compiler) product(plus bool, kind string) {
	switch {
	case c.has("wide"):
		to := map[string]string{"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}[kind]
		fn := typed(kind, wide[int16, int32](plus), wide[int32, int64](plus), nil,
			wide[uint16, uint32](plus), wide[uint32, uint64](plus), nil)
		if fn == nil {
			c.refuse("a type that it has not")
		}
		if plus {
			c.pure(fn, kind, kind, to)
		} else {
			c.pure(fn, kind, kind)
		}
	case c.has("hi"):
		f := high(kind)
		if plus {
			n := 8 * sizes[kind]
			c.pure(each3(func(a, b, c uint64) uint64 { return (f(a, b) + c) & low(n) }), kind, kind, kind)
		} else {
			c.pure(each2(f), kind, kind)
		}
	case plus:
		c.pure(sized[op](kind, mad[uint16], mad[uint32], mad[uint64]), kind, kind, kind)
	default:
		c.pure(sized[op](kind, mul[uint16], mul[uint32], mul[uint64]), kind, kind)
	}
}

// bitwise adds what works on bits.
func (c *compiler) bitwise(name, kind string) {
	n := 8 * sizes[kind]
	sign := kind[0] == 's'
	switch name {
	case "and", "or", "xor":
		c.pure(map[string]op{"and": and, "or": or, "xor": xor}[name], kind, kind)
	case "not":
		c.pure(sized[op](kind, not[uint16], not[uint32], not[uint64]), kind)
	case "cnot":
		c.pure(each1(func(a uint64) uint64 {
			if a == 0 {
				return 1
			}
			return 0
		}), kind)
	case "shl":
		c.pure(sized[op](kind, shl[uint16], shl[uint32], shl[uint64]), kind, "u32")
	case "shr":
		c.pure(typed[op](kind, shr[int16], shr[int32], shr[int64], shr[uint16], shr[uint32], shr[uint64]), kind, "u32")
	case "popc":
		c.pure(each1(func(a uint64) uint64 { return uint64(bits.OnesCount64(a)) }), kind)
	case "clz":
		c.pure(each1(func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a) - (64 - n)) }), kind)
	case "brev":
		c.pure(each1(func(a uint64) uint64 { return bits.Reverse64(a) >> (64 - n) }), kind)
	case "bfind":
		shift := c.has("shiftamt")
		c.pure(each1(func(a uint64) uint64 {
			if sign && signed(a, n) < 0 {
				a = ^a & low(n)
			}
			if a == 0 {
				return low(32)
			}
			at := bits.Len64(a) - 1
			if shift {
				at = n - 1 - at
			}
			return uint64(at)
		}), kind)
	case "bfe":
		c.pure(each3(func(a, pos, length uint64) uint64 {
			p, l := int(pos&255), int(length&255)
			if l == 0 {
				return 0
			}
			top := uint64(0)
			if sign {
				top = a >> min(p+l-1, n-1) & 1
			}
			if p >= n {
				return -top & low(n)
			}
			v := a >> p & low(l)
			if keep := min(l, n-p); top != 0 {
				v |= ^low(keep)
			}
			return v & low(n)
		}), kind, "u32", "u32")
	case "bfi":
		c.args(5)
		d, a, b := c.dst(&c.s.args[0]), c.src(&c.s.args[1], kind), c.src(&c.s.args[2], kind)
		pos, length := c.src(&c.s.args[3], "u32"), c.src(&c.s.args[4], "u32")
		c.lanes(func(w *warp, i int) {
			p, l := w.row(pos)[i]&255, int(w.row(length)[i]&255)
			field := low(l) << p & low(n)
			w.r[d][i] = w.row(a)[i]<<p&field | w.row(b)[i]&^field
		})
	case "shf":
		left, clamp := c.has("l"), c.has("clamp")
		c.pure(each3(func(a, b, by uint64) uint64 {
			if by = by & low(32); clamp {
				by = min(by, 32)
			} else {
				by &= 31
			}
			v := b<<32 | a
			if left {
				return v << by >> 32
			}
			return v >> by & low(32)
		}), kind, kind, "u32")
	case "lop3":
		c.lop3()
	case "prmt":
		c.prmt()
	default:
		c.refuse("unknown instruction")
	}
}

func (c *compiler) lop3() {
	if len(c.s.args) != 5 || !c.s.args[4].num {
		c.refuse("operands that it has not")
	}
	lut := c.s.args[4].val
	c.s.args = c.s.args[:4:4]
	c.pure(each3(func(a, b, c uint64) uint64 {
		v := uint64(0)
		for k := range uint(8) {
			if lut>>k&1 == 0 {
				continue
			}
			x, y, z := ^a, ^b, ^c
			if k&4 != 0 {
				x = a
			}
			if k&2 != 0 {
				y = b
			}
			if k&1 != 0 {
				z = c
			}
			v |= x & y & z
		}
		return v & low(32)
	}), "b32", "b32", "b32")
}

func (c *compiler) prmt() {
	if len(c.s.op) > 2 {
		c.refuse("its modes are not done")
	}
	c.pure(each3(func(a, b, pick uint64) uint64 {
		v, from := uint64(0), b<<32|a
		for k := range 4 {
			sel := pick >> (4 * k)
			x := from >> (8 * (sel & 7)) & 255
			if sel&8 != 0 {
				x = x >> 7 * 255
			}
			v |= x << (8 * k)
		}
		return v
	}), "b32", "b32", "b32")
}
