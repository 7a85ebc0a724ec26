package ptx

import (
	"math"
	"testing"
)

func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%13) - 5.25
	}
	return x
}

func TestAxpy(t *testing.T) {
	m, mem := parse(t, "basic.ptx"), &memory{}
	const n = 1000
	x, y := ramp(n), ramp(n)
	px, py := mem.put(x), mem.put(y)
	launch(t, m, "axpy", mem, 8, 128, 0, py, px, float32(0.5), int32(n-1))
	got := make([]float32, n)
	mem.get(py, got)
	for i := range got {
		want := y[i] + 0.5*x[i]
		if i == n-1 {
			want = y[i]
		}
		if got[i] != want {
			t.Fatalf("%d: got %v, want %v", i, got[i], want)
		}
	}
}

func TestSums(t *testing.T) {
	m, mem := parse(t, "basic.ptx"), &memory{}
	x := ramp(3001)
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	px, parts, out := mem.put(x), mem.put(make([]float32, 5)), mem.put([]float32{-1})
	launch(t, m, "sums", mem, 5, 256, 0, parts, px, int32(len(x)))
	got := make([]float32, 5)
	mem.get(parts, got)
	all := 0.0
	for _, v := range got {
		all += float64(v)
	}
	near(t, "sums", all, sum, 1e-5)
	for range 2 { // the counter is at zero again
		launch(t, m, "total", mem, 5, 96, 0, out, parts, px, int32(len(x)))
		mem.get(out, got[:1])
		near(t, "total", float64(got[0]), sum, 1e-5)
	}
}

func TestDivergence(t *testing.T) {
	m, mem := parse(t, "basic.ptx"), &memory{}
	const n = 100
	from := make([]uint32, n)
	for i := range from {
		from[i] = uint32(i*7 + 1)
	}
	steps := mem.put(make([]int32, n))
	launch(t, m, "collatz", mem, 2, 64, 0, steps, mem.put(from), int32(n))
	got := make([]int32, n)
	mem.get(steps, got)
	for i, x := range from {
		want := int32(0)
		for x != 1 {
			if want++; x&1 == 1 {
				x = 3*x + 1
			} else {
				x /= 2
			}
		}
		if got[i] != want {
			t.Errorf("%d: got %d, want %d", from[i], got[i], want)
		}
	}
}

func TestSwitch(t *testing.T) {
	m, mem := parse(t, "basic.ptx"), &memory{}
	const n = 90
	x, what := make([]float32, n), make([]int32, n)
	for i := range x {
		x[i], what[i] = float32(i)*0.37, int32(i*5%9)
	}
	y := mem.put(make([]float32, n))
	launch(t, m, "choose", mem, 1, 96, 0, y, mem.put(x), mem.put(what), int32(n))
	got := make([]float32, n)
	mem.get(y, got)
	for i, v := range x {
		f := float64(v)
		want := []float64{f*f + 1, f / 3, math.Sqrt(f), math.Abs(f - 2), math.Trunc(f),
			math.Floor(f) + math.RoundToEven(f), max(f, 1.5), -f, -f}[what[i]]
		near(t, "choose", float64(got[i]), want, 1e-6)
	}
}

func TestCalls(t *testing.T) {
	m, mem := parse(t, "basic.ptx"), &memory{}
	x := ramp(32)
	y, seen := mem.put(make([]float32, 32)), mem.put(make([]float32, 64))
	launch(t, m, "calls", mem, 1, 32, 0, y, seen, mem.put(x))
	got, saw := make([]float32, 32), make([]float32, 64)
	mem.get(y, got)
	mem.get(seen, saw)
	half := func(x float32) float32 {
		if x > 4 {
			return x
		}
		return x / 2
	}
	for i, v := range x {
		if got[i] != half(v)+half(v+1) || saw[i] != v || saw[32+i] != v+1 {
			t.Errorf("%v: got %v, seen %v and %v", v, got[i], saw[i], saw[32+i])
		}
	}
}

func TestMemories(t *testing.T) {
	m, mem := parse(t, "basic.ptx"), &memory{}
	x, at := ramp(48), make([]int32, 32)
	want := append([]float32(nil), x[:16]...)
	for i := range at {
		at[i] = int32(i * 3)
		if i < 20 {
			want[at[i]&15] += float32(i)
		}
	}
	y := mem.put(x)
	launch(t, m, "local", mem, 1, 32, 0, y, mem.put(at), int32(20))
	got := make([]float32, 48)
	mem.get(y, got)
	for i := range 32 {
		if got[16+i] != want[at[i]&15] {
			t.Errorf("local %d: got %v, want %v", i, got[16+i], want[at[i]&15])
		}
	}
	launch(t, m, "parameters", mem, 1, 32, 0, y, float32(2), float32(3), int32(31), int8(-4), float64(0.5))
	mem.get(y, got)
	if got[0] != 2.5 || got[30] != 2.5 || got[31] == 2.5 {
		t.Errorf("parameters: got %v", got[:32])
	}
	launch(t, m, "constants", mem, 1, 32, 0, y)
	mem.get(y, got)
	if got[0] != 1 || got[1] != 2.5 || got[30] != -3 || got[31] != 4 {
		t.Errorf("constants: got %v", got[:32])
	}
	ints := make([]uint32, 4*64)
	for i := range ints {
		ints[i] = uint32(i)
	}
	y = mem.put(ints)
	launch(t, m, "reverse", mem, 1, 64, 16*64, y)
	mem.get(y, ints)
	for i, v := range ints {
		if v != uint32(4*(63-i/4)+i%4) {
			t.Fatalf("reverse %d: got %d", i, v)
		}
	}
}
