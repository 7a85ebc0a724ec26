package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"vicreg/internal/cuda"
)

// other is the driver that this one is held against: with the tag native a real card, where
// there is one.
var other = func(t *testing.T) cuda.Driver { return New(Options{Seed: 5, Late: true}) }

// instructions are compared one by one: the instruction, the type of its result and
// those of its operands, and how far apart floats may be, relatively.
var instructions = []struct {
	op, result, kinds string
	within            float64
}{
	{"fma.rn.f32", "f32", "f32 f32 f32", 0}, {"add.rn.f32", "f32", "f32 f32", 0}, {"mul.rn.f32", "f32", "f32 f32", 0},
	{"div.rn.f32", "f32", "f32 f32", 0}, {"sqrt.rn.f32", "f32", "f32", 0}, {"rcp.rn.f32", "f32", "f32", 0},
	{"min.f32", "f32", "f32 f32", 0}, {"max.NaN.f32", "f32", "f32 f32", 0}, {"fma.rn.ftz.f32", "f32", "f32 f32 f32", 0},
	{"add.rz.f32", "f32", "f32 f32", 0}, {"mul.rp.f32", "f32", "f32 f32", 0}, {"fma.rm.f32", "f32", "f32 f32 f32", 0},
	{"add.sat.f32", "f32", "f32 f32", 0},
	{"rsqrt.approx.f32", "f32", "f32", 1e-6}, {"ex2.approx.f32", "f32", "f32", 1e-6}, {"tanh.approx.f32", "f32", "f32", 2e-3},
	{"lg2.approx.f32", "f32", "f32", 1e-5}, {"ex2.approx.ftz.f32", "f32", "f32", 1e-6},
	{"fma.rn.f64", "f64", "f64 f64 f64", 0}, {"div.rn.f64", "f64", "f64 f64", 0}, {"sqrt.rn.f64", "f64", "f64", 0},
	{"fma.rn.bf16x2", "bf16x2", "bf16x2 bf16x2 bf16x2", 0}, {"fma.rn.relu.bf16x2", "bf16x2", "bf16x2 bf16x2 bf16x2", 0},
	{"fma.rn.f16x2", "f16x2", "f16x2 f16x2 f16x2", 0}, {"add.rn.f16x2", "f16x2", "f16x2 f16x2", 0},
	{"mul.rn.f16x2", "f16x2", "f16x2 f16x2", 0}, {"max.bf16x2", "bf16x2", "bf16x2 bf16x2", 0},
	{"min.NaN.f16x2", "f16x2", "f16x2 f16x2", 0}, {"neg.bf16x2", "bf16x2", "bf16x2", 0}, {"abs.bf16x2", "bf16x2", "bf16x2", 0},
	{"cvt.rn.bf16.f32", "bf16", "f32", 0}, {"cvt.rz.bf16.f32", "bf16", "f32", 0}, {"cvt.rn.relu.bf16.f32", "bf16", "f32", 0},
	{"cvt.rn.bf16x2.f32", "bf16x2", "f32 f32", 0}, {"cvt.rn.f16.f32", "f16", "f32", 0}, {"cvt.f32.f16", "f32", "f16", 0},
	{"cvt.rna.tf32.f32", "f32", "f32", 0}, {"cvt.rzi.s32.f32", "b32", "f32", 0}, {"cvt.rni.u32.f32", "b32", "f32", 0},
	{"cvt.rmi.s64.f32", "b64", "f32", 0}, {"cvt.rzi.u64.f64", "b64", "f64", 0}, {"cvt.rzi.u16.f32", "b16", "f32", 0},
	{"cvt.rn.f32.s64", "f32", "b64", 0}, {"cvt.rn.f32.u64", "f32", "b64", 0}, {"cvt.rn.f64.s64", "f64", "b64", 0},
	{"cvt.rni.f32.f32", "f32", "f32", 0}, {"cvt.sat.f32.f32", "f32", "f32", 0}, {"cvt.rn.f32.f64", "f32", "f64", 0},
	{"cvt.sat.s16.s32", "b16", "b32", 0}, {"cvt.sat.u8.s32", "b32", "b32", 0},
	{"mul.hi.s32", "b32", "b32 b32", 0}, {"mul.hi.u64", "b64", "b64 b64", 0}, {"mul.hi.s64", "b64", "b64 b64", 0},
	{"bfe.u32", "b32", "b32 b32 b32", 0}, {"bfe.s32", "b32", "b32 b32 b32", 0}, {"bfe.s64", "b64", "b64 b32 b32", 0},
	{"prmt.b32", "b32", "b32 b32 b32", 0}, {"shf.l.wrap.b32", "b32", "b32 b32 b32", 0}, {"shf.r.clamp.b32", "b32", "b32 b32 b32", 0},
	{"shl.b32", "b32", "b32 b32", 0}, {"shr.s64", "b64", "b64 b32", 0}, {"bfind.s32", "b32", "b32", 0}, {"clz.b64", "b32", "b64", 0},
	{"add.sat.s32", "b32", "b32 b32", 0}, {"sad.s32", "b32", "b32 b32 b32", 0}, {"mul24.lo.s32", "b32", "b32 b32", 0},
}

var widths = map[string]int{"b16": 16, "bf16": 16, "f16": 16, "b64": 64, "f64": 64}

func width(kind string) int {
	if n := widths[kind]; n != 0 {
		return n
	}
	return 32
}

// source is a module with a kernel for each instruction.
func source() string {
	var s strings.Builder
	s.WriteString(".version 7.5\n.target sm_80\n.address_size 64\n")
	for i, in := range instructions {
		fmt.Fprintf(&s, ".visible .entry k%d(.param .u64 to, .param .u64 from) {\n", i)
		s.WriteString(".reg .b64 %a, %i; .reg .b32 %t, %n, %l;\n")
		kinds := strings.Fields(in.kinds)
		for j, k := range kinds {
			fmt.Fprintf(&s, ".reg .b%d %%v%d;\n", width(k), j)
		}
		fmt.Fprintf(&s, ".reg .b%d %%d;\n", width(in.result))
		s.WriteString("mov.u32 %t, %ctaid.x; mov.u32 %n, %ntid.x; mov.u32 %l, %tid.x; mad.lo.s32 %t, %t, %n, %l;\n" +
			"ld.param.u64 %a, [from]; mul.wide.u32 %i, %t, 24; add.s64 %a, %a, %i;\n")
		list := "%d"
		for j, k := range kinds {
			fmt.Fprintf(&s, "ld.global.b%d %%v%d, [%%a+%d];\n", width(k), j, 8*j)
			list += fmt.Sprintf(", %%v%d", j)
		}
		fmt.Fprintf(&s, "%s %s;\nld.param.u64 %%a, [to]; mul.wide.u32 %%i, %%t, 8; add.s64 %%a, %%a, %%i;\n", in.op, list)
		fmt.Fprintf(&s, "st.global.b%d [%%a], %%d; ret; }\n", width(in.result))
	}
	return s.String()
}

// numbers draws operands: bits as they come, numbers of all sizes, and edges.
func numbers(r *rand.Rand, kind string) uint64 {
	n := width(kind)
	v := r.Uint64() >> (64 - n)
	half, two := strings.CutSuffix(kind, "x2")
	if two {
		return numbers(r, half) | numbers(r, half)<<16
	}
	if r.IntN(4) == 0 || kind[0] == 'b' && kind[1] != 'f' {
		return v >> (r.IntN(n) * r.IntN(2))
	}
	x := r.NormFloat64() * math.Ldexp(1, r.IntN(30)-15)
	if r.IntN(4) == 0 {
		x = []float64{0, math.Copysign(0, -1), 1, 0.5, 2.5, -3.5, math.Inf(1), math.Inf(-1), math.NaN(), 1 << 31,
			-1 << 31, 65520, 0x1p-126, 0x1p-149, 0x1.fep127}[r.IntN(15)]
	}
	switch kind {
	case "f64":
		return math.Float64bits(x)
	case "f32":
		return uint64(math.Float32bits(float32(x)))
	case "bf16":
		return uint64(math.Float32bits(float32(x)) >> 16)
	}
	return v
}

// run does the k-th instruction for operands.
func run(t *testing.T, d cuda.Driver, m cuda.Module, k int, operands []byte, n int) []byte {
	t.Helper()
	f, err := d.Function(m, fmt.Sprintf("k%d", k), 0)
	ok(t, err)
	from, err := d.Alloc(len(operands))
	ok(t, err)
	to, err := d.Alloc(8 * n)
	ok(t, err)
	b, err := d.Pin(len(operands))
	ok(t, err)
	copy(b, operands)
	ok(t, d.Set(cuda.Compute, to, 0, 2*n))
	ok(t, d.Upload(cuda.Compute, from, b))
	args := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(to)), uint64(from))
	ok(t, d.Launch(cuda.Compute, f, [3]int{n / 128, 1, 1}, 128, 0, args))
	got := make([]byte, 8*n)
	ok(t, d.Download(cuda.Compute, got, to))
	ok(t, d.Free(from))
	ok(t, d.Free(to))
	ok(t, d.Unpin(b))
	return got
}

// TestSame holds each instruction against the other driver, for random operands.
func TestSame(t *testing.T) {
	const n = 4096
	drivers := []cuda.Driver{New(Options{}), other(t)}
	var modules []cuda.Module
	for _, d := range drivers {
		m, err := d.Load([]byte(source()))
		ok(t, err)
		modules = append(modules, m)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for k, in := range instructions {
		kinds := strings.Fields(in.kinds)
		operands := make([]byte, 24*n)
		for i := range n {
			for j, kind := range kinds {
				binary.LittleEndian.PutUint64(operands[24*i+8*j:], numbers(r, kind))
			}
		}
		ours, theirs := run(t, drivers[0], modules[0], k, operands, n), run(t, drivers[1], modules[1], k, operands, n)
		wrong := 0
		for i := range n {
			a, b := binary.LittleEndian.Uint64(ours[8*i:]), binary.LittleEndian.Uint64(theirs[8*i:])
			if agree(in.result, a, b, in.within) {
				continue
			}
			if wrong++; wrong == 1 {
				var v []string
				for j := range kinds {
					v = append(v, fmt.Sprintf("%#x", binary.LittleEndian.Uint64(operands[24*i+8*j:])))
				}
				t.Errorf("%s of %s: %#x here, %#x there", in.op, strings.Join(v, ", "), a, b)
			}
		}
		if wrong > 1 {
			t.Errorf("%s: %d of %d differ", in.op, wrong, n)
		}
	}
}

// agree says that two results are as close as they must be. All that are no numbers are
// the same.
func agree(kind string, a, b uint64, within float64) bool {
	half, two := strings.CutSuffix(kind, "x2")
	if two {
		return agree(half, a&0xffff, b&0xffff, within) && agree(half, a>>16, b>>16, within)
	}
	if a == b {
		return true
	}
	var x, y float64
	switch kind {
	case "f64":
		x, y = math.Float64frombits(a), math.Float64frombits(b)
	case "f32":
		x, y = float64(math.Float32frombits(uint32(a))), float64(math.Float32frombits(uint32(b)))
	case "bf16":
		x, y = float64(math.Float32frombits(uint32(a)<<16)), float64(math.Float32frombits(uint32(b)<<16))
	case "f16":
		return a&0x7fff > 0x7c00 && b&0x7fff > 0x7c00
	default:
		return false
	}
	return x != x && y != y || math.Abs(x-y) <= within*math.Abs(y)
}
