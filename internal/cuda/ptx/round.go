package ptx

import (
	"math"
)

// format is a binary floating-point type of at most 32 bits.
type format struct {
	digits int // of the fraction, without the first
	low    int // the smallest exponent of a normal number
	inf    uint64
	nan    uint64
	sign   uint64
	shift  int // left, of the whole
}

var formats = map[string]format{
	"f32":  {23, -126, 0x7f800000, 0x7fffffff, 1 << 31, 0},
	"tf32": {10, -126, 0x7f800000 >> 13, 0x7fffffff >> 13, 1 << 18, 13},
	"f16":  {10, -14, 0x7c00, 0x7fff, 1 << 15, 0},
	"bf16": {7, -126, 0x7f80, 0x7fff, 1 << 15, 0},
}

// encode rounds x: mode is rn (to even), rna (away from zero), rz, rm or rp.
func (f format) encode(x float64, mode string) uint64 {
	if x != x {
		return f.nan << f.shift
	}
	sign := uint64(0)
	if math.Signbit(x) {
		sign, x = f.sign, -x
	}
	v := f.inf
	if !math.IsInf(x, 0) {
		_, exp := math.Frexp(x)
		ulp := max(exp-1, f.low) - f.digits
		if x == 0 {
			ulp = f.low - f.digits
		}
		v = uint64(ulp+f.digits-f.low)<<f.digits + uint64(whole(math.Ldexp(x, -ulp), mode, sign != 0))
		if v >= f.inf {
			v = f.inf
			if mode == "rz" || mode == "rm" && sign == 0 || mode == "rp" && sign != 0 {
				v--
			}
		}
	}
	return (v | sign) << f.shift
}

// whole rounds the magnitude of a number to an integer.
func whole(x float64, mode string, negative bool) float64 {
	switch {
	case mode == "rz", mode == "rm" && !negative, mode == "rp" && negative:
		return math.Trunc(x)
	case mode == "rm", mode == "rp":
		return math.Ceil(x)
	case mode == "rna":
		return math.Round(x)
	}
	return math.RoundToEven(x)
}

func fromF32(v uint64) float64  { return float64(math.Float32frombits(uint32(v))) }
func fromBF16(v uint64) float64 { return float64(math.Float32frombits(uint32(v) << 16)) }

func fromF16(v uint64) float64 {
	sign := 1.0
	if v&0x8000 != 0 {
		sign = -1
	}
	exp, frac := int(v>>10&31), float64(v&1023)
	switch exp {
	case 0:
		return sign * frac * 0x1p-24
	case 31:
		if frac != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return math.Ldexp(sign*(1024+frac), exp-25)
}

// decoder returns what reads a type, or nil.
func decoder(kind string) func(uint64) float64 {
	switch kind {
	case "f64":
		return math.Float64frombits
	case "f32", "tf32":
		return fromF32
	case "f16":
		return fromF16
	case "bf16":
		return fromBF16
	}
	return nil
}

// encoder returns what writes a type, or nil.
func encoder(kind, mode string) func(float64) uint64 {
	if kind == "f64" {
		return math.Float64bits
	}
	if kind == "f32" && mode == "rn" {
		return func(x float64) uint64 { return uint64(math.Float32bits(float32(x))) }
	}
	f, ok := formats[kind]
	if !ok {
		return nil
	}
	return func(x float64) uint64 { return f.encode(x, mode) }
}

// toBF16 rounds to the nearest.
func toBF16(x float32) uint64 {
	v := math.Float32bits(x)
	if x != x {
		return 0x7fff
	}
	return uint64((v + 0x7fff + v>>16&1) >> 16)
}

// odd returns p + c with the last bit set where that is not exact, so that rounding the
// result to a shorter type rounds the exact sum.
func odd(p, c float64) float64 {
	s := p + c
	if s-s != 0 {
		return s
	}
	t := s - p
	rest := (p - (s - t)) + (c - t)
	v := math.Float64bits(s)
	if rest == 0 || v&1 == 1 {
		return s
	}
	if rest > 0 == (s > 0) {
		return math.Float64frombits(v + 1)
	}
	return math.Float64frombits(v - 1)
}

// fma32 returns a·b + c, rounded once.
func fma32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	v := math.Float64bits(s)
	if v&(1<<29-1) == 1<<28 || v<<1 < 0x3820000000000000<<1 { // half way, or not a normal number
		s = odd(p, float64(c))
	}
	return float32(s)
}
