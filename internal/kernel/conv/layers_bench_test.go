package conv

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/cpu"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/pages"
)

// benchLayers are the convolutions of ResNet-18 at 32 px and ResNet-50 at 224 px whose
// kernels have a choice: 3 × 3 and 1 × 1.
var benchLayers = []shape.Conv{
	{N: 64, H: 32, W: 32, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 64, H: 16, W: 16, C: 128, K: 128, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 64, H: 8, W: 8, C: 256, K: 256, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 128, H: 4, W: 4, C: 512, K: 512, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 64, H: 32, W: 32, C: 64, K: 128, R: 3, S: 3, Stride: 2, Pad: 1},
	{N: 16, H: 56, W: 56, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 16, H: 28, W: 28, C: 128, K: 128, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 16, H: 14, W: 14, C: 256, K: 256, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 16, H: 7, W: 7, C: 512, K: 512, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 16, H: 56, W: 56, C: 64, K: 256, R: 1, S: 1, Stride: 1},
	{N: 16, H: 28, W: 28, C: 512, K: 128, R: 1, S: 1, Stride: 1},
	{N: 16, H: 14, W: 14, C: 256, K: 1024, R: 1, S: 1, Stride: 1},
	{N: 16, H: 7, W: 7, C: 2048, K: 512, R: 1, S: 1, Stride: 1},
}

// BenchmarkLayers runs the passes of a layer in every way that there is on this processor:
// float32 as it is chosen, which with 3 × 3 weights is Winograd's algorithm; bfloat16 that
// is multiplied as pairs, directly, where inference can finish products where they are made
// or afterwards; and bfloat16 on tiles, where weight gradients have two ways. Activations are
// bfloat16.
func BenchmarkLayers(b *testing.B) {
	routes := []struct {
		name, variant string
		precision     shape.Precision
		winograd      bool
		pass          float64 // tiledPass
	}{
		{"avx512-float32", "avx512", shape.Float32, true, tiledPass},
		{"avx512-bf16", "avx512", shape.BF16, true, tiledPass},
		{"avx512-pairs", "avx512", shape.BF16, false, tiledPass},
		{"avx512-pairs-after", "avx512", shape.BF16, false, tiledPass}, // of inference
		{"amx", "amx", shape.BF16, true, tiledPass},
		{"amx-direct", "amx", shape.BF16, false, tiledPass}, // of weights
		{"amx-winograd", "amx", shape.BF16, true, 0},
	}
	r := rand.New(rand.NewPCG(1, 1))
	halves := func(n int) shape.Values {
		h := make([]uint16, n)
		for i := range h {
			h[i] = shape.Narrow(r.Float32() - 0.5)
		}
		return shape.Halves(h)
	}
	floats := func(n int) []float32 {
		f := pages.Floats(n)
		for i := range f {
			f[i] = r.Float32() - 0.5
		}
		return f
	}
	defer func(fast func() bool) { cpu.FastPairs = fast }(cpu.FastPairs)
	cpu.FastPairs = func() bool { return true } // or pairs are not multiplied where float32 is faster
	defer func(on bool) { endsInRegisters = on }(endsInRegisters)
	for _, s := range benchLayers {
		x, y, w := halves(s.InLen()), halves(s.OutLen()), floats(s.WeightLen())
		d, dx, dw := halves(s.OutLen()), halves(s.InLen()), make([]float32, s.WeightLen())
		src := shape.Source{X: x, Scale: floats(s.C), Shift: floats(s.C), ReLU: true}
		plain := shape.Source{X: x} // in inference all is done before it is stored
		g := shape.Grad{D: d, Y: y, A: floats(s.K), B: floats(s.K), K: floats(s.K)}
		f := shape.Finish{Mask: src, Dot: x, Sums: shape.NewSums(s.C)}
		sums, out := shape.NewSums(s.K), halves(s.OutLen())
		tail := pass.Tail{Scale: g.A, Shift: g.B, ReLU: true, Packed: new(pass.Packed)}
		joined := tail
		joined.Add = d
		for _, pass := range []string{"forward", "infer", "join", "input", "weight"} {
			for _, route := range routes {
				if !slices.Contains(cpu.Variants(), route.variant) ||
					strings.HasPrefix(route.name, "amx-") && (pass != "weight" || s.R == 1) ||
					strings.HasSuffix(route.name, "-after") && pass != "infer" && pass != "join" {
					continue
				}
				s.Precision = route.precision
				name := fmt.Sprintf("%dx%d_%dx%d_%d_%d/%s/%s", s.R, s.S, s.H, s.W, s.C, s.K, pass, route.name)
				b.Run(name, func(b *testing.B) {
					restore, err := cpu.Set(route.variant)
					if err != nil {
						b.Fatal(err)
					}
					defer restore()
					defer winograd.Set(winograd.Set(route.winograd))
					defer func(was float64) { tiledPass = was }(tiledPass)
					tiledPass = route.pass
					endsInRegisters = !strings.HasSuffix(route.name, "-after")
					for b.Loop() {
						switch pass {
						case "forward":
							Forward(out, s, src, w, sums)
						case "infer":
							Infer(out, s, plain, w, tail)
						case "join":
							Infer(out, s, plain, w, joined)
						case "input":
							InputGrad(dx, s, g, w, f)
						default:
							WeightGrad(dw, s, g, src)
						}
					}
					b.ReportMetric(float64(s.Flops())*float64(b.N)/b.Elapsed().Seconds()/1e9, "Gflop/s")
				})
			}
		}
	}
}
