package ptx

import (
	"math/bits"
)

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
