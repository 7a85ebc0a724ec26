package ptx

import (
	"math"
	"strings"
)

func f32(v uint64) float32 { return math.Float32frombits(uint32(v)) }

func bits32(x float32) uint64 {
	if x != x {
		return 0x7fffffff
	}
	return uint64(math.Float32bits(x))
}

func f64(v uint64) float64 { return math.Float64frombits(v) }

var quick = map[string]op{
	"add.f32": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = bits32(f32(a[i]) + f32(b[i]))
		}
	},
	"sub.f32": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = bits32(f32(a[i]) - f32(b[i]))
		}
	},
	"mul.f32": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = bits32(f32(a[i]) * f32(b[i]))
		}
	},
	"div.f32": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = bits32(f32(a[i]) / f32(b[i]))
		}
	},
	"fma.f32": func(d, a, b, c *row) {
		for i := range d {
			d[i] = bits32(fma32(f32(a[i]), f32(b[i]), f32(c[i])))
		}
	},
	"add.f64": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = math.Float64bits(f64(a[i]) + f64(b[i]))
		}
	},
	"sub.f64": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = math.Float64bits(f64(a[i]) - f64(b[i]))
		}
	},
	"mul.f64": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = math.Float64bits(f64(a[i]) * f64(b[i]))
		}
	},
	"div.f64": func(d, a, b, _ *row) {
		for i := range d {
			d[i] = math.Float64bits(f64(a[i]) / f64(b[i]))
		}
	},
	"fma.f64": func(d, a, b, c *row) {
		for i := range d {
			d[i] = math.Float64bits(math.FMA(f64(a[i]), f64(b[i]), f64(c[i])))
		}
	},
}

// Functions of one number.
var unary = map[string]func(x float64) float64{
	"sqrt":  math.Sqrt,
	"rsqrt": func(x float64) float64 { return 1 / math.Sqrt(x) },
	"rcp":   func(x float64) float64 { return 1 / x },
	"ex2":   math.Exp2,
	"lg2":   math.Log2,
	"tanh":  math.Tanh,
	"sin":   math.Sin,
	"cos":   math.Cos,
}

// Functions of more, computed in float64: exact, or odd where they are not.
var binary64 = map[string]func(a, b float64) float64{
	"add": odd,
	"sub": func(a, b float64) float64 { return odd(a, -b) },
	"mul": func(a, b float64) float64 { return a * b },
	"div": func(a, b float64) float64 { return a / b },
	"min": func(a, b float64) float64 { return pick(a, b, a < b || a == b && math.Signbit(a)) },
	"max": func(a, b float64) float64 { return pick(a, b, a > b || a == b && math.Signbit(b)) },
}

// pick takes the number where one is none.
func pick(a, b float64, first bool) float64 {
	if b != b || first {
		return a
	}
	return b
}

// mode returns how an instruction rounds.
func (c *compiler) mode() string {
	for _, m := range c.s.op[1:] {
		switch m {
		case "rz", "rm", "rp", "rna":
			return m
		}
	}
	return "rn"
}

// floating adds the arithmetic of floats.
func (c *compiler) floating(name, kind string) {
	if name == "mad" {
		name = "fma"
	}
	n := map[string]int{"fma": 3, "add": 2, "sub": 2, "mul": 2, "div": 2, "min": 2, "max": 2, "copysign": 2}[name]
	if n == 0 {
		n = 1
	}
	if name == "min" || name == "max" {
		n = len(c.s.args) - 1
	}
	if n < 1 || n > 3 {
		c.refuse("%d operands", n+1)
	}
	fn := c.floatOp(name, kind, n)
	if fn == nil {
		c.refuse("unknown instruction")
	}
	kinds := []string{kind, kind, kind}[:n]
	c.pure(fn, kinds...)
}

func (c *compiler) floatOp(name, kind string, n int) op {
	single, two := strings.CutSuffix(kind, "x2")
	as, size := decoder(single), sizes[single]
	if as == nil {
		return nil
	}
	mode := c.mode()
	if name == "abs" || name == "neg" || name == "copysign" {
		return signs(name, 8*size, two)
	}
	if fn := quick[name+"."+kind]; fn != nil && mode == "rn" && !c.has("ftz") && !c.has("sat") {
		return fn
	}
	if kind == "f64" && mode != "rn" {
		c.refuse("this rounding of .f64 is not done")
	}
	to := encoder(single, mode)
	f := c.lane(name, kind, n)
	if f == nil {
		return nil
	}
	sat, relu, flush := c.has("sat"), c.has("relu"), c.has("ftz") && single == "f32"
	one := func(a, b, d uint64) uint64 {
		if flush {
			a, b, d = flushed(a), flushed(b), flushed(d)
		}
		x := f(as(a), as(b), as(d))
		if sat {
			x = saturate(x)
		}
		if relu && x <= 0 {
			x = 0
		}
		v := to(x)
		if x != x {
			v = formats[single].nan
			if single == "f64" {
				v = math.Float64bits(math.NaN())
			}
		}
		if flush {
			v = flushed(v)
		}
		return v
	}
	if two {
		return each3(func(a, b, d uint64) uint64 {
			return one(a&0xffff, b&0xffff, d&0xffff) | one(a>>16, b>>16, d>>16)<<16
		})
	}
	return each3(one)
}

// lane returns what an instruction computes of a thread's numbers.
func (c *compiler) lane(name, kind string, n int) func(a, b, d float64) float64 {
	if f := unary[name]; f != nil {
		return func(a, _, _ float64) float64 { return f(a) }
	}
	if name == "fma" {
		if kind == "f64" {
			return math.FMA
		}
		return func(a, b, d float64) float64 { return odd(a*b, d) }
	}
	f := binary64[name]
	if f == nil {
		return nil
	}
	if kind == "f64" && (name == "add" || name == "sub") {
		f = map[string]func(a, b float64) float64{
			"add": func(a, b float64) float64 { return a + b },
			"sub": func(a, b float64) float64 { return a - b },
		}[name]
	}
	if name == "div" && kind == "f32" && c.mode() == "rn" {
		f = func(a, b float64) float64 { return float64(float32(a) / float32(b)) }
	}
	strict := c.has("NaN")
	return func(a, b, d float64) float64 {
		x := f(a, b)
		if n == 3 {
			x = f(x, d)
		}
		if strict && (a != a || b != b || n == 3 && d != d) {
			return math.NaN()
		}
		return x
	}
}

// flushed makes zero of what is not a normal float32.
func flushed(v uint64) uint64 {
	if v&0x7f800000 == 0 {
		return v & 0x80000000
	}
	return v
}

func saturate(x float64) float64 {
	if !(x > 0) {
		return 0
	}
	return min(x, 1)
}

// signs works on the sign bits of one or two numbers.
func signs(name string, n int, two bool) op {
	sign := uint64(1) << (n - 1)
	if two {
		sign |= sign << 16
	}
	switch name {
	case "abs":
		return func(d, a, _, _ *row) {
			for i := range d {
				d[i] = a[i] &^ sign
			}
		}
	case "neg":
		return func(d, a, _, _ *row) {
			for i := range d {
				d[i] = a[i] ^ sign
			}
		}
	}
	return func(d, a, b, _ *row) { // copysign: of a
		for i := range d {
			d[i] = b[i]&^sign | a[i]&sign
		}
	}
}
