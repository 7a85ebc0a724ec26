package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
)

// fusedShapes have odd numbers of pixels, channels beyond and below a tile's, filters that
// reach over the border.
var fusedShapes = []device.Conv{
	{N: 3, H: 7, W: 9, C: 72, K: 136, R: 1, S: 1, Stride: 1},
	{N: 1, H: 5, W: 27, C: 64, K: 64, R: 1, S: 1, Stride: 1},
	{N: 1, H: 3, W: 5, C: 8, K: 264, R: 1, S: 1, Stride: 1},
	{N: 1, H: 13, W: 5, C: 264, K: 8, R: 1, S: 1, Stride: 1},
	{N: 2, H: 9, W: 10, C: 24, K: 40, R: 1, S: 1, Stride: 2},
	{N: 2, H: 5, W: 7, C: 72, K: 24, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 1, H: 8, W: 7, C: 16, K: 72, R: 3, S: 3, Stride: 2, Pad: 1},
	{N: 2, H: 17, W: 13, C: 3, K: 64, R: 7, S: 7, Stride: 2, Pad: 3},
	{N: 2, H: 9, W: 8, C: 1, K: 24, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 3, H: 19, W: 1, C: 16, K: 24, R: 5, S: 1, Stride: 1, Pad: 2, Sequence: true},
	{N: 5, H: 11, W: 9, C: 64, K: 72, R: 1, S: 1, Stride: 1},
	{N: 5, H: 13, W: 8, C: 200, K: 64, R: 1, S: 1, Stride: 1},
}

// fusedOps are the operands of a convolution, rounded to bfloat16 where the card stores it
// so, on the host and on the card.
type fusedOps struct {
	t    *testing.T
	sim  *sim.Driver // or nil: there is a card
	d    *cuda.Device
	r    *rand.Rand
	s    device.Conv
	host map[string][]float32
	card map[string]device.Array
}

func newFusedOps(t *testing.T) *fusedOps {
	driver := newDriver(t)
	simulated, ok := driver.(*sim.Driver)
	if ok { // one that has Hopper's instructions
		simulated = sim.New(sim.Options{Seed: 1, Races: true, Card: cuda.Card{Major: 9}})
		driver = simulated
	}
	d, err := cuda.New(driver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return &fusedOps{t: t, sim: simulated, d: d, r: rand.New(rand.NewPCG(1, 2)), host: map[string][]float32{},
		card: map[string]device.Array{}}
}

// values makes an array of random numbers.
func (o *fusedOps) values(name string, t device.Type, n int) {
	x := check.Normal(o.r, n)
	if t == device.BFloat16 {
		for i, v := range x {
			b := math.Float32bits(v)
			x[i] = math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
		}
	}
	o.host[name] = x
	o.card[name] = o.d.Alloc(t, n)
	o.d.Up(o.card[name], x)
}

func (o *fusedOps) down(a device.Array) []float32 {
	x := make([]float32, a.Len())
	o.d.Down(x, a)
	return x
}

func (o *fusedOps) sums(a device.Array) []float32 {
	x := o.d.Alloc(device.Float32, a.Len())
	o.d.AddSums(x, a)
	return o.down(x)
}

func (o *fusedOps) source(x string, c int, scaled, relu bool) (shape.Source, device.Source) {
	o.values(x, device.BFloat16, o.s.InLen())
	h, d := shape.Source{X: shape.Floats(o.host[x]), ReLU: relu}, device.Source{X: o.card[x], ReLU: relu}
	if scaled {
		o.values(x+" scale", device.Float32, c)
		o.values(x+" shift", device.Float32, c)
		h.Scale, h.Shift = o.host[x+" scale"], o.host[x+" shift"]
		d.Scale, d.Shift = o.card[x+" scale"], o.card[x+" shift"]
	}
	return h, d
}

func (o *fusedOps) grad(normed bool) (shape.Grad, device.Grad) {
	o.values("d", device.BFloat16, o.s.OutLen())
	h, d := shape.Grad{D: shape.Floats(o.host["d"])}, device.Grad{D: o.card["d"]}
	if normed {
		o.values("y", device.BFloat16, o.s.OutLen())
		for _, name := range []string{"a", "b", "k"} {
			o.values(name, device.Float32, o.s.K)
		}
		h.Y, h.A, h.B, h.K = shape.Floats(o.host["y"]), o.host["a"], o.host["b"], o.host["k"]
		d.Y, d.A, d.B, d.K = o.card["y"], o.card["a"], o.card["b"], o.card["k"]
	}
	return h, d
}

// everyForm runs a test for each own kernel of a kind and the shapes; on the host, which
// takes its time, for every other one of them.
func everyForm(t *testing.T, kind cuda.Kind, run func(t *testing.T, o *fusedOps)) {
	for i, form := range newFusedOps(t).d.Forms(kind) {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			o := newFusedOps(t)
			o.d.Force(kind, form)
			if i == 0 {
				o.d.FoldAbove(1)
			} else {
				o.d.Blocks(i%3 + 1)
			}
			for j, s := range fusedShapes {
				if o.sim != nil && (i+j)%2 > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%d×%d×%d×%d to %d by %d", s.N, s.H, s.W, s.C, s.K, s.R), func(t *testing.T) {
					o.t, o.s = t, s
					o.values("w", device.Float32, s.WeightLen())
					run(t, o)
				})
			}
			if o.sim == nil {
				return
			}
			for _, name := range o.sim.Names() {
				if name == "matmul" || strings.HasPrefix(name, "convolve") {
					t.Errorf("%s ran", name)
				}
			}
		})
	}
}

// Of values that are stored as bfloat16, rounding alone is 1.7e-3 of the length.
const fusedError = 5e-3

func TestFusedForward(t *testing.T) {
	everyForm(t, cuda.Forward, func(t *testing.T, o *fusedOps) {
		for _, relu := range []bool{true, false} {
			h, src := o.source("x", o.s.C, relu || o.s.C < 64, relu)
			y := o.d.Alloc(device.BFloat16, o.s.OutLen())
			sums := device.NewSums(o.d, o.s.K)
			o.d.ConvForward(y, o.s, src, o.card["w"], sums)
			want, total := make([]float32, o.s.OutLen()), shape.NewSums(o.s.K)
			plain.Conv(shape.Floats(want), o.s, h, o.host["w"], total)
			check.Close(t, "y", o.down(y), want, fusedError)
			check.Close(t, "Σ y", o.sums(sums.A), narrow(total.A), fusedError)
			check.Close(t, "Σ y²", o.sums(sums.B), narrow(total.B), fusedError)

			tail := device.Tail{ReLU: relu}
			o.values("tail scale", device.Float32, o.s.K)
			o.values("tail shift", device.Float32, o.s.K)
			tail.Scale, tail.Shift = o.card["tail scale"], o.card["tail shift"]
			if relu {
				o.values("add", device.BFloat16, o.s.OutLen())
				tail.Add = o.card["add"]
			}
			o.d.ConvInfer(y, o.s, src, o.card["w"], tail)
			for i, v := range want {
				v = v*o.host["tail scale"][i%o.s.K] + o.host["tail shift"][i%o.s.K]
				if relu {
					v = max(0, v+o.host["add"][i])
				}
				want[i] = v
			}
			check.Close(t, "inference", o.down(y), want, fusedError)
		}
	})
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func TestFusedInputGrad(t *testing.T) {
	everyForm(t, cuda.InputGrad, func(t *testing.T, o *fusedOps) {
		strided := o.s.Stride > 1
		if o.s.R > 1 || o.s.C < 8 {
			t.Skip("the libraries' work")
		}
		for _, full := range []bool{true, false} {
			hg, g := o.grad(full)
			o.values("dx", device.BFloat16, o.s.InLen())
			dx := o.card["dx"]
			hf, f := shape.Finish{}, device.Finish{}
			if full && !strided {
				o.values("dot", device.BFloat16, o.s.InLen())
				hf.Add, f.Add = shape.Floats(slices.Clone(o.host["dx"])), dx
				hf.Mask, f.Mask = o.source("mask", o.s.C, o.s.C > 64, true)
				hf.Dot, f.Dot = shape.Floats(o.host["dot"]), o.card["dot"]
				if o.s.C == 64 {
					hf.Dot, f.Dot = hf.Mask.X, f.Mask.X
				}
				hf.Sums, f.Sums = shape.NewSums(o.s.C), device.NewSums(o.d, o.s.C)
			}
			o.d.ConvInputGrad(dx, o.s, g, o.card["w"], f)
			want := make([]float32, o.s.InLen())
			plain.ConvInputGrad(shape.Floats(want), o.s, hg, o.host["w"], hf)
			check.Close(t, "dx", o.down(dx), want, fusedError)
			if full && !strided {
				check.Close(t, "Σ d", o.sums(f.Sums.A), narrow(hf.Sums.A), fusedError)
				check.Close(t, "Σ d·dot", o.sums(f.Sums.B), narrow(hf.Sums.B), fusedError)
			}
		}
	})
}

func TestFusedWeightGrad(t *testing.T) {
	everyForm(t, cuda.WeightGrad, func(t *testing.T, o *fusedOps) {
		for _, full := range []bool{true, false} {
			hg, g := o.grad(full)
			h, src := o.source("x", o.s.C, full, full)
			o.values("dw", device.Float32, o.s.WeightLen())
			o.d.ConvWeightGrad(o.card["dw"], o.s, g, src)
			plain.ConvWeightGrad(o.host["dw"], o.s, hg, h)
			check.Close(t, "dw", o.down(o.card["dw"]), o.host["dw"], fusedError)
		}
	})
}

// Each gradient may be computed by either way.
func TestFusedGrads(t *testing.T) {
	o := newFusedOps(t)
	o.s = fusedShapes[0]
	for _, form := range [][2]string{{"128x64", "library"}, {"library", "64x64"}, {"128x64", "64x64"}} {
		o.d.Force(cuda.InputGrad, form[0])
		o.d.Force(cuda.WeightGrad, form[1])
		hg, g := o.grad(true)
		h, src := o.source("x", o.s.C, true, true)
		o.values("w", device.Float32, o.s.WeightLen())
		o.values("dw", device.Float32, o.s.WeightLen())
		o.values("dx", device.BFloat16, o.s.InLen())
		f := device.Finish{Mask: src}
		o.d.ConvGrads(o.card["dx"], o.card["dw"], o.s, g, src, o.card["w"], f)
		want := make([]float32, o.s.InLen())
		plain.ConvInputGrad(shape.Floats(want), o.s, hg, o.host["w"], shape.Finish{Mask: h})
		plain.ConvWeightGrad(o.host["dw"], o.s, hg, h)
		check.Close(t, "dx", o.down(o.card["dx"]), want, fusedError)
		check.Close(t, "dw", o.down(o.card["dw"]), o.host["dw"], fusedError)
	}
}

// Both gradients may come from one kernel.
func TestFusedBoth(t *testing.T) {
	o := newFusedOps(t)
	for i, s := range []device.Conv{
		{N: 1, H: 9, W: 13, C: 64, K: 64, R: 1, S: 1, Stride: 1},
		{N: 1, H: 15, W: 13, C: 64, K: 256, R: 1, S: 1, Stride: 1},
		{N: 2, H: 7, W: 13, C: 64, K: 64, R: 1, S: 1, Stride: 1},
	} {
		for _, full := range []bool{true, false} {
			o.s = s
			hg, g := o.grad(true)
			h, src := o.source("x", s.C, i < 2, i < 2)
			o.values("w", device.Float32, s.WeightLen())
			o.values("dw", device.Float32, s.WeightLen())
			o.values("dx", device.BFloat16, s.InLen())
			hf, f := shape.Finish{}, device.Finish{}
			o.d.Blocks(2 - i/2)
			if full {
				hf.Mask, f.Mask = h, src
				hf.Dot, f.Dot = h.X, src.X
				hf.Sums, f.Sums = shape.NewSums(s.C), device.NewSums(o.d, s.C)
				if i == 2 {
					o.values("dot", device.BFloat16, s.InLen())
					hf.Dot, f.Dot = shape.Floats(o.host["dot"]), o.card["dot"]
					hf.Add, f.Add = shape.Floats(slices.Clone(o.host["dx"])), o.card["dx"]
				}
			}
			want := make([]float32, s.InLen())
			plain.ConvInputGrad(shape.Floats(want), s, hg, o.host["w"], hf)
			plain.ConvWeightGrad(o.host["dw"], s, hg, h)
			o.d.ConvGrads(o.card["dx"], o.card["dw"], s, g, src, o.card["w"], f)
			check.Close(t, "dx", o.down(o.card["dx"]), want, fusedError)
			check.Close(t, "dw", o.down(o.card["dw"]), o.host["dw"], fusedError)
			if full {
				check.Close(t, "Σ d", o.sums(f.Sums.A), narrow(hf.Sums.A), fusedError)
				check.Close(t, "Σ d·dot", o.sums(f.Sums.B), narrow(hf.Sums.B), fusedError)
			}
		}
	}
	if o.sim != nil && o.sim.Launches("both_64x64")+o.sim.Launches("both_64x256") != 6 {
		t.Errorf("only %v ran", o.sim.Names())
	}
}
