//go:build native && linux && (amd64 || arm64)

package cuda_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

var speed = flag.Bool("speed", false, "time operations on the card, at ResNet-50's sizes in a batch of 256")

// TestSpeed prints what operations take and how fast their bytes move.
func TestSpeed(t *testing.T) {
	if !*speed {
		t.Skip("-speed runs it")
	}
	d := open(t)
	x := &side{Device: d, rand: newRand()}
	half := device.BFloat16
	big := func(n int) device.Array { // random values, repeated
		a := d.Alloc(half, n)
		piece := min(n, 1<<16)
		from := x.normal(half, piece)
		for i := 0; i < n; i += piece {
			m := min(piece, n-i)
			d.Copy(a.Slice(i, i+m), from.Slice(0, m))
		}
		return a
	}
	for _, s := range []struct{ pixels, c int }{
		{256 * 56 * 56, 256}, {256 * 56 * 56, 64}, {256 * 14 * 14, 1024}, {256 * 7 * 7, 2048},
	} {
		n := s.pixels * s.c
		a, b, y := big(n), big(n), big(n)
		src := device.Source{X: a, Scale: x.channels(s.c), Shift: x.channels(s.c), ReLU: true}
		g := device.Grad{D: a, Y: b, A: x.channels(s.c), B: x.channels(s.c), K: x.channels(s.c)}
		sums := device.NewSums(d, s.c)
		name := fmt.Sprintf(" %d × %d", s.pixels, s.c)
		timed(d, "apply"+name, 4*n, func() { d.Apply(y, src, s.c) })
		timed(d, "apply grad"+name, 6*n, func() { d.ApplyGrad(y, g, s.c) })
		timed(d, "column sums"+name, 2*n, func() { d.ColumnSums(a, s.c, sums) })
		timed(d, "add, relu"+name, 6*n, func() { d.AddReLU(y, src, device.Source{X: b}, s.c, true) })
		timed(d, "finish"+name, 6*n, func() { d.FinishGrad(y, s.c, device.Finish{Mask: src, Dot: a, Sums: sums}) })
		timed(d, "finish, add"+name, 10*n, func() {
			d.FinishGrad(y, s.c, device.Finish{Add: b, Mask: src, Dot: a, Sums: sums})
		})
		d.Free(a)
		d.Free(b)
		d.Free(y)
	}
	stem := device.Conv{N: 256, H: 224, W: 224, C: 3, K: 64, R: 7, S: 7, Stride: 2, Pad: 3}
	pool := device.Conv{N: 256, H: 112, W: 112, C: 64, K: 64, R: 3, S: 3, Stride: 2, Pad: 1}
	image := d.Alloc(device.Float32, stem.InLen())
	y, dx := big(stem.OutLen()), big(stem.OutLen())
	src := device.Source{X: y, Scale: x.channels(64), Shift: x.channels(64), ReLU: true}
	w, dw, sums := x.channels(stem.WeightLen()), x.channels(stem.WeightLen()), device.NewSums(d, 64)
	timed(d, "stem", 2*stem.OutLen()+4*stem.InLen(), func() { d.ConvForward(y, stem, device.Source{X: image}, w, sums) })
	timed(d, "stem, weights", 4*stem.OutLen()+4*stem.InLen(), func() {
		g := device.Grad{D: dx, Y: y, A: w.Slice(0, 64), B: w.Slice(64, 128), K: w.Slice(128, 192)}
		d.ConvWeightGrad(dw, stem, g, device.Source{X: image})
	})
	p, argmax := big(pool.OutLen()), d.Alloc(device.Uint8, pool.OutLen())
	timed(d, "max pool", 2*pool.InLen()+3*pool.OutLen(), func() { d.MaxPool(p, argmax, pool, src) })
	timed(d, "max pool, gradient", 4*pool.InLen()+3*pool.OutLen(), func() {
		d.MaxPoolGrad(dx, p, argmax, pool, device.Finish{Mask: src, Dot: y, Sums: sums})
	})
	small := big(1 << 10)
	began := time.Now()
	for range 10000 {
		d.Apply(small, device.Source{X: small}, 1024)
	}
	queued := time.Since(began)
	d.Wait()
	fmt.Printf("small operations: %v to queue, %v to do\n", queued/10000, time.Since(began)/10000)
}

// timed prints the parts of an operation, and how fast so many bytes moved in all.
func timed(d *cuda.Device, name string, bytes int, f func()) {
	for range 3 {
		f()
	}
	const n = 10
	d.Profile()
	for range n {
		f()
	}
	parts, total := "", 0.0
	for _, s := range d.Profiled() {
		parts += fmt.Sprintf("  %s %.3f", s.What, s.Milliseconds/n)
		total += s.Milliseconds / n
	}
	fmt.Printf("%-32s %7.3f ms %5.0f GB/s %s\n", name, total, float64(bytes)/total/1e6, parts)
}
