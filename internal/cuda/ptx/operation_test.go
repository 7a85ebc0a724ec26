package ptx

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// edges are values of a type that are apt to go wrong, and random ones.
func edges(kind string, r *rand.Rand) []uint64 {
	n := 8 * sizes[kind]
	if half, two := strings.CutSuffix(kind, "x2"); two {
		list := edges(half, r)
		for i := range list {
			list[i] |= list[r.IntN(len(list))] & 0xffff << 16
		}
		return list
	}
	list := []uint64{0, 1, 2, 3, 7, 31, 32, 33, low(n), low(n - 1), 1 << (n - 1), 1<<(n-1) + 1, low(n) - 1,
		1 << (n / 2), 255, 100}
	add := func(x ...float64) {
		for _, x := range x {
			switch kind {
			case "f32":
				list = append(list, uint64(math.Float32bits(float32(x))))
			case "f64":
				list = append(list, math.Float64bits(x))
			case "bf16", "f16":
				list = append(list, formats[kind].encode(x, "rn"))
			}
		}
	}
	if isFloat(kind) {
		list = nil
		add(0, math.Copysign(0, -1), 1, -1, 0.5, 1.5, 2.5, -2.5, 3, 1e-3, 65504, -7.75, 100.25, 0x1p-24, 0x1p-126,
			-0x1p-140, 0x1p-149, 3.3895e38, 1e30, -1e20, math.Inf(1), math.Inf(-1), math.NaN(), 1.00390625, 1.01171875,
			0x1.000001p0,
			255.5, 256.5, -128.5, 2147483648, 4294967296, -2147483649, 1e-7, 0.1)
	}
	for range 40 {
		if v := r.Uint64() & low(n); !isFloat(kind) {
			list = append(list, v>>r.IntN(n))
		} else {
			add((r.Float64() - 0.5) * math.Ldexp(1, r.IntN(40)-20))
		}
	}
	return list
}

// operation runs one instruction for all combinations of values, at most a few thousand,
// and compares with what it should give.
func operation(t *testing.T, op, result string, kinds []string, want func(v []uint64) uint64,
	same func(a, b uint64) bool) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(len(op))))
	lists := make([][]uint64, len(kinds))
	for i, k := range kinds {
		lists[i] = edges(k, r)
	}
	var rows [][]uint64
	add := func(at []int) {
		row := make([]uint64, len(kinds))
		for i := range row {
			row[i] = lists[i][at[i]]
		}
		rows = append(rows, row)
	}
	at := make([]int, len(kinds))
	if len(kinds) < 3 {
		for at[0] = range lists[0] {
			if len(kinds) == 1 {
				add(at)
				continue
			}
			for at[1] = range lists[1] {
				add(at)
			}
		}
	} else {
		for range 6000 {
			for i := range at {
				at[i] = r.IntN(len(lists[i]))
			}
			add(at)
		}
	}
	var src strings.Builder
	src.WriteString(".version 7.5\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 to, .param .u64 from) {\n" +
		".reg .b64 %a, %b, %i; .reg .b32 %t; .reg .pred %p, %q;\nmov.u32 %t, %ctaid.x;\n")
	src.WriteString("mov.u32 %n, %ntid.x; mov.u32 %l, %tid.x; mad.lo.s32 %t, %t, %n, %l; cvt.u64.u32 %i, %t;\n")
	fmt.Fprintf(&src, "ld.param.u64 %%a, [from]; mul.lo.s64 %%b, %%i, %d; add.s64 %%a, %%a, %%b;\n", 8*len(kinds))
	declare := ".reg .b32 %n, %l;\n"
	list := "%d"
	for i, k := range kinds {
		declare += fmt.Sprintf(".reg .b%d %%v%d;\n", 8*sizes[k], i)
		fmt.Fprintf(&src, "ld.global.b%d %%v%d, [%%a+%d];\n", 8*sizes[k], i, 8*i)
		list += fmt.Sprintf(", %%v%d", i)
	}
	n := 8 * sizes[result]
	declare += fmt.Sprintf(".reg .b%d %%d;\n", max(n, 16))
	switch {
	case strings.Contains(op, "%"):
		src.WriteString(op + ";\n")
	case result == "pred":
		fmt.Fprintf(&src, "%s %%p, %s;\nselp.b16 %%d, 1, 0, %%p;\n", op, list[4:])
		n = 16
	default:
		fmt.Fprintf(&src, "%s %s;\n", op, list)
	}
	src.WriteString("ld.param.u64 %a, [to]; mul.lo.s64 %b, %i, 8; add.s64 %a, %a, %b;\n")
	fmt.Fprintf(&src, "st.global.b%d [%%a], %%d; ret; }\n", n)
	text := strings.Replace(src.String(), ".reg .b64 %a", declare+".reg .b64 %a", 1)
	m, err := Parse([]byte(text), 0x6000_0000_0000)
	if err != nil {
		t.Fatalf("%s: %v", op, err)
	}
	for len(rows)%64 != 0 {
		rows = append(rows, rows[0])
	}
	var flat []uint64
	for _, row := range rows {
		flat = append(flat, row...)
	}
	mem := &memory{}
	got := make([]uint64, len(rows))
	to := mem.put(got)
	launch(t, m, "k", mem, len(rows)/64, 64, 0, to, mem.put(flat))
	mem.get(to, got)
	for i, row := range rows {
		if w := want(row); got[i]&low(n) != w && (same == nil || !same(got[i]&low(n), w)) {
			t.Errorf("%s of %#x: got %#x, want %#x", op, row, got[i]&low(n), w)
			return
		}
	}
}

// exact rounds a·b + c to a type, by way of numbers as long as it takes.
func exact(kind string, a, b, c float64) float64 {
	if x := a*b + c; x-x != 0 || a*b == 0 {
		return x
	}
	x := new(big.Float).SetPrec(2000).SetFloat64(a)
	x.Mul(x, new(big.Float).SetFloat64(b))
	x.Add(x, new(big.Float).SetFloat64(c))
	if x.Sign() == 0 {
		return a*b + c
	}
	if kind == "f32" {
		f, _ := x.Float32()
		return float64(f)
	}
	f := formats[kind]
	e := max(x.MantExp(nil)-1, f.low) - f.digits
	x.SetMantExp(x, -e)
	i, _ := new(big.Float).Set(x).Int(nil)
	rest := new(big.Float).Sub(x, new(big.Float).SetInt(i))
	half := rest.Abs(rest).Cmp(big.NewFloat(0.5))
	if half > 0 || half == 0 && i.Bit(0) == 1 {
		i.Add(i, big.NewInt(int64(x.Sign())))
	}
	r, _ := new(big.Float).SetInt(i).Float64()
	r = math.Copysign(math.Ldexp(r, e), float64(x.Sign()))
	if limit := math.Ldexp(2-math.Ldexp(1, -f.digits), map[string]int{"f16": 15, "bf16": 127}[kind]); math.Abs(r) > limit {
		return math.Inf(x.Sign())
	}
	return r
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
