package cuda_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
)

// haloShapes are images of the sizes that networks have, alone in an area, several in one, or of
// many areas, and odd ones.
var haloShapes = []device.Conv{
	{N: 5, H: 4, W: 4, C: 64, K: 64},
	{N: 6, H: 7, W: 7, C: 64, K: 64},
	{N: 3, H: 8, W: 8, C: 128, K: 64},
	{N: 2, H: 14, W: 14, C: 64, K: 64},
	{N: 1, H: 16, W: 16, C: 64, K: 128},
	{N: 1, H: 18, W: 18, C: 128, K: 64},
	{N: 1, H: 28, W: 28, C: 64, K: 64},
	{N: 2, H: 5, W: 19, C: 64, K: 64},
	{N: 2, H: 1, W: 3, C: 192, K: 64},
}

// isHalo says that a form or a kernel is one of those.
func isHalo(name string) bool {
	return strings.HasPrefix(name, "halo") || strings.HasPrefix(name, "line")
}

// everyHalo runs a test for each of these forms and the shapes; on the host, which takes its time,
// for every other one of them.
func everyHalo(t *testing.T, kind cuda.Kind, run func(t *testing.T, o *fusedOps)) {
	for i, form := range newFusedOps(t).d.Forms(kind) {
		if !isHalo(form) {
			continue
		}
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			o := newFusedOps(t)
			o.d.Force(kind, form)
			o.d.FoldAbove(1 + i%2)
			ran := 0
			for j, s := range haloShapes {
				if o.sim != nil && kind != cuda.WeightGrad && (i+j)%2 > 0 {
					continue
				}
				s.R, s.S, s.Stride, s.Pad = 3, 3, 1, 1
				columns, depth := &s.K, &s.C
				if kind == cuda.InputGrad {
					s.C, s.K = s.K, s.C
					columns, depth = depth, columns
				}
				if kind == cuda.WeightGrad {
					o.d.Blocks(j%3*(s.C/64)*(s.K/64) + 1)
				}
				switch strings.TrimSuffix(form, "w") {
				case "line192x64":
					*depth = 64
				case "line256x128":
					*columns = 128
				}
				t.Run(fmt.Sprintf("%d×%d×%d×%d to %d", s.N, s.H, s.W, s.C, s.K), func(t *testing.T) {
					o.t, o.s = t, s
					o.values("w", device.Float32, s.WeightLen())
					run(t, o)
					ran++
				})
			}
			if o.sim == nil {
				return
			}
			n := 0
			for _, name := range o.sim.Names() {
				if isHalo(name) {
					n += o.sim.Launches(name)
				}
			}
			if n != ran {
				t.Errorf("the kernels ran %d times for %d shapes, of %v", n, ran, o.sim.Names())
			}
		})
	}
}

func TestHaloForward(t *testing.T) {
	everyHalo(t, cuda.Forward, func(t *testing.T, o *fusedOps) {
		full := o.s.H != 28
		h, src := o.source("x", o.s.C, full && o.s.H != 8, full)
		y := o.d.Alloc(device.BFloat16, o.s.OutLen())
		sums := device.NewSums(o.d, o.s.K)
		o.d.ConvForward(y, o.s, src, o.card["w"], sums)
		want, total := make([]float32, o.s.OutLen()), shape.NewSums(o.s.K)
		plain.Conv(want, o.s, h, o.host["w"], total)
		check.Close(t, "y", o.down(y), want, fusedError)
		check.Close(t, "Σ y", o.sums(sums.A), narrow(total.A), fusedError)
		check.Close(t, "Σ y²", o.sums(sums.B), narrow(total.B), fusedError)
	})
}

func TestHaloInference(t *testing.T) {
	everyHalo(t, cuda.Forward, func(t *testing.T, o *fusedOps) {
		h, src := o.source("x", o.s.C, false, true)
		o.values("scale", device.Float32, o.s.K)
		o.values("shift", device.Float32, o.s.K)
		o.values("add", device.BFloat16, o.s.OutLen())
		tail := device.Tail{Scale: o.card["scale"], Shift: o.card["shift"], ReLU: true}
		if o.s.H != 4 {
			tail.Add = o.card["add"]
		}
		y := o.d.Alloc(device.BFloat16, o.s.OutLen())
		o.d.ConvInfer(y, o.s, src, o.card["w"], tail)
		want := make([]float32, o.s.OutLen())
		plain.Conv(want, o.s, h, o.host["w"], nil)
		for i, v := range want {
			v = v*o.host["scale"][i%o.s.K] + o.host["shift"][i%o.s.K]
			if !tail.Add.None() {
				v += o.host["add"][i]
			}
			want[i] = max(0, v)
		}
		check.Close(t, "y", o.down(y), want, fusedError)
	})
}

func TestHaloInputGrad(t *testing.T) {
	everyHalo(t, cuda.InputGrad, func(t *testing.T, o *fusedOps) {
		full := o.s.H != 28
		hg, g := o.grad(full)
		o.values("dx", device.BFloat16, o.s.InLen())
		dx := o.card["dx"]
		hf, f := shape.Finish{}, device.Finish{}
		if full {
			o.values("dot", device.BFloat16, o.s.InLen())
			hf.Mask, f.Mask = o.source("mask", o.s.C, o.s.H != 7, true)
			hf.Dot, f.Dot = o.host["dot"], o.card["dot"]
			if o.s.H < 16 {
				hf.Dot, f.Dot = hf.Mask.X, f.Mask.X
			}
			if o.s.H < 8 || o.s.H == 18 {
				hf.Add, f.Add = slices.Clone(o.host["dx"]), dx
			}
			hf.Sums, f.Sums = shape.NewSums(o.s.C), device.NewSums(o.d, o.s.C)
		}
		o.d.ConvInputGrad(dx, o.s, g, o.card["w"], f)
		want := make([]float32, o.s.InLen())
		plain.ConvInputGrad(want, o.s, hg, o.host["w"], hf)
		check.Close(t, "dx", o.down(dx), want, fusedError)
		if full {
			check.Close(t, "Σ d", o.sums(f.Sums.A), narrow(hf.Sums.A), fusedError)
			check.Close(t, "Σ d·dot", o.sums(f.Sums.B), narrow(hf.Sums.B), fusedError)
		}
	})
}

func TestHaloWeightGrad(t *testing.T) {
	everyHalo(t, cuda.WeightGrad, func(t *testing.T, o *fusedOps) {
		full := o.s.H != 14
		hg, g := o.grad(full)
		h, src := o.source("x", o.s.C, full && o.s.H != 7, full && o.s.H != 8)
		o.values("dw", device.Float32, o.s.WeightLen())
		o.d.ConvWeightGrad(o.card["dw"], o.s, g, src)
		plain.ConvWeightGrad(o.host["dw"], o.s, hg, h)
		check.Close(t, "dw", o.down(o.card["dw"]), o.host["dw"], fusedError)
	})
}

// Signs of a mask do what the mask does.
func TestHaloSigned(t *testing.T) {
	d := newFusedOps(t).d
	c := device.Conv{N: 3, H: 7, W: 7, C: 128, K: 64, R: 3, S: 3, Stride: 1, Pad: 1}
	for _, form := range d.Forms(cuda.InputGrad) {
		if !isHalo(form) {
			continue
		}
		d.Force(cuda.InputGrad, form)
		masked(t, d, half, c.InLen(), c.C, func(s *side, f device.Finish) {
			more := s.finishing(half, half, c.InLen(), c.C, 0)
			more.Mask, more.Signs = f.Mask, f.Signs
			dx := s.empty(half, c.InLen())
			s.ConvInputGrad(dx, c, s.grad(half, half, c.OutLen(), c.K), s.channels(c.WeightLen()), more)
			s.showFinished(dx, more)
		})
	}
}

// A convolution that the kernels are not made for is the library's.
func TestHaloLeavesTheRest(t *testing.T) {
	o := newFusedOps(t)
	if o.sim == nil {
		t.Skip("the host says what ran")
	}
	for _, s := range []device.Conv{
		{N: 1, H: 6, W: 6, C: 64, K: 72, R: 3, S: 3, Stride: 1, Pad: 1},
		{N: 1, H: 6, W: 6, C: 72, K: 64, R: 3, S: 3, Stride: 1, Pad: 1},
		{N: 1, H: 6, W: 6, C: 64, K: 64, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 1, H: 6, W: 6, C: 64, K: 64, R: 3, S: 3, Stride: 1},
		{N: 1, H: 9, W: 1, C: 64, K: 64, R: 3, S: 1, Stride: 1, Pad: 1, Sequence: true},
	} {
		for _, form := range o.d.Forms(cuda.Forward) {
			if !isHalo(form) {
				continue
			}
			o.d.Force(cuda.Forward, form)
			o.d.Force(cuda.InputGrad, form)
			o.s = s
			o.values("w", device.Float32, s.WeightLen())
			_, src := o.source("x", s.C, true, true)
			_, g := o.grad(true)
			o.sim.Reset()
			o.d.ConvForward(o.d.Alloc(device.BFloat16, s.OutLen()), s, src, o.card["w"], device.Sums{})
			o.d.ConvInputGrad(o.d.Alloc(device.BFloat16, s.InLen()), s, g, o.card["w"], device.Finish{})
			n := 0
			for _, name := range o.sim.Names() {
				if isHalo(name) {
					t.Errorf("%s ran for %+v", name, s)
				}
				if strings.HasPrefix(name, "convolve") {
					n++
				}
			}
			if n != 2 {
				t.Errorf("%v ran for %+v", o.sim.Names(), s)
			}
		}
	}
}
