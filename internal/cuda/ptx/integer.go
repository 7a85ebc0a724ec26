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
