//go:build native && linux && (amd64 || arm64)

package card

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unsafe"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

//go:embed testdata/axpy.ptx
var kernels []byte

// axpy is the parameter of both kernels.
type axpy struct {
	y, x uintptr
	a    float32
	n    int32
}

func (a axpy) bytes() []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(&a)), unsafe.Sizeof(a))...)
}

// bench is a card under test.
type bench struct {
	*testing.T
	cuda.Driver
	random *rand.Rand
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// values draws n of them, as a type holds them.
func (b *bench) values(n int, t device.Type) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = round(float32(b.random.NormFloat64()), t)
	}
	return x
}

func round(v float32, t device.Type) float32 {
	if t == device.BFloat16 {
		u := math.Float32bits(v)
		return math.Float32frombits((u + 0x7fff + u>>16&1) &^ 0xffff)
	}
	return v
}

func pack(x []float32, t device.Type) []byte {
	var raw []byte
	for _, v := range x {
		if t == device.BFloat16 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(math.Float32bits(v)>>16))
		} else {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
	}
	return raw
}

// up brings values to memory of their own.
func (b *bench) up(x []float32, t device.Type) uintptr {
	b.T.Helper()
	addr, err := b.Alloc(len(x) * t.Size())
	must(b.T, err)
	b.T.Cleanup(func() { must(b.T, b.Free(addr)) })
	b.write(addr, x, t)
	return addr
}

func (b *bench) write(addr uintptr, x []float32, t device.Type) {
	b.T.Helper()
	raw := pack(x, t)
	pinned, err := b.Pin(len(raw))
	must(b.T, err)
	copy(pinned, raw)
	must(b.T, b.Upload(cuda.Compute, addr, pinned))
	must(b.T, b.Wait(cuda.Compute))
	must(b.T, b.Unpin(pinned))
}

func (b *bench) down(addr uintptr, n int, t device.Type) []float32 {
	b.T.Helper()
	raw := make([]byte, n*t.Size())
	must(b.T, b.Download(cuda.Compute, raw, addr))
	x := make([]float32, n)
	for i := range x {
		if t == device.BFloat16 {
			x[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(raw[2*i:])) << 16)
		} else {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
		}
	}
	return x
}

// close holds got to want, as the length of their difference over that of want.
func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	var off, length float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		off += d * d
		length += float64(w) * float64(w)
	}
	if e := math.Sqrt(off / max(length, 1e-30)); !(e <= tolerance) {
		t.Errorf("%s: off by %.2g, at most %.2g is allowed", what, e, tolerance)
	}
}

// suite is what every card must pass, a real one and the one of testdata/fake.c.
func suite(t *testing.T, d cuda.Driver) {
	on := func(name string, test func(*bench)) {
		t.Run(name, func(t *testing.T) { test(&bench{t, d, rand.New(rand.NewPCG(1, 2))}) })
	}
	on("card", testCard)
	on("memory", testMemory)
	on("kernels", testKernels)
	on("events", testEvents)
	on("errors", testErrors)
	on("products", testProducts)
	on("convolutions", testConvolutions)
	on("graph", testGraph)
	on("allocations", testAllocations)
}

func testCard(b *bench) {
	c := b.Card()
	b.Logf("%+v", c)
	if c.Name == "" || c.Major < 8 || c.Multiprocessors < 1 || c.Memory < 1<<30 || c.SharedPerBlock < 48<<10 ||
		c.L2 < 1<<20 || !strings.HasPrefix(c.CUDNN, "9.") || c.CUBLAS == "" ||
		!strings.Contains(c.Driver, "CUDA ") || len(c.Places) != 3 {
		b.Error("the card is not told whole")
	}
	free, total, err := b.Memory()
	must(b.T, err)
	if free < 1<<20 || total < free || total > c.Memory {
		b.Errorf("%d of %d bytes are free, of a card with %d", free, total, c.Memory)
	}
}

func testMemory(b *bench) {
	x := b.values(1000, device.Float32)
	at := b.up(x, device.Float32)
	if at%256 != 0 {
		b.Errorf("memory at %#x", at)
	}
	to := b.up(make([]float32, 1000), device.Float32)
	must(b.T, b.Copy(cuda.Compute, to+40, at, 3000))
	must(b.T, b.Set(cuda.Compute, to+3040, math.Float32bits(2.5), 50))
	want := append(append(make([]float32, 10), x[:750]...), make([]float32, 240)...)
	for i := range 50 {
		want[760+i] = 2.5
	}
	near(b.T, "copied and set", b.down(to, 1000, device.Float32), want, 0)
	pinned, err := b.Pin(4000)
	must(b.T, err)
	if uintptr(unsafe.Pointer(&pinned[0]))%256 != 0 || len(pinned) != 4000 {
		b.Errorf("%d bytes of pinned memory at %p", len(pinned), pinned)
	}
	must(b.T, b.DownloadLater(cuda.Compute, pinned, at))
	must(b.T, b.Wait(cuda.Compute))
	if string(pinned) != string(pack(x, device.Float32)) {
		b.Error("what came down later is not what went up")
	}
	must(b.T, b.Unpin(pinned))
}

func (b *bench) function(name string, shared int) cuda.Function {
	m, err := b.Load(kernels)
	must(b.T, err)
	f, err := b.Function(m, name, shared)
	must(b.T, err)
	return f
}

func testKernels(b *bench) {
	const n = 1000
	x, y := b.values(n, device.Float32), b.values(n, device.Float32)
	args := axpy{b.up(y, device.Float32), b.up(x, device.Float32), 0.5, n - 1}
	must(b.T, b.Launch(cuda.Compute, b.function("axpy", 0), [3]int{4, 1, 1}, 256, 0, args.bytes()))
	want := append([]float32(nil), y...)
	for i := range n - 1 {
		want[i] += 0.5 * x[i]
	}
	near(b.T, "axpy", b.down(args.y, n, device.Float32), want, 1e-7)

	const shared = 64 << 10 // more than a kernel gets unasked
	must(b.T, b.Launch(cuda.Compute, b.function("turn", shared), [3]int{1, 1, 1}, 128, shared, args.bytes()))
	got := b.down(args.y, n, device.Float32)
	for i := range 128 {
		want[i] = x[127-i]
	}
	near(b.T, "turned", got, want, 1e-7)
}

// A batch goes up on the second stream while the first one works.
func testEvents(b *bench) {
	a, err := b.NewEvent()
	must(b.T, err)
	c, err := b.NewEvent()
	must(b.T, err)
	const n = 1 << 20
	x := b.values(n, device.Float32)
	y := b.up(make([]float32, n), device.Float32)
	to := b.up(make([]float32, n), device.Float32)
	pinned, err := b.Pin(4 * n)
	must(b.T, err)
	copy(pinned, pack(x, device.Float32))
	f := b.function("axpy", 0)
	must(b.T, b.Record(a, cuda.Transfer))
	must(b.T, b.Upload(cuda.Transfer, to, pinned))
	must(b.T, b.Record(c, cuda.Transfer))
	must(b.T, b.Follow(cuda.Compute, c))
	must(b.T, b.Launch(cuda.Compute, f, [3]int{n / 256, 1, 1}, 256, 0, axpy{y, to, 2, n}.bytes()))
	got := b.down(y, n, device.Float32)
	for i := range x {
		x[i] *= 2
	}
	near(b.T, "what was computed from the upload", got, x, 1e-7)
	must(b.T, b.WaitEvent(c))
	ms, err := b.Elapsed(a, c)
	must(b.T, err)
	if !(ms > 0 && ms < 1000) {
		b.Errorf("an upload of 4 MiB took %v ms", ms)
	}
	must(b.T, b.Unpin(pinned))
}

func testErrors(b *bench) {
	says := func(what string, err error, parts ...string) *cuda.Error {
		b.T.Helper()
		var e *cuda.Error
		if !errors.As(err, &e) {
			b.T.Fatalf("%s: %v", what, err)
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				b.T.Errorf("%s: %q does not say %q", what, err, part)
			}
		}
		return e
	}
	_, err := b.Alloc(1 << 45)
	if e := says("too much memory", err, "cuMemAlloc_v2", "CUDA_ERROR_OUT_OF_MEMORY", "35184372088832 bytes", "free"); !e.OutOfMemory() ||
		e.Lost() || e.Free < 1<<20 {
		b.Errorf("%+v", e)
	}
	_, err = b.Load(append(kernels[:len(kernels):len(kernels)], "nonsense\n"...))
	says("nonsense", err, "cuModuleLoadDataEx", "CUDA_ERROR_INVALID_PTX", "ptxas")
	m, err := b.Load(kernels)
	must(b.T, err)
	_, err = b.Function(m, "nothing", 0)
	says("no such kernel", err, "cuModuleGetFunction", "CUDA_ERROR_NOT_FOUND", "kernel nothing")
	must(b.T, b.Wait(cuda.Compute)) // the card works on
}

func testGraph(b *bench) {
	const n = 1000
	x, y := b.values(n, device.Float32), b.values(n, device.Float32)
	args := axpy{b.up(y, device.Float32), b.up(x, device.Float32), 2, n}
	f := b.function("axpy", 0)
	must(b.T, b.BeginCapture())
	must(b.T, b.Set(cuda.Compute, args.y, math.Float32bits(1), n/2))
	must(b.T, b.Launch(cuda.Compute, f, [3]int{4, 1, 1}, 256, 0, args.bytes()))
	must(b.T, b.Launch(cuda.Compute, f, [3]int{4, 1, 1}, 256, 0, args.bytes()))
	g, err := b.EndCapture()
	must(b.T, err)
	near(b.T, "before the graph runs", b.down(args.y, n, device.Float32), y, 0)
	must(b.T, b.Replay(g))
	must(b.T, b.Replay(g))
	must(b.T, b.Wait(cuda.Compute))
	for i := range y {
		if i < n/2 {
			y[i] = 1 + 4*x[i]
		} else {
			y[i] += 8 * x[i]
		}
	}
	near(b.T, "after two replays", b.down(args.y, n, device.Float32), y, 1e-6)
	must(b.T, b.FreeGraph(g))
	if b.Card().Name != fakeName { // which computes products at once
		testGraphOfProducts(b)
	}
}

// Products of the libraries in a graph read what is there when it is replayed.
func testGraphOfProducts(b *bench) {
	const n = 128
	shape := device.Conv{N: 2, H: 8, W: 8, C: n, K: n, R: 3, S: 3, Stride: 1, Pad: 1}
	x, w, k := b.values(n*n, bf16), b.values(n*n, bf16), b.values(shape.WeightLen(), bf16)
	mat := func(addr uintptr) cuda.Matrix { return cuda.Matrix{Addr: addr, Stride: n, Type: bf16} }
	from, mid, to := b.up(x, bf16), b.up(x, bf16), b.up(x, bf16)
	product := &cuda.Matmul{M: n, N: n, K: n, A: mat(from), B: mat(b.up(w, bf16)), C: mat(mid)}
	convolution := &cuda.Convolution{Shape: shape, Type: bf16, X: mid, W: b.up(k, bf16), Y: to}
	step := func() {
		must(b.T, b.Matmul(product))
		must(b.T, b.Convolve(convolution))
	}
	step()
	must(b.T, b.BeginCapture())
	step()
	g, err := b.EndCapture()
	must(b.T, err)
	for range 2 {
		b.write(from, b.values(n*n, bf16), bf16)
		step()
		want := b.down(to, n*n, bf16)
		must(b.T, b.Set(cuda.Compute, to, 0, n*n/2))
		must(b.T, b.Replay(g))
		near(b.T, "products of a graph", b.down(to, n*n, bf16), want, 0)
	}
	must(b.T, b.FreeGraph(g))
}

// A step in steady state allocates nothing, and what a launch costs here is small.
func testAllocations(b *bench) {
	const n = 64
	x := b.up(b.values(n*n, device.Float32), device.Float32)
	y := b.up(b.values(n*n, device.Float32), device.Float32)
	z := b.up(b.values(n*n, device.Float32), device.Float32)
	f, args := b.function("axpy", 0), axpy{y, x, 0, n}.bytes()
	mat := func(addr uintptr) cuda.Matrix { return cuda.Matrix{Addr: addr, Stride: n} }
	product := &cuda.Matmul{M: n, N: n, K: n, A: mat(x), B: mat(y), C: mat(z)}
	shape := device.Conv{N: 1, H: 8, W: 8, C: n, K: n, R: 1, S: 1, Stride: 1}
	convolution := &cuda.Convolution{Shape: shape, X: x, W: y, Y: z}
	step := func() {
		must(b.T, b.Launch(cuda.Compute, f, [3]int{1, 1, 1}, n, 0, args))
		must(b.T, b.Matmul(product))
		must(b.T, b.Convolve(convolution))
	}
	step()
	if n := testing.AllocsPerRun(10, step); n > 0 {
		b.Errorf("%v allocations", n)
	}
	must(b.T, b.Wait(cuda.Compute))
	const launches = 2000
	start := time.Now()
	for range launches {
		must(b.T, b.Launch(cuda.Compute, f, [3]int{1, 1, 1}, n, 0, args))
	}
	took := time.Since(start) / launches
	must(b.T, b.Wait(cuda.Compute))
	b.Logf("a launch takes %v here", took)
}
