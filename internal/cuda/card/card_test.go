//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// real opens the card of this machine, if it has one.
func real(t *testing.T) cuda.Driver {
	if _, err := Look(); err != nil {
		if _, lacks := os.Stat("/dev/nvidiactl"); lacks != nil {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	d, err := Open(0)
	must(t, err)
	t.Cleanup(d.Close)
	return d
}

func TestCard(t *testing.T) {
	suite(t, real(t))
}

// How quick the products of ResNet-50 at 224 pixels are, to be read with -v: nothing is
// demanded here.
func TestCardSpeed(t *testing.T) {
	if !testing.Verbose() || testing.Short() {
		t.Skip("it only tells, with -v")
	}
	d := real(t)
	b := &bench{T: t, Driver: d}
	const images = 256
	x := b.room(images * 112 * 112 * 64 * 2)
	y := b.room(images * 112 * 112 * 64 * 2)
	w := b.room(8192 * 8192 * 2)
	mat := func(addr uintptr, columns int) cuda.Matrix {
		return cuda.Matrix{Addr: addr, Stride: columns, Type: bf16}
	}
	const n = 8192
	ms := b.time(func() error {
		return d.Matmul(&cuda.Matmul{M: n, N: n, K: n, A: mat(x, n), B: mat(w, n), C: mat(y, n)})
	})
	t.Logf("product of %d³: %.3f ms, %.0f Tflop/s", n, ms, 2*n*n*n/ms/1e9)
	var sums [3]float64
	for _, l := range resnet50 {
		s := device.Conv{N: images, H: l.h, W: l.h, C: l.c, K: l.k, R: l.r, S: l.r, Stride: l.stride, Pad: l.r / 2}
		line := fmt.Sprintf("%4d c%4d k%4d r%d s%d x%d ", l.h, l.c, l.k, l.r, l.stride, l.times)
		for kind := cuda.Forward; kind <= cuda.WeightGrad; kind++ {
			if l.c == 3 && kind == cuda.InputGrad {
				continue
			}
			call := &cuda.Convolution{Kind: kind, Shape: s, Type: bf16, X: x, Y: y, W: w}
			ms := b.time(func() error { return d.Convolve(call) })
			sums[kind] += ms * float64(l.times)
			line += fmt.Sprintf(" %s %.3f ms", kind, ms)
			if l.r == 1 && l.stride == 1 { // a product, too
				pixels := s.N * s.H * s.W
				m := &cuda.Matmul{M: pixels, N: s.K, K: s.C, A: mat(x, s.C), B: mat(w, s.C), C: mat(y, s.K)}
				m.B.Trans = true
				switch kind {
				case cuda.InputGrad:
					m = &cuda.Matmul{M: pixels, N: s.C, K: s.K, A: mat(y, s.K), B: mat(w, s.C), C: mat(x, s.C)}
				case cuda.WeightGrad:
					m = &cuda.Matmul{M: s.K, N: s.C, K: pixels, A: mat(y, s.K), B: mat(x, s.C), C: mat(w, s.C)}
					m.A.Trans, m.C.Type = true, f32
				}
				line += fmt.Sprintf(" (%.3f as a product)", b.time(func() error { return d.Matmul(m) }))
			}
		}
		t.Log(line)
	}
	t.Logf("all: forward %.2f ms, input gradient %.2f, weight gradient %.2f", sums[0], sums[1], sums[2])
}

// resnet50 is its convolutions: width of the input, channels, kernel, stride, how many.
var resnet50 = []struct{ h, c, k, r, stride, times int }{
	{224, 3, 64, 7, 2, 1},
	{56, 64, 64, 1, 1, 1}, {56, 64, 64, 3, 1, 3}, {56, 64, 256, 1, 1, 4}, {56, 256, 64, 1, 1, 2},
	{56, 256, 128, 1, 1, 1}, {56, 128, 128, 3, 2, 1}, {28, 128, 512, 1, 1, 4}, {56, 256, 512, 1, 2, 1},
	{28, 512, 128, 1, 1, 3}, {28, 128, 128, 3, 1, 3},
	{28, 512, 256, 1, 1, 1}, {28, 256, 256, 3, 2, 1}, {14, 256, 1024, 1, 1, 6}, {28, 512, 1024, 1, 2, 1},
	{14, 1024, 256, 1, 1, 5}, {14, 256, 256, 3, 1, 5},
	{14, 1024, 512, 1, 1, 1}, {14, 512, 512, 3, 2, 1}, {7, 512, 2048, 1, 1, 3}, {14, 1024, 2048, 1, 2, 1},
	{7, 2048, 512, 1, 1, 2}, {7, 512, 512, 3, 1, 2},
}

// room is memory full of small numbers of bfloat16.
func (b *bench) room(bytes int) uintptr {
	addr, err := b.Alloc(bytes)
	must(b.T, err)
	b.T.Cleanup(func() { must(b.T, b.Free(addr)) })
	must(b.T, b.Set(cuda.Compute, addr, 0x3c013c02, bytes/4))
	return addr
}

// time returns the milliseconds that a call takes on the card.
func (b *bench) time(run func() error) float64 {
	b.T.Helper()
	from, err := b.NewEvent()
	must(b.T, err)
	to, err := b.NewEvent()
	must(b.T, err)
	const calls = 10
	for i := range calls + 3 {
		if i == 3 {
			must(b.T, b.Record(from, cuda.Compute))
		}
		must(b.T, run())
	}
	must(b.T, b.Record(to, cuda.Compute))
	ms, err := b.Elapsed(from, to)
	must(b.T, err)
	return ms / calls
}

const lostVariable = "VICREG_TEST_LOSE_CARD"

// A kernel that writes where it may not takes all that this process has on the card with
// it, so another process does that.
func TestCardLost(t *testing.T) {
	d := real(t)
	if os.Getenv(lostVariable) == "" {
		command := exec.Command(os.Args[0], "-test.run", "^TestCardLost$")
		command.Env = append(os.Environ(), lostVariable+"=1")
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	b := &bench{T: t, Driver: d}
	args := axpy{y: 256, x: 256, n: 256} // no memory is there
	must(t, d.Launch(cuda.Compute, b.function("axpy", 0), [3]int{1, 1, 1}, 256, 0, args.bytes()))
	err := d.Wait(cuda.Compute)
	if !cuda.Lost(err) || !strings.Contains(err.Error(), "CUDA_ERROR_ILLEGAL_ADDRESS (700)") {
		t.Errorf("waiting: %v", err)
	}
	if _, again := d.Alloc(100); again == nil || again.Error() != err.Error() {
		t.Errorf("the next call: %v", again)
	}
}
