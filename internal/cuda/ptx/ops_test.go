package ptx

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"testing"
)

func TestIntegers(t *testing.T) {
	s32 := func(v uint64) int64 { return int64(int32(v)) }
	two := func(f func(a, b int64) int64, n int) func(v []uint64) uint64 {
		return func(v []uint64) uint64 { return uint64(f(signed(v[0], n), signed(v[1], n))) & low(n) }
	}
	div := func(a, b int64) int64 {
		if b == 0 {
			return -1
		}
		return a / b
	}
	for _, c := range []struct {
		op, result string
		kinds      string
		want       func(v []uint64) uint64
	}{
		{"add.s32", "s32", "s32 s32", two(func(a, b int64) int64 { return a + b }, 32)},
		{"sub.s16", "s16", "s16 s16", two(func(a, b int64) int64 { return a - b }, 16)},
		{"sub.u64", "u64", "u64 u64", two(func(a, b int64) int64 { return a - b }, 64)},
		{"mul.lo.s32", "s32", "s32 s32", two(func(a, b int64) int64 { return a * b }, 32)},
		{"mul.hi.s32", "s32", "s32 s32", two(func(a, b int64) int64 { return a * b >> 32 }, 32)},
		{"mul.hi.u32", "u32", "u32 u32", func(v []uint64) uint64 { return v[0] * v[1] >> 32 }},
		{"mul.hi.s64", "s64", "s64 s64", func(v []uint64) uint64 {
			x := new(big.Int).Mul(big.NewInt(int64(v[0])), big.NewInt(int64(v[1])))
			return uint64(x.Rsh(x, 64).Int64())
		}},
		{"mul.wide.s16", "s32", "s16 s16", func(v []uint64) uint64 {
			return uint64(signed(v[0], 16)*signed(v[1], 16)) & low(32)
		}},
		{"mul.wide.s32", "s64", "s32 s32", func(v []uint64) uint64 { return uint64(s32(v[0]) * s32(v[1])) }},
		{"mul.wide.u32", "u64", "u32 u32", func(v []uint64) uint64 { return v[0] * v[1] }},
		{"mad.lo.s32", "s32", "s32 s32 s32", func(v []uint64) uint64 { return (v[0]*v[1] + v[2]) & low(32) }},
		{"mad.wide.s32", "s64", "s32 s32 s64", func(v []uint64) uint64 { return uint64(s32(v[0])*s32(v[1])) + v[2] }},
		{"div.s32", "s32", "s32 s32", two(div, 32)},
		{"div.s64", "s64", "s64 s64", two(div, 64)},
		{"rem.u32", "u32", "u32 u32", func(v []uint64) uint64 {
			if v[1] == 0 {
				return v[0]
			}
			return v[0] % v[1]
		}},
		{"min.s32", "s32", "s32 s32", two(func(a, b int64) int64 { return min(a, b) }, 32)},
		{"max.u64", "u64", "u64 u64", func(v []uint64) uint64 { return max(v[0], v[1]) }},
		{"abs.s32", "s32", "s32", func(v []uint64) uint64 { return uint64(max(s32(v[0]), -s32(v[0]))) & low(32) }},
		{"neg.s16", "s16", "s16", func(v []uint64) uint64 { return -v[0] & low(16) }},
		{"and.b32", "b32", "b32 b32", func(v []uint64) uint64 { return v[0] & v[1] }},
		{"xor.b16", "b16", "b16 b16", func(v []uint64) uint64 { return v[0] ^ v[1] }},
		{"not.b32", "b32", "b32", func(v []uint64) uint64 { return ^v[0] & low(32) }},
		{"shl.b32", "b32", "b32 u32", func(v []uint64) uint64 { return uint64(uint32(v[0]) << v[1]) }},
		{"shr.u64", "u64", "u64 u32", func(v []uint64) uint64 { return v[0] >> v[1] }},
		{"shr.s32", "s32", "s32 u32", func(v []uint64) uint64 { return uint64(s32(v[0])>>v[1]) & low(32) }},
		{"popc.b64", "u32", "b64", func(v []uint64) uint64 { return uint64(bits.OnesCount64(v[0])) }},
		{"clz.b32", "u32", "b32", func(v []uint64) uint64 { return uint64(bits.LeadingZeros32(uint32(v[0]))) }},
		{"brev.b32", "b32", "b32", func(v []uint64) uint64 { return uint64(bits.Reverse32(uint32(v[0]))) }},
		{"bfind.u32", "u32", "u32", func(v []uint64) uint64 { return uint64(bits.Len32(uint32(v[0]))-1) & low(32) }},
		{"shf.l.wrap.b32", "b32", "b32 b32 u32", func(v []uint64) uint64 {
			return (v[1]<<32 | v[0]) << (v[2] & 31) >> 32
		}},
		{"shf.r.clamp.b32", "b32", "b32 b32 u32", func(v []uint64) uint64 {
			return (v[1]<<32 | v[0]) >> min(v[2], 32) & low(32)
		}},
		{"prmt.b32", "b32", "b32 b32 b32", func(v []uint64) uint64 {
			out := uint64(0)
			for i := range 4 {
				sel := v[2] >> (4 * i) & 15
				b := byte((v[1]<<32 | v[0]) >> (8 * (sel & 7)))
				if sel > 7 {
					b = byte(int8(b) >> 7)
				}
				out |= uint64(b) << (8 * i)
			}
			return out
		}},
		{"bfe.u32", "u32", "u32 u32 u32", func(v []uint64) uint64 {
			out := uint64(0)
			for i := uint64(0); i < v[2]&255; i++ {
				if p := v[1]&255 + i; p < 32 && i < 32 {
					out |= v[0] >> p & 1 << i
				}
			}
			return out
		}},
		{"bfe.s32", "s32", "s32 u32 u32", func(v []uint64) uint64 {
			out, p, l := uint64(0), v[1]&255, v[2]&255
			if l == 0 {
				return 0
			}
			for i := range uint64(32) { // beyond the field, and beyond the register, the sign
				out |= v[0] >> min(p+min(i, l-1), 31) & 1 << i
			}
			return out
		}},
		{"setp.lt.s32", "pred", "s32 s32", func(v []uint64) uint64 { return truth(s32(v[0]) < s32(v[1])) }},
		{"setp.ge.u32", "pred", "u32 u32", func(v []uint64) uint64 { return truth(v[0] >= v[1]) }},
		{"setp.hi.u64", "pred", "u64 u64", func(v []uint64) uint64 { return truth(v[0] > v[1]) }},
		{"setp.le.s16", "pred", "s16 s16", func(v []uint64) uint64 { return truth(signed(v[0], 16) <= signed(v[1], 16)) }},
		{"setp.ne.b64", "pred", "b64 b64", func(v []uint64) uint64 { return truth(v[0] != v[1]) }},
	} {
		operation(t, c.op, c.result, strings.Fields(c.kinds), c.want, nil)
	}
	for _, lut := range []uint64{0x96, 0xe8, 0x80, 0xfe, 0x3c, 0x1b} {
		operation(t, fmt.Sprintf("lop3.b32 %%d, %%v0, %%v1, %%v2, %d", lut), "b32", []string{"b32", "b32", "b32"},
			func(v []uint64) uint64 {
				out := uint64(0)
				for i := range 32 {
					out |= lut >> (v[0]>>i&1<<2 | v[1]>>i&1<<1 | v[2]>>i&1) & 1 << i
				}
				return out
			}, nil)
	}
	operation(t, "bfi.b32 %d, %v0, %v1, %v2, %v3", "b32", []string{"b32", "b32", "u32", "u32"}, func(v []uint64) uint64 {
		out := v[1]
		for i := range v[3] & 255 {
			if p := v[2]&255 + i; p < 32 {
				out = out&^(1<<p) | v[0]>>i&1<<p
			}
		}
		return out
	}, nil)
}

func TestFloats(t *testing.T) {
	for _, kind := range []string{"f32", "f16", "bf16"} {
		as := decoder(kind)
		is := func(want func(v []uint64) float64) func(v []uint64) uint64 {
			return func(v []uint64) uint64 { return formats[kind].encode(want(v), "rn") }
		}
		same := func(a, b uint64) bool { x, y := as(a), as(b); return x != x && y != y }
		operation(t, "fma.rn."+kind, kind, []string{kind, kind, kind},
			is(func(v []uint64) float64 { return exact(kind, as(v[0]), as(v[1]), as(v[2])) }), same)
		pairs := map[string]func(a, b float64) float64{
			"add.rn": func(a, b float64) float64 { return exact(kind, a, 1, b) },
			"sub.rn": func(a, b float64) float64 { return exact(kind, a, 1, -b) },
			"mul.rn": func(a, b float64) float64 { return exact(kind, a, b, math.Copysign(0, -1)) },
			"min": func(a, b float64) float64 {
				if a != a || b != b {
					return map[bool]float64{true: b, false: a}[a != a]
				}
				return math.Min(a, b)
			},
			"max": func(a, b float64) float64 {
				if a != a || b != b {
					return map[bool]float64{true: b, false: a}[a != a]
				}
				return math.Max(a, b)
			},
			"max.NaN": func(a, b float64) float64 {
				if a != a || b != b {
					return math.NaN()
				}
				return math.Max(a, b)
			},
		}
		if kind == "f32" {
			pairs["div.rn"] = func(a, b float64) float64 { return float64(float32(a) / float32(b)) }
		}
		for op, f := range pairs {
			operation(t, op+"."+kind, kind, []string{kind, kind},
				is(func(v []uint64) float64 { return f(as(v[0]), as(v[1])) }), same)
		}
		if kind == "f32" {
			continue
		}
		two := kind + "x2"
		each := func(f func(v []uint64) uint64) func(v []uint64) uint64 {
			return func(v []uint64) uint64 {
				var lo, hi []uint64
				for _, x := range v {
					lo, hi = append(lo, x&0xffff), append(hi, x>>16)
				}
				return f(lo) | f(hi)<<16
			}
		}
		operation(t, "fma.rn.relu."+two, "b32", []string{two, two, two}, each(is(func(v []uint64) float64 {
			return max(exact(kind, as(v[0]), as(v[1]), as(v[2])), 0)
		})), func(a, b uint64) bool {
			return (same(a&0xffff, b&0xffff) || a&0xffff == b&0xffff) && (same(a>>16, b>>16) || a>>16 == b>>16)
		})
	}
	f := func(v []uint64) float64 { return float64(f32(v[0])) }
	nan := func(a, b uint64) bool { return f32(a) != f32(a) && f32(b) != f32(b) }
	close := func(a, b uint64) bool {
		return nan(a, b) || math.Abs(float64(f32(a)-f32(b))) <= 1e-6*math.Abs(float64(f32(b)))
	}
	for op, g := range map[string]func(x float64) float64{"sqrt.rn.f32": math.Sqrt, "rsqrt.approx.f32": func(x float64) float64 {
		return 1 / math.Sqrt(x)
	}, "rcp.rn.f32": func(x float64) float64 { return 1 / x }, "ex2.approx.f32": math.Exp2, "lg2.approx.f32": math.Log2,
		"tanh.approx.f32": math.Tanh, "abs.f32": math.Abs, "neg.f32": func(x float64) float64 { return -x }} {
		operation(t, op, "f32", []string{"f32"}, func(v []uint64) uint64 { return bits32(float32(g(f(v)))) }, close)
	}
	for op, g := range map[string]func(a, b float32) bool{
		"eq": func(a, b float32) bool { return a == b }, "ne": func(a, b float32) bool { return a < b || a > b },
		"neu": func(a, b float32) bool { return a != b }, "lt": func(a, b float32) bool { return a < b },
		"geu": func(a, b float32) bool { return !(a < b) }, "leu": func(a, b float32) bool { return !(a > b) },
		"nan": func(a, b float32) bool { return a != a || b != b }, "num": func(a, b float32) bool { return a == a && b == b },
	} {
		operation(t, "setp."+op+".f32", "pred", []string{"f32", "f32"},
			func(v []uint64) uint64 { return truth(g(f32(v[0]), f32(v[1]))) }, nil)
	}
}

func TestConversions(t *testing.T) {
	nan := func(a, b uint64) bool { return f32(a) != f32(a) && f32(b) != f32(b) }
	clamp := func(x, lo, hi float64) float64 { return max(lo, min(x, hi)) }
	for _, c := range []struct {
		op, result, kind string
		want             func(v uint64) uint64
		same             func(a, b uint64) bool
	}{
		{"cvt.u64.u32", "u64", "u32", func(v uint64) uint64 { return v }, nil},
		{"cvt.s64.s32", "s64", "s32", func(v uint64) uint64 { return uint64(signed(v, 32)) }, nil},
		{"cvt.u16.u32", "u16", "u32", func(v uint64) uint64 { return v & 0xffff }, nil},
		{"cvt.s32.s8", "s32", "b32", func(v uint64) uint64 { return uint64(signed(v, 8)) & low(32) }, nil},
		{"cvt.sat.u8.s32", "u32", "s32", func(v uint64) uint64 { return uint64(clamp(float64(signed(v, 32)), 0, 255)) }, nil},
		{"cvt.rn.f32.s32", "f32", "s32", func(v uint64) uint64 { return bits32(float32(int32(v))) }, nil},
		{"cvt.rn.f32.u64", "f32", "u64", func(v uint64) uint64 {
			f, _ := new(big.Float).SetUint64(v).Float32()
			return bits32(f)
		}, nil},
		{"cvt.rn.f32.s64", "f32", "s64", func(v uint64) uint64 {
			f, _ := new(big.Float).SetInt64(int64(v)).Float32()
			return bits32(f)
		}, nil},
		{"cvt.rn.f64.u32", "f64", "u32", func(v uint64) uint64 { return math.Float64bits(float64(v)) }, nil},
		{"cvt.rzi.s32.f32", "s32", "f32", func(v uint64) uint64 {
			x := float64(f32(v))
			if x != x {
				return 0
			}
			return uint64(int64(math.Trunc(clamp(x, -1<<31, 1<<31-1)))) & low(32)
		}, nil},
		{"cvt.rni.u32.f32", "u32", "f32", func(v uint64) uint64 {
			x := float64(f32(v))
			if x != x {
				return 0
			}
			return uint64(math.RoundToEven(clamp(x, 0, 1<<32-1)))
		}, nil},
		{"cvt.rmi.f32.f32", "f32", "f32", func(v uint64) uint64 { return bits32(float32(math.Floor(float64(f32(v))))) }, nan},
		{"cvt.rpi.f32.f32", "f32", "f32", func(v uint64) uint64 { return bits32(float32(math.Ceil(float64(f32(v))))) }, nan},
		{"cvt.rni.f32.f32", "f32", "f32", func(v uint64) uint64 {
			return bits32(float32(math.RoundToEven(float64(f32(v)))))
		}, nan},
		{"cvt.sat.f32.f32", "f32", "f32", func(v uint64) uint64 {
			x := float64(f32(v))
			if !(x > 0) {
				return 0
			}
			return bits32(float32(min(x, 1)))
		}, nil},
		{"cvt.f64.f32", "f64", "f32", func(v uint64) uint64 { return math.Float64bits(float64(f32(v))) },
			func(a, b uint64) bool { return f64(a) != f64(a) && f64(b) != f64(b) }},
		{"cvt.rn.f32.f64", "f32", "f64", func(v uint64) uint64 { return bits32(float32(f64(v))) }, nan},
		{"cvt.f32.bf16", "f32", "b16", func(v uint64) uint64 { return v << 16 }, nan},
		{"cvt.f32.f16", "f32", "f16", func(v uint64) uint64 { return bits32(float32(fromF16(v))) }, nan},
		{"cvt.rn.bf16.f32", "b16", "f32", func(v uint64) uint64 {
			if x := f32(v); x != x {
				return 0x7fff
			}
			up, low := v>>16, v&0xffff
			if low > 0x8000 || low == 0x8000 && up&1 == 1 {
				up++
			}
			return up
		}, nil},
		{"cvt.rz.bf16.f32", "b16", "f32", func(v uint64) uint64 {
			if x := f32(v); x != x {
				return 0x7fff
			}
			return v >> 16
		}, nil},
		{"cvt.rn.relu.bf16.f32", "b16", "f32", func(v uint64) uint64 {
			if x := f32(v); x != x {
				return 0x7fff
			} else if x <= 0 {
				return 0
			}
			return toBF16(f32(v))
		}, nil},
		{"cvt.rn.bf16x2.f32 %d, %v0, 0f3F800000", "b32", "f32", func(v uint64) uint64 {
			return toBF16(f32(v))<<16 | 0x3f80
		}, nil},
		{"cvt.rna.tf32.f32", "b32", "f32", func(v uint64) uint64 {
			if x := f32(v); x != x {
				return 0x7fffe000
			}
			return (v + 0x1000) &^ 0x1fff & low(32)
		}, func(a, b uint64) bool { return b&0x7fffffff > 0x7f800000 }},
	} {
		operation(t, c.op, c.result, []string{c.kind}, func(v []uint64) uint64 { return c.want(v[0]) }, c.same)
	}
}
