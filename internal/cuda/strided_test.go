package cuda_test

import (
	"slices"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// The gradient of the pixels that a convolution with a stride reads is that of all pixels,
// where they are; and it may be added to another.
func TestSparse(t *testing.T) {
	d := open(t)
	for _, form := range append(d.Forms(cuda.InputGrad), "library") {
		d.Force(cuda.InputGrad, form)
		for _, test := range []struct {
			step  int
			kind  device.Type
			other device.Conv // whose gradient it is added to
		}{
			{2, half, device.Conv{N: 3, H: 7, W: 9, C: 136, K: 40, R: 1, S: 1, Stride: 1}},
			{2, half, device.Conv{N: 2, H: 6, W: 5, C: 64, K: 64, R: 3, S: 3, Stride: 1, Pad: 1}},
			{2, half, device.Conv{N: 2, H: 6, W: 5, C: 64, K: 24, R: 3, S: 3, Stride: 2, Pad: 1}},
			{2, half, device.Conv{N: 2, H: 6, W: 5, C: 64, K: 64, R: 1, S: 1, Stride: 1}},
			{3, half, device.Conv{N: 2, H: 7, W: 4, C: 24, K: 16, R: 1, S: 1, Stride: 1}},
			{2, whole, device.Conv{N: 2, H: 7, W: 4, C: 24, K: 16, R: 1, S: 1, Stride: 1}},
		} {
			o := test.other
			s := o
			s.K, s.R, s.S, s.Stride, s.Pad = 32, 1, 1, test.step, 0
			if test.kind == whole && form != "library" {
				continue
			}
			var results [2][]shown
			for i := range results {
				x := &side{Device: d, rand: newRand()}
				src := device.Source{X: x.normal(test.kind, s.InLen())}
				g := device.Grad{D: x.normal(test.kind, s.OutLen())}
				g.Y, g.A, g.B, g.K = x.normal(test.kind, s.OutLen()), x.channels(s.K), x.channels(s.K), x.channels(s.K)
				n, f := s.InLen(), device.Finish{Mask: src, Dot: src.X, Sums: device.NewSums(d, s.C)}
				if i == 1 {
					n = s.N * s.OutH() * s.OutW() * s.C
					f.At = device.Pixels{Step: s.Stride, H: s.H, W: s.W}
				}
				f.Add = x.empty(test.kind, n)
				dw := d.Alloc(device.Float32, s.WeightLen())
				d.ConvGrads(f.Add, dw, s, g, src, x.channels(s.WeightLen()), device.Finish{})
				x.showValues("dw", dw)
				dx := x.empty(test.kind, o.InLen())
				dw = d.Alloc(device.Float32, o.WeightLen())
				g = x.grad(test.kind, test.kind, o.OutLen(), o.K)
				d.ConvGrads(dx, dw, o, g, src, x.channels(o.WeightLen()), f)
				x.showFinished(dx, f)
				results[i] = x.shown
			}
			for i, want := range results[0] {
				if !slices.Equal(results[1][i].x, want.x) {
					t.Errorf("%s, %+v: other bits of %s", form, test, want.name)
				}
			}
		}
	}
}
