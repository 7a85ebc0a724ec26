package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// halfEncoders have the tolerance of their gradients. Where there is no ReLU it is that of
// all results. The gradient of a weight before a batch normalisation is what two sums leave
// of each other, and so rounding counts the more, the more layers there are.
var halfEncoders = []struct {
	Config
	tol float64
}{
	{Config{Arch: "resnet10", Width: 8, Stem: "small", Input: ImageInput(12, 3)}, 0.06},
	{Config{Arch: "resnet50", Width: 4, Stem: "imagenet", Input: ImageInput(40, 1)}, 0.2},
	{Config{Arch: "resnet1d-10", Width: 8, Stem: "large", Input: Input{Sequences, []int{200, 1}}}, 0.1},
	{Config{Arch: "vit-tiny", Input: ImageInput(8, 3)}, bf16Tol},
	{Config{Arch: "text", Input: Input{Texts, []int{9}}}, bf16Tol},
	{Config{Arch: "mlp", Width: 32, Input: Input{Numbers, []int{5}}}, 0.03},
}

// view returns n items that an encoder reads.
func view(c Config, seed uint64, n int) *tensor.Tensor {
	x := tensor.New(append([]int{n}, c.Input.Shape...)...)
	copy(x.Data, check.Random(seed, x.Len()))
	if c.Input.Kind == Texts {
		for k := range x.Data {
			x.Data[k] = float32((int(seed) + k*7) % 257)
		}
	}
	return x
}

// offEdge takes ReLUs off their edge, where rounding turns them over: a channel of each
// lets everything through, or nothing.
func offEdge(network any) {
	shift := func(p *nn.Param, on, off float32) {
		p.Change(func(v []float32) {
			for i := range v {
				v[i] = on
				if i%4 == 3 {
					v[i] = off
				}
			}
		})
	}
	switch m := network.(type) {
	case *ResNet:
		shift(m.stem.Beta, 4, -4)
		for _, b := range m.blocks {
			last := len(b.Convs) - 1
			for _, u := range b.Convs[:last] {
				shift(u.Beta, 4, -4)
			}
			shift(b.Convs[last].Beta, 3, -100)
			if b.Down != nil {
				shift(b.Down.Beta, 3, 3)
			}
		}
	case *ResNet1D:
		offEdge(&m.net)
	case *MLPEncoder:
		for _, u := range m.layers {
			shift(u.Beta, 4, -4)
		}
	case *Expander:
		for _, l := range m.layers[:len(m.layers)-1] {
			switch l := l.(type) {
			case *nn.ConvNorm:
				shift(l.Beta, 4, -4)
			case *nn.LinearBias:
				shift(l.Bias, 40, -40)
			}
		}
	}
}

// What a network makes of a view and of a gradient, by name.
type made map[string][]float32

// alike checks that what a network with bfloat16 activations makes is what it makes in
// float32, but for rounding.
func alike(t *testing.T, got, want made, gradTol float64) {
	t.Helper()
	near(t, got, want, gradTol)
	if distance(got["y"], want["y"]) == 0 {
		t.Error("nothing was rounded")
	}
}

func near(t *testing.T, got, want made, gradTol float64) {
	t.Helper()
	for name, w := range want {
		tol := bf16Tol
		if name == "gradients" {
			tol = gradTol
		}
		off := distance(got[name], w)
		if !(off <= tol) {
			t.Errorf("%s: off by %.2g", name, off)
		}
	}
}

// grads adds the gradients of a network, all together.
func (m made) grads(params []*nn.Param) {
	for _, p := range params {
		m["gradients"] = append(m["gradients"], p.ReadGrad()...)
	}
}

// keepers are the devices that store activations as bfloat16.
func keepers() map[string]device.Device {
	return map[string]device.Device{"far": far.NewHalf(), "cpu": device.Local}
}

// Every kind of encoder, on a device that stores activations as bfloat16, makes what it
// makes in float32.
func TestHalfEncoders(t *testing.T) {
	defer func(was int) { device.KeptSum = was }(device.KeptSum)
	device.KeptSum = 1000 // some sums are made again
	const n = 24
	for _, c := range halfEncoders {
		t.Run(c.Arch, func(t *testing.T) {
			run := func(d device.Device, precision device.Precision) made {
				e, err := New(c.Config, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				offEdge(e)
				e.SetPrecision(precision)
				for _, p := range slices.Concat(e.Params(), e.Buffers()) {
					p.To(d)
				}
				m, room, x := made{}, []float32(nil), view(c.Config, 1, n)
				arena := nn.NewArena(d)
				for _, pass := range []*nn.Pass{nn.NewPass(arena, false), nn.NewInferencePass(arena)} {
					y := e.Forward(pass, x)
					if y.X.Type() != device.Float32 {
						t.Errorf("representations of inference are %s", y.X.Type())
					}
					name := fmt.Sprintf("inference %d", len(m))
					m[name] = slices.Clone(pass.Read(y, &room))
					pass.Close()
				}
				pass := nn.NewPass(arena, true)
				y := e.Forward(pass, x)
				if got, want := y.X.Type(), d.Activations(precision); got != want {
					t.Errorf("representations are %s, want %s", got, want)
				}
				m["y"] = slices.Clone(pass.Read(y, &room))
				var dy device.Array
				e.Backward(pass, device.Lift(d, &dy, check.Random(3, n*e.Dim())), device.Array{})
				m.grads(e.Params())
				return m
			}
			for name, d := range keepers() {
				t.Run(name, func(t *testing.T) { alike(t, run(d, shape.BF16), run(d, shape.Float32), c.tol) })
				d.Close()
			}
		})
	}
}

// Every kind of head does, after a pass has been told what its encoder multiplies.
func TestHalfHeads(t *testing.T) {
	const n, in, d = 24, 16, 32
	for _, h := range []Head{{Widths: "48-32"}, {Widths: "32"}, {Widths: "48-40-32", NoNorm: true, Last: Bias},
		{Widths: "48-32", Last: Norm}, {Widths: "48-32", Last: Affine}} {
		t.Run(fmt.Sprint(h), func(t *testing.T) {
			run := func(dev device.Device, precision device.Precision) made {
				e, err := NewHead(in, h, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				offEdge(e)
				for _, p := range slices.Concat(e.Params(), e.Buffers()) {
					p.To(dev)
				}
				m, room := made{}, []float32(nil)
				arena := nn.NewArena(dev)
				pass := nn.NewPass(arena, true)
				pass.SetPrecision(precision)
				y := e.Forward(pass, pass.Input(check.Random(1, n*in), n, 1, 1, in))
				if y.X.Type() != device.Float32 {
					t.Errorf("embeddings are %s", y.X.Type())
				}
				m["y"] = slices.Clone(pass.Read(y, &room))
				var dz device.Array
				below := e.Backward(pass, device.Lift(dev, &dz, check.Random(3, n*d)))
				m["gradient below"] = slices.Clone(pass.Read(nn.Whole(below, n, 1, 1, in), &room))
				arena.Put(below)
				m.grads(e.Params())
				if arena.Lent() != 0 {
					t.Errorf("%d bytes still lent", arena.Lent())
				}
				return m
			}
			for name, d := range keepers() {
				t.Run(name, func(t *testing.T) {
					got, want := run(d, shape.BF16), run(d, shape.Float32)
					if near(t, got, want, bf16Tol); h.Widths != "32" { // which the CPU rounds nothing of
						alike(t, got, want, bf16Tol)
					}
				})
				d.Close()
			}
		})
	}
}

// A Joint on such a device keeps activations in half the memory, leaves nothing lent, and
// gives back all it took.
func TestHalfJoint(t *testing.T) {
	defer func(was int) { DeferFrom = was }(DeferFrom)
	DeferFrom = 1
	for _, c := range halfEncoders {
		if c.Arch == "vit-tiny" {
			continue // the layers of text
		}
		for _, where := range []string{"far", "cpu"} {
			t.Run(c.Arch+" "+where, func(t *testing.T) { testHalfJoint(t, c.Config, where == "far") })
		}
	}
}

func testHalfJoint(t *testing.T, c Config, away bool) {
	const n, d = 6, 32
	peak := map[device.Precision]int{}
	for _, precision := range []device.Precision{shape.Float32, shape.BF16} {
		beyond := far.NewHalf()
		defer beyond.Close()
		var dev device.Device = beyond
		if !away {
			dev = device.Local
		}
		branch := func(predictor string) *Branch {
			r := rand.New(rand.NewPCG(1, 2))
			b := new(Branch)
			var err error
			if b.Encoder, err = New(c, r); err != nil {
				t.Fatal(err)
			}
			b.Encoder.SetPrecision(precision)
			if b.Expander, err = NewHead(b.Encoder.Dim(), Head{Widths: "48-32", Last: Norm}, r); err != nil {
				t.Fatal(err)
			}
			if predictor != "" {
				if b.Predictor, err = NewHead(d, Head{Widths: predictor, Last: Bias}, r); err != nil {
					t.Fatal(err)
				}
			}
			return b
		}
		b := branch("24-32")
		j := NewJoint(dev, b, b)
		j.Defer()
		target := j.NewTarget(branch(""))
		var room []float32
		var dz, dp [2]device.Array
		for range 2 { // the second step finds the memory of the first
			j.ZeroGrad()
			for i := range 2 {
				v := j.Forward(i, view(c, uint64(i+1), n))
				if v.Z.X.Type() != device.Float32 || v.P.X.Type() != device.Float32 {
					t.Errorf("embeddings are %s, predictions %s", v.Z.X.Type(), v.P.X.Type())
				}
				finite(t, "predictions", j.Read(v.P, &room))
			}
			finite(t, "keys", target.Read(target.Forward(0, view(c, 1, n)).Z, &room))
			target.Release(0)
			for i := 1; i >= 0; i-- {
				a := device.Lift(dev, &dz[i], check.Random(uint64(10+i), n*d))
				j.Backward(i, a, device.Lift(dev, &dp[i], check.Random(uint64(20+i), n*d)))
			}
		}
		for _, p := range j.Params() {
			finite(t, p.Name, p.ReadGrad())
		}
		if lent := j.Arena().Lent(); lent != 0 {
			t.Errorf("%d bytes still lent", lent)
		}
		peak[precision] = j.Arena().Peak()
		for i := range dz {
			dev.Free(dz[i])
			dev.Free(dp[i])
		}
		j.Close()
		if beyond.Held != 0 {
			t.Errorf("%d arrays were not given back", beyond.Held)
		}
	}
	share := float64(peak[shape.BF16]) / float64(peak[shape.Float32])
	if math.Abs(share-0.5) > 0.06 && c.Arch != "mlp" { // of which embeddings are much
		t.Errorf("the arena lent %.2f of the memory of float32", share)
	}
}

func finite(t *testing.T, name string, x []float32) {
	t.Helper()
	for _, v := range x {
		if v-v != 0 {
			t.Fatalf("%s: not finite", name)
		}
	}
}
