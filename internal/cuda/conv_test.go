package cuda_test

import (
	"fmt"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
)

// shapes are convolutions of all the kinds that have ways of their own.
var shapes = []device.Conv{
	{N: 2, H: 5, W: 6, C: 16, K: 24, R: 1, S: 1, Stride: 1},
	{N: 2, H: 7, W: 6, C: 8, K: 16, R: 1, S: 1, Stride: 2},
	{N: 2, H: 6, W: 5, C: 8, K: 8, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 1, H: 9, W: 8, C: 16, K: 8, R: 3, S: 3, Stride: 2, Pad: 1},
	{N: 2, H: 12, W: 10, C: 3, K: 8, R: 7, S: 7, Stride: 2, Pad: 3}, // an image
	{N: 2, H: 11, W: 13, C: 3, K: 8, R: 7, S: 7, Stride: 2, Pad: 3},
	{N: 2, H: 6, W: 7, C: 1, K: 16, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 2, H: 8, W: 8, C: 3, K: 8, R: 4, S: 4, Stride: 4}, // patches
	{N: 3, H: 11, W: 1, C: 8, K: 8, R: 5, S: 1, Stride: 2, Pad: 2, Sequence: true},
	{N: 9, H: 1, W: 1, C: 24, K: 40, R: 1, S: 1, Stride: 1}, // a linear layer
	{N: 4, H: 1, W: 1, C: 5, K: 7, R: 1, S: 1, Stride: 1},
}

func each(t *testing.T, f func(t *testing.T, s device.Conv, at device.Type)) {
	for _, s := range shapes {
		for _, at := range []device.Type{device.Float32, device.BFloat16} {
			t.Run(fmt.Sprintf("%d×%d×%d×%d to %d by %d×%d over %d, %s", s.N, s.H, s.W, s.C, s.K, s.R, s.S, s.Stride, at),
				func(t *testing.T) { f(t, s, at) })
		}
	}
}

// mixed is the tolerance where operands are rounded to the type that products take.
func mixed(at device.Type) float64 {
	if at == device.BFloat16 {
		return 8e-3
	}
	return near32
}

func TestConvForward(t *testing.T) {
	d := open(t)
	each(t, func(t *testing.T, s device.Conv, at device.Type) {
		for _, scaled := range []bool{false, true} {
			agree(t, d, func(x *side) {
				y, sums := x.empty(at, s.OutLen()), device.NewSums(x, s.K)
				x.ConvForward(y, s, x.source(at, s.InLen(), s.C, scaled, scaled), x.channels(s.WeightLen()), sums)
				x.show("y", y, mixed(at))
				x.show("Σ y²", sums.B, mixed(at))
			})
		}
	})
}

func TestConvInfer(t *testing.T) {
	d := open(t)
	each(t, func(t *testing.T, s device.Conv, at device.Type) {
		agree(t, d, func(x *side) {
			y := x.empty(at, s.OutLen())
			tail := device.Tail{Scale: x.channels(s.K), Shift: x.channels(s.K), Add: x.normal(at, s.OutLen()),
				ReLU: true}
			x.ConvInfer(y, s, x.source(at, s.InLen(), s.C, true, true), x.channels(s.WeightLen()), tail)
			x.show("y", y, mixed(at))
		})
	})
}

// gradOf is the gradient of the output of s, as the backward of a normalisation makes it.
func gradOf(x *side, s device.Conv, at device.Type) device.Grad {
	return device.Grad{D: x.normal(at, s.OutLen()), Y: x.normal(at, s.OutLen()),
		A: x.channels(s.K), B: x.channels(s.K), K: x.channels(s.K)}
}

func TestConvGrads(t *testing.T) {
	d := open(t)
	each(t, func(t *testing.T, s device.Conv, at device.Type) {
		if s.C < 8 && at == device.BFloat16 && s.R > 1 && s.Stride < 4 {
			t.Skip("the gradient of an image is nobody's")
		}
		agree(t, d, func(x *side) {
			src, w := x.source(at, s.InLen(), s.C, true, true), x.channels(s.WeightLen())
			f := device.Finish{Add: x.normal(at, s.InLen()), Mask: src, Dot: x.normal(at, s.InLen()),
				Sums: device.NewSums(x, s.C)}
			dx, dw := x.empty(at, s.InLen()), x.channels(s.WeightLen())
			x.ConvGrads(dx, dw, s, gradOf(x, s, at), src, w, f)
			x.show("dx", dx, mixed(at))
			x.show("dw", dw, mixed(at))
			x.show("Σ d", f.Sums.A, 4*mixed(at))

			dx = f.Add // added in place
			x.ConvInputGrad(dx, s, gradOf(x, s, at), w, device.Finish{Add: dx})
			x.show("dx in place", dx, mixed(at))
		})
	})
}

func TestConvWeightGrad(t *testing.T) {
	d := open(t)
	each(t, func(t *testing.T, s device.Conv, at device.Type) {
		agree(t, d, func(x *side) {
			dw, src := x.channels(s.WeightLen()), x.source(at, s.InLen(), s.C, true, false)
			for range 2 { // it adds
				x.ConvWeightGrad(dw, s, gradOf(x, s, at), src)
			}
			x.show("dw", dw, mixed(at))
			x.ConvWeightGrad(dw, s, device.Grad{D: x.normal(at, s.OutLen())}, src)
			x.show("dw of d", dw, mixed(at))
		})
	})
}

// A gradient of float32 meets an activation of bfloat16 where the loss begins.
func TestConvOfTwoTypes(t *testing.T) {
	d := open(t)
	s := device.Conv{N: 6, H: 1, W: 1, C: 16, K: 24, R: 1, S: 1, Stride: 1}
	agree(t, d, func(x *side) {
		src, w := x.source(device.BFloat16, s.InLen(), s.C, true, true), x.channels(s.WeightLen())
		y := x.empty(device.Float32, s.OutLen())
		x.ConvForward(y, s, src, w, device.Sums{})
		x.show("y", y, mixed(device.BFloat16))
		g := device.Grad{D: x.normal(device.Float32, s.OutLen())}
		dx, dw := x.empty(device.BFloat16, s.InLen()), x.channels(s.WeightLen())
		x.ConvGrads(dx, dw, s, g, src, w, device.Finish{Mask: src})
		x.show("dx", dx, mixed(device.BFloat16))
		x.show("dw", dw, mixed(device.BFloat16))
	})
}

// Copies of weights that products read are made anew when weights change.
func TestWeightsChange(t *testing.T) {
	d := open(t)
	s := shapes[2]
	change := map[string]func(x *side, w device.Array){
		"Up":   func(x *side, w device.Array) { x.Up(w, make([]float32, w.Len())) },
		"Fill": func(x *side, w device.Array) { x.Fill(w, 0.5) },
		"Copy": func(x *side, w device.Array) { x.Copy(w, x.channels(w.Len())) },
		"Axpy": func(x *side, w device.Array) { x.Axpy(w, 2, x.channels(w.Len())) },
	}
	for name, f := range change {
		t.Run(name, func(t *testing.T) {
			agree(t, d, func(x *side) {
				src, w := x.source(device.BFloat16, s.InLen(), s.C, false, false), x.channels(s.WeightLen())
				y := x.empty(device.BFloat16, s.OutLen())
				x.ConvForward(y, s, src, w, device.Sums{})
				f(x, w)
				x.ConvForward(y, s, src, w, device.Sums{})
				x.show("y", y, mixed(device.BFloat16))
			})
		})
	}
}

func TestGemm(t *testing.T) {
	d := open(t)
	for _, accumulate := range []bool{false, true} {
		agree(t, d, func(x *side) {
			c, a, b := x.channels(5*7), x.normal(device.Float32, 5*11), x.normal(device.Float32, 7*11)
			x.Gemm(device.Mat{Data: c, Rows: 5, Cols: 7}, device.Mat{Data: a, Rows: 5, Cols: 11},
				device.Mat{Data: b, Rows: 7, Cols: 11}.T(), accumulate)
			x.show("c", c, near32)
		})
	}
}

// TF32 is allowed only where the network asks for it.
func TestPrecise(t *testing.T) {
	d := open(t)
	s := shapes[0]
	for _, p := range []device.Precision{shape.Float32, shape.TF32} {
		s.Precision = p
		agree(t, d, func(x *side) {
			y := x.empty(device.Float32, s.OutLen())
			src := x.source(device.Float32, s.InLen(), s.C, true, true)
			x.ConvForward(y, s, src, x.channels(s.WeightLen()), device.Sums{})
			tol := near32
			if p == shape.TF32 {
				tol = 2e-3
			}
			x.show("y", y, tol)
		})
	}
}
