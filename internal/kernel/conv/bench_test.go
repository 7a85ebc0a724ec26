//go:build unix

package conv

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"vicreg/internal/kernel/shape"
	"vicreg/internal/pages"
	"vicreg/internal/parallel"
)

// benchConvs are the convolutions that networks spend their time in.
var benchConvs = []struct {
	name string
	shape.Conv
}{
	{"3x3_64_32", shape.Conv{N: 64, H: 32, W: 32, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_128_16", shape.Conv{N: 64, H: 16, W: 16, C: 128, K: 128, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_256_8", shape.Conv{N: 64, H: 8, W: 8, C: 256, K: 256, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_512_4", shape.Conv{N: 128, H: 4, W: 4, C: 512, K: 512, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3s2_64_32", shape.Conv{N: 64, H: 32, W: 32, C: 64, K: 128, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_128_16", shape.Conv{N: 128, H: 16, W: 16, C: 128, K: 256, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_256_8", shape.Conv{N: 128, H: 8, W: 8, C: 256, K: 512, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"1x1s2_64_32", shape.Conv{N: 64, H: 32, W: 32, C: 64, K: 128, R: 1, S: 1, Stride: 2}},
	{"3x3_64_56", shape.Conv{N: 16, H: 56, W: 56, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_256_14", shape.Conv{N: 16, H: 14, W: 14, C: 256, K: 256, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_512_7", shape.Conv{N: 16, H: 7, W: 7, C: 512, K: 512, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"1x1_64_256_56", shape.Conv{N: 16, H: 56, W: 56, C: 64, K: 256, R: 1, S: 1, Stride: 1}},
	{"1x1_256_64_56", shape.Conv{N: 16, H: 56, W: 56, C: 256, K: 64, R: 1, S: 1, Stride: 1}},
	{"1x1_512_128_28", shape.Conv{N: 16, H: 28, W: 28, C: 512, K: 128, R: 1, S: 1, Stride: 1}},
	{"1x1_1024_256_14", shape.Conv{N: 16, H: 14, W: 14, C: 1024, K: 256, R: 1, S: 1, Stride: 1}},
	{"1x1_2048_512_7", shape.Conv{N: 16, H: 7, W: 7, C: 2048, K: 512, R: 1, S: 1, Stride: 1}},
	{"7x7s2_3_224", shape.Conv{N: 4, H: 224, W: 224, C: 3, K: 64, R: 7, S: 7, Stride: 2, Pad: 3}},
	{"3x3_3_32", shape.Conv{N: 64, H: 32, W: 32, C: 3, K: 64, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_1_28_w16", shape.Conv{N: 256, H: 28, W: 28, C: 1, K: 16, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_16_28", shape.Conv{N: 256, H: 28, W: 28, C: 16, K: 16, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_32_14", shape.Conv{N: 256, H: 14, W: 14, C: 32, K: 32, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_64_7", shape.Conv{N: 256, H: 7, W: 7, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3_128_4", shape.Conv{N: 256, H: 4, W: 4, C: 128, K: 128, R: 3, S: 3, Stride: 1, Pad: 1}},
	{"3x3s2_16_28", shape.Conv{N: 256, H: 28, W: 28, C: 16, K: 32, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_32_14", shape.Conv{N: 256, H: 14, W: 14, C: 32, K: 64, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_64_7", shape.Conv{N: 256, H: 7, W: 7, C: 64, K: 128, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_128_56", shape.Conv{N: 16, H: 56, W: 56, C: 128, K: 128, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_256_28", shape.Conv{N: 16, H: 28, W: 28, C: 256, K: 256, R: 3, S: 3, Stride: 2, Pad: 1}},
	{"3x3s2_512_14", shape.Conv{N: 16, H: 14, W: 14, C: 512, K: 512, R: 3, S: 3, Stride: 2, Pad: 1}},
}

// BenchmarkConv runs the three passes as training does, with normalisation and
// ReLU in the source, its backward in the gradient, mask and sums in the finish: in float32,
// and with bfloat16 stored and multiplied.
// Gflop/s count what direct convolution does; Gflop/s-cpu divides by processor
// time, which holds up where other programs take their share.
func BenchmarkConv(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	fill := func(n int) []float32 {
		s := pages.Floats(n)
		for i := range s {
			s[i] = r.Float32() - 0.5
		}
		return s
	}
	for _, bc := range benchConvs {
		for _, kind := range []string{"float32", "bf16"} {
			s := bc.Conv
			values := func(n int) shape.Values { return shape.Floats(fill(n)) }
			if kind != "float32" {
				s.Precision = shape.BF16
				values = func(n int) shape.Values { return narrow(shape.Floats(fill(n))) }
			}
			x, y, w := values(s.InLen()), values(s.OutLen()), fill(s.WeightLen())
			d, dx, dw := values(s.OutLen()), values(s.InLen()), make([]float32, s.WeightLen())
			src := shape.Source{X: x, Scale: fill(s.C), Shift: fill(s.C), ReLU: true}
			g := shape.Grad{D: d, Y: y, A: fill(s.K), B: fill(s.K), K: fill(s.K)}
			f := shape.Finish{Mask: src, Dot: x, Sums: shape.NewSums(s.C)}
			sums := shape.NewSums(s.K)
			out := values(s.OutLen())
			run := func(name string, pass func()) {
				b.Run(bc.name+"/"+kind+"/"+name, func(b *testing.B) {
					b.ReportAllocs()
					pass()
					start := cpuTime()
					for b.Loop() {
						pass()
					}
					flops := float64(s.Flops()) * float64(b.N) / 1e9
					b.ReportMetric(flops/b.Elapsed().Seconds(), "Gflop/s")
					b.ReportMetric(flops*float64(parallel.Workers())/(cpuTime()-start).Seconds(), "Gflop/s-cpu")
				})
			}
			run("forward", func() { Forward(out, s, src, w, sums) })
			run("input", func() { InputGrad(dx, s, g, w, f) })
			run("both", func() { Grads(dx, dw, s, g, src, w, f) })
			run("weight", func() { WeightGrad(dw, s, g, src) })
		}
	}
}

// cpuTime returns the time that this process has run, on all processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
