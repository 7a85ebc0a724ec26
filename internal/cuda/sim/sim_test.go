package sim

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// up brings float32s to the card.
func up(t *testing.T, d *Driver, x []float32) uintptr {
	t.Helper()
	addr, err := d.Alloc(4 * len(x))
	ok(t, err)
	b, err := d.Pin(4 * len(x))
	ok(t, err)
	for i, v := range x {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
	}
	ok(t, d.Upload(cuda.Compute, addr, b))
	ok(t, d.Unpin(b))
	return addr
}

func down(t *testing.T, d *Driver, addr uintptr, n int) []float32 {
	t.Helper()
	b := make([]byte, 4*n)
	ok(t, d.Download(cuda.Compute, b, addr))
	x := make([]float32, n)
	for i := range x {
		x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return x
}

// axpy loads the kernel of that name.
func axpy(t *testing.T, d *Driver) cuda.Function {
	t.Helper()
	src, err := os.ReadFile("../ptx/testdata/basic.ptx")
	ok(t, err)
	m, err := d.Load(src)
	ok(t, err)
	f, err := d.Function(m, "axpy", 0)
	ok(t, err)
	return f
}

func args(y, x uintptr, a float32, n int32) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(y))
	b = binary.LittleEndian.AppendUint64(b, uint64(x))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(a))
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

func TestMemory(t *testing.T) {
	d := New(Options{Memory: 1000})
	a, err := d.Alloc(600)
	ok(t, err)
	_, err = d.Alloc(401)
	var e *cuda.Error
	if !errors.As(err, &e) || !e.OutOfMemory() || e.Free != 400 {
		t.Errorf("too much: got %v", err)
	}
	b, err := d.Alloc(400)
	ok(t, err)
	if free, total, err := d.Memory(); free != 0 || total != 1000 || err != nil {
		t.Errorf("got %d of %d free, %v", free, total, err)
	}
	if err := d.Copy(cuda.Compute, a, b, 401); err == nil {
		t.Error("a copy that runs over the end is taken")
	}
	if err := d.Upload(cuda.Compute, a, make([]byte, 8)); err == nil {
		t.Error("a copy from memory that is not pinned is taken")
	}
	ok(t, d.Set(cuda.Compute, a, math.Float32bits(2.5), 150))
	ok(t, d.Copy(cuda.Compute, b+4, a, 396))
	if x := down(t, d, b, 100); x[0] == x[0] || x[1] != 2.5 || x[99] != 2.5 {
		t.Errorf("got %v", x)
	}
	ok(t, d.Free(a))
	if err := d.Free(a); err == nil {
		t.Error("memory is freed twice")
	}
	if err := d.Set(cuda.Compute, a, 0, 1); err == nil {
		t.Error("memory that was freed is written")
	}
	if used, n := d.Used(); used != 400 || n != 1 {
		t.Errorf("%d bytes are used in %d allocations", used, n)
	}
}

func TestLaunchAndReplay(t *testing.T) {
	d := New(Options{Seed: 3, Races: true})
	f := axpy(t, d)
	x, y := up(t, d, []float32{1, 2, 3}), up(t, d, []float32{10, 20, 30})
	a := args(y, x, 2, 3)
	ok(t, d.Launch(cuda.Compute, f, [3]int{1, 1, 1}, 32, 0, a))
	ok(t, d.BeginCapture())
	ok(t, d.Launch(cuda.Compute, f, [3]int{1, 1, 1}, 32, 0, a))
	clear(a)
	if err := d.Wait(cuda.Compute); err == nil {
		t.Error("a wait is captured")
	}
	g, err := d.EndCapture()
	ok(t, err)
	if got := down(t, d, y, 3); got[2] != 36 {
		t.Errorf("before the replay: got %v", got)
	}
	ok(t, d.Replay(g))
	ok(t, d.Replay(g))
	if got := down(t, d, y, 3); got[0] != 16 || got[2] != 48 {
		t.Errorf("after two: got %v", got)
	}
	ok(t, d.FreeGraph(g))
	if err := d.Replay(g); err == nil {
		t.Error("a graph that was freed is replayed")
	}
	if c := d.Kernel("axpy"); c.Launches != 3 || c.Blocks != 3 || c.Read != 3*24 || c.Wrote != 3*12 || d.Launches("") != 3 {
		t.Errorf("counted %+v", c)
	}
	err = d.Launch(cuda.Compute, f, [3]int{1, 1, 1}, 32, 0, args(y, x, 2, 4))
	if err == nil || !strings.Contains(err.Error(), "thread [3 0 0]") || !strings.Contains(err.Error(), "behind an allocation") {
		t.Errorf("over the end: got %v", err)
	}
	if again := d.Wait(cuda.Compute); again != err {
		t.Errorf("after a fault: got %v", again)
	}
}

// TestLate sends values up on the one stream and reads them on the other.
func TestLate(t *testing.T) {
	for _, c := range []struct {
		name                 string
		late, follow, change bool
		want                 float32
	}{
		{"in order", false, false, false, 3},
		{"late, followed", true, true, false, 3},
		{"late, not followed", true, false, false, 1},
		{"late, the host's memory changed", true, true, true, 5},
	} {
		d := New(Options{Late: c.late})
		f := axpy(t, d)
		x, y := up(t, d, []float32{0}), up(t, d, []float32{1})
		ok(t, d.Wait(cuda.Compute))
		b, err := d.Pin(4)
		ok(t, err)
		binary.LittleEndian.PutUint32(b, math.Float32bits(1))
		e, err := d.NewEvent()
		ok(t, err)
		before, err := d.NewEvent()
		ok(t, err)
		ok(t, d.Record(before, cuda.Transfer))
		ok(t, d.Upload(cuda.Transfer, x, b))
		ok(t, d.Record(e, cuda.Transfer))
		if c.follow {
			ok(t, d.Follow(cuda.Compute, e))
		}
		ok(t, d.Launch(cuda.Compute, f, [3]int{1, 1, 1}, 32, 0, args(y, x, 2, 1)))
		if c.change {
			binary.LittleEndian.PutUint32(b, math.Float32bits(2))
		}
		if got := down(t, d, y, 1); got[0] != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got[0], c.want)
		}
		ok(t, d.WaitEvent(e))
		if ms, err := d.Elapsed(before, e); ms <= 0 || err != nil {
			t.Errorf("%s: %v ms, %v", c.name, ms, err)
		}
	}
}

func TestFailures(t *testing.T) {
	bad := errors.New("bad luck")
	d := New(Options{Fail: func(call string, n int) error {
		if call == "cuMemAlloc_v2" && n == 1 {
			return bad
		}
		return nil
	}})
	_, err := d.Alloc(1)
	ok(t, err)
	if _, err := d.Alloc(1); err != bad {
		t.Errorf("got %v", err)
	}
	_, err = d.Alloc(1)
	ok(t, err)
}

func TestMatmul(t *testing.T) {
	d := New(Options{})
	// 1 2 3   7  8
	// 4 5 6   9 10
	//        11 12
	a, b := up(t, d, []float32{1, 2, 3, 4, 5, 6}), up(t, d, []float32{7, 8, 9, 10, 11, 12})
	at, bt := up(t, d, []float32{1, 4, 2, 5, 3, 6}), up(t, d, []float32{7, 9, 11, 8, 10, 12})
	want := []float32{58, 64, 139, 154}
	for trans := range 4 {
		c := up(t, d, []float32{1, 1, 1, 1})
		m := cuda.Matmul{M: 2, N: 2, K: 3, A: cuda.Matrix{Addr: a, Stride: 3}, B: cuda.Matrix{Addr: b, Stride: 2},
			C: cuda.Matrix{Addr: c, Stride: 2}, Accumulate: trans == 3}
		if trans&1 != 0 {
			m.A = cuda.Matrix{Addr: at, Stride: 2, Trans: true}
		}
		if trans&2 != 0 {
			m.B = cuda.Matrix{Addr: bt, Stride: 3, Trans: true}
		}
		ok(t, d.Matmul(&m))
		for i, v := range down(t, d, c, 4) {
			if m.Accumulate {
				v--
			}
			if v != want[i] {
				t.Errorf("trans %d, %d: got %v, want %v", trans, i, v, want[i])
			}
		}
	}
}

// A bias and a matrix are added besides.
func TestMatmulAdds(t *testing.T) {
	d := New(Options{})
	a, b := up(t, d, []float32{1, 2, 3, 4}), up(t, d, []float32{5, 6, 7, 8})
	m := cuda.Matmul{M: 2, N: 2, K: 2, A: cuda.Matrix{Addr: a, Stride: 2}, B: cuda.Matrix{Addr: b, Stride: 2},
		C: cuda.Matrix{Addr: up(t, d, []float32{1, 1, 1, 1}), Stride: 2}}
	m.Bias, m.Add = up(t, d, []float32{100, 200}), up(t, d, []float32{1000, 2000, 3000, 4000})
	ok(t, d.Matmul(&m))
	if got := down(t, d, m.C.Addr, 4); !slices.Equal(got, []float32{1119, 2222, 3143, 4250}) {
		t.Errorf("got %v", got)
	}
	if m.Accumulate = true; d.Matmul(&m) == nil {
		t.Error("a product that is added to has a bias")
	}
}

func TestConvolve(t *testing.T) {
	s := device.Conv{N: 2, H: 5, W: 4, C: 3, K: 2, R: 3, S: 2, Stride: 2, Pad: 1}
	wave := func(n int, f float64) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(math.Sin(f * float64(i+1)))
		}
		return x
	}
	x, w, dy := wave(s.InLen(), 0.7), wave(s.WeightLen(), 1.3), wave(s.OutLen(), 2.1)
	cpu := device.CPU{}
	// The CPU's weights are r × s × c × k.
	ours := make([]float32, len(w))
	turn := func(to, from []float32, back bool) {
		for r := range s.R * s.S {
			for c := range s.C {
				for k := range s.K {
					i, j := (r*s.C+c)*s.K+k, (k*s.R*s.S+r)*s.C+c
					if back {
						i, j = j, i
					}
					to[j] = from[i]
				}
			}
		}
	}
	turn(ours, w, false)
	d := New(Options{})
	run := func(kind cuda.Kind) []float32 {
		px, pw, py := up(t, d, x), up(t, d, ours), up(t, d, dy)
		ok(t, d.Convolve(&cuda.Convolution{Kind: kind, Shape: s, X: px, W: pw, Y: py}))
		return down(t, d, [...]uintptr{py, px, pw}[kind], [...]int{len(dy), len(x), len(w)}[kind])
	}
	y, dx, dw := make([]float32, len(dy)), make([]float32, len(x)), make([]float32, len(w))
	cpu.ConvForward(device.Of(y), s, device.Source{X: device.Of(x)}, device.Of(w), device.Sums{})
	cpu.ConvInputGrad(device.Of(dx), s, device.Grad{D: device.Of(dy)}, device.Of(w), device.Finish{})
	cpu.ConvWeightGrad(device.Of(dw), s, device.Grad{D: device.Of(dy)}, device.Source{X: device.Of(x)})
	back := make([]float32, len(w))
	turn(back, run(cuda.WeightGrad), true)
	for _, c := range []struct {
		name      string
		got, want []float32
	}{{"forward", run(cuda.Forward), y}, {"input", run(cuda.InputGrad), dx}, {"weights", back, dw}} {
		for i := range c.want {
			if math.Abs(float64(c.got[i]-c.want[i])) > 1e-5 {
				t.Fatalf("%s %d: got %v, want %v", c.name, i, c.got[i], c.want[i])
			}
		}
	}
}
