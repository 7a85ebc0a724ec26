package ptx

import (
	"math"
)

var quickConversions = map[string]op{
	"cvt.rn.bf16.f32": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = toBF16(f32(a[i]))
		}
	},
	"cvt.rn.bf16x2.f32": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = toBF16(f32(a[i]))<<16 | toBF16(f32(b[i]))
		}
	},
	"cvt.f32.bf16": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = a[i] & 0xffff << 16
		}
	},
	"cvt.rn.f32.s32": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = bits32(float32(int32(a[i])))
		}
	},
	"cvt.rn.f32.u32": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = bits32(float32(uint32(a[i])))
		}
	},
	"cvt.f64.f32": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = math.Float64bits(float64(f32(a[i])))
		}
	},
	"cvt.rn.f32.f64": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = bits32(float32(f64(a[i])))
		}
	},
	"cvt.u64.u32": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = a[i] & 0xffffffff
		}
	},
	"cvt.u32.u64": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = a[i] & 0xffffffff
		}
	},
	"cvt.s64.s32": func(d, a, _, _ *row) {
		for i := range d {
			d[i] = uint64(int64(int32(a[i])))
		}
	},
}

// cvt converts between types.
func (c *compiler) cvt() {
	if len(c.s.op) < 3 {
		c.refuse("no types")
	}
	if c.s.op[1] == "pack" {
		c.refuse("packing is not done")
	}
	to, from := c.s.op[len(c.s.op)-2], c.s.op[len(c.s.op)-1]
	if to == "f16x2" || to == "bf16x2" {
		c.cvtTwo(to, from)
		return
	}
	c.args(2)
	if fn := quickConversions[c.s.name()]; fn != nil && c.width(&c.s.args[0]) == 8*sizes[to] {
		c.pure(fn, from)
		return
	}
	if sizes[to] == 0 || sizes[from] == 0 {
		c.refuse("a type that it has not")
	}
	width := low(c.width(&c.s.args[0]))
	var f func(uint64) uint64
	switch {
	case isFloat(from) && (isFloat(to) || to == "tf32"):
		f = c.floatToFloat(to, from)
	case isFloat(from):
		f = c.floatToInt(to, from)
	case isFloat(to):
		f = c.intToFloat(to, from)
	default:
		f = c.intToInt(to, from)
	}
	c.pure(each1(func(v uint64) uint64 { return f(v) & width }), from)
}

func (c *compiler) cvtTwo(to, from string) {
	if fn := quickConversions[c.s.name()]; fn != nil {
		c.pure(fn, from, from)
		return
	}
	f := c.floatToFloat(to[:len(to)-2], from)
	c.pure(each2(func(a, b uint64) uint64 { return f(a)<<16 | f(b) }), from, from)
}

var integral = map[string]string{"rni": "rn", "rzi": "rz", "rmi": "rm", "rpi": "rp"}

// integral returns the mode of rounding to an integer, or empty.
func (c *compiler) integral() string {
	for _, m := range c.s.op[1:] {
		if integral[m] != "" {
			return integral[m]
		}
	}
	return ""
}

func (c *compiler) floatToFloat(to, from string) func(uint64) uint64 {
	as, enc := decoder(from), encoder(to, c.mode())
	if as == nil || enc == nil {
		c.refuse("a type that it has not")
	}
	whole, sat, relu, ftz := c.integral(), c.has("sat"), c.has("relu"), c.has("ftz")
	nan := formats[to].nan << formats[to].shift
	if to == "f64" {
		nan = 0x7fffffffffffffff
	}
	return func(v uint64) uint64 {
		if ftz && from == "f32" {
			v = flushed(v)
		}
		x := as(v)
		if whole != "" {
			x = rounded(x, whole)
		}
		if sat {
			x = saturate(x)
		}
		if relu && x <= 0 {
			x = 0
		}
		if x != x {
			return nan
		}
		r := enc(x)
		if ftz && to == "f32" {
			r = flushed(r)
		}
		return r
	}
}

// rounded rounds to an integer, and keeps the sign.
func rounded(x float64, mode string) float64 {
	return math.Copysign(whole(math.Abs(x), mode, x < 0), x)
}

func (c *compiler) floatToInt(to, from string) func(uint64) uint64 {
	as, mode, n := decoder(from), c.integral(), 8*sizes[to]
	if as == nil || mode == "" {
		c.refuse("a type that it has not")
	}
	ext := c.width(&c.s.args[0])
	return func(v uint64) uint64 {
		x := rounded(as(v), mode)
		if x != x {
			return map[bool]uint64{false: 0, true: 1 << (n - 1)}[n == 64]
		}
		if to[0] == 's' {
			edge := math.Ldexp(1, n-1)
			switch {
			case x >= edge:
				return low(n - 1)
			case x < -edge:
				return -(uint64(1) << (n - 1)) & low(ext)
			}
			return uint64(int64(x))
		}
		switch {
		case x <= 0:
			return 0
		case x >= math.Ldexp(1, n):
			return low(n)
		}
		return uint64(x)
	}
}

func (c *compiler) intToFloat(to, from string) func(uint64) uint64 {
	n, sign, mode := 8*sizes[from], from[0] == 's', c.mode()
	enc := encoder(to, mode)
	if enc == nil {
		c.refuse("a type that it has not")
	}
	if n == 64 && mode != "rn" {
		c.refuse("this rounding is not done")
	}
	return func(v uint64) uint64 {
		v &= low(n)
		if !sign {
			if to == "f32" && mode == "rn" {
				return uint64(math.Float32bits(float32(v)))
			}
			return enc(float64(v))
		}
		x := signed(v, n)
		if to == "f32" && mode == "rn" {
			return uint64(math.Float32bits(float32(x)))
		}
		return enc(float64(x))
	}
}

func (c *compiler) intToInt(to, from string) func(uint64) uint64 {
	n, m, sat := 8*sizes[from], 8*sizes[to], c.has("sat")
	return func(v uint64) uint64 {
		v &= low(n)
		if from[0] == 's' {
			v = uint64(signed(v, n))
		}
		if sat {
			v = clampInt(v, from[0] == 's', to[0] == 's', m)
		}
		if to[0] == 's' {
			return uint64(signed(v, m))
		}
		return v & low(m)
	}
}

// clampInt brings v, of 64 bits, into the range of n.
func clampInt(v uint64, from, to bool, n int) uint64 {
	negative := from && int64(v) < 0
	switch {
	case to && negative:
		return uint64(max(int64(v), -1<<(n-1)))
	case negative:
		return 0
	case to:
		return min(v, low(n-1))
	}
	return min(v, low(n))
}
