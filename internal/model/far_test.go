package model

import (
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

// A device whose memory the host cannot touch makes the bits of the CPU: embeddings,
// gradients, running statistics, and features in inference, of every kind of encoder; also
// one that stores activations as bfloat16, if that loses nothing.
func TestFarDevice(t *testing.T) {
	defer func(was int) { DeferFrom = was }(DeferFrom)
	defer func(was bool) { device.KeepHalf = was }(device.KeepHalf)
	device.KeepHalf = false // what the devices are compared with
	DeferFrom = 1           // the expander's gradients are put off
	const n = 5
	for _, c := range []Config{
		{Arch: "resnet10", Width: 4, Stem: "small", Input: ImageInput(12, 3)},
		{Arch: "resnet10", Width: 4, Stem: "linear", Input: ImageInput(12, 3)},
		{Arch: "resnet50", Width: 2, Stem: "imagenet", Input: ImageInput(40, 1)},
		{Arch: "resnet1d-10", Width: 4, Stem: "large", Input: Input{Sequences, []int{200, 1}}},
		{Arch: "vit-tiny", Input: ImageInput(8, 3)},
		{Arch: "vit", Dim: 16, Blocks: 2, Heads: 4, Positions: "sincos", Input: ImageInput(8, 3)},
		{Arch: "text", Input: Input{Texts, []int{9}}},
		{Arch: "mlp", Width: 7, Input: Input{Numbers, []int{5}}},
	} {
		t.Run(c.Arch, func(t *testing.T) {
			all := func(d device.Device, precision device.Precision) (arrays [][]float32) {
				keep := func(x []float32) { arrays = append(arrays, slices.Clone(x)) }
				r := rand.New(rand.NewPCG(1, 2))
				e, err := New(c, r)
				if err != nil {
					t.Fatal(err)
				}
				e.SetPrecision(precision)
				expander, err := NewHead(e.Dim(), Head{Widths: "8-6"}, r)
				if err != nil {
					t.Fatal(err)
				}
				predictor, err := NewHead(6, Head{Widths: "4-6", NoNorm: true, Last: Bias}, r)
				if err != nil {
					t.Fatal(err)
				}
				b := &Branch{Encoder: e, Expander: expander, Predictor: predictor}
				j := NewJoint(d, b, b)
				j.Defer()
				var room []float32
				var dz, dp [2]device.Array
				j.ZeroGrad()
				var x [2]*tensor.Tensor
				for i := range x {
					x[i] = tensor.New(append([]int{n}, c.Input.Shape...)...)
					copy(x[i].Data, check.Random(uint64(i+1), x[i].Len()))
					if c.Input.Kind == Texts {
						for k := range x[i].Data {
							x[i].Data[k] = float32((i + k*7) % 257)
						}
					}
					v := j.Forward(i, x[i])
					keep(j.Read(v.Z, &room))
					keep(j.Read(v.P, &room))
				}
				for i := 1; i >= 0; i-- {
					a := device.Lift(d, &dz[i], check.Random(uint64(10+i), n*6))
					j.Backward(i, a, device.Lift(d, &dp[i], check.Random(uint64(20+i), n*6)))
				}
				for _, p := range j.Params() {
					keep(p.ReadGrad())
				}
				for _, p := range j.Buffers() {
					keep(p.Read())
				}
				pass := nn.NewInferencePass(j.Arena())
				keep(pass.Read(expander.Forward(pass, e.Forward(pass, x[0])), &room))
				pass.Reset()
				if lent := j.Arena().Lent(); lent != 0 {
					t.Errorf("%d bytes still lent", lent)
				}
				return arrays
			}
			for _, test := range []struct {
				precision device.Precision
				d         *far.Device
			}{{shape.Float32, far.New()}, {shape.BF16, far.NewExact()}} {
				defer test.d.Close()
				here, there := all(device.Local, test.precision), all(test.d, test.precision)
				for i, want := range here {
					check.Close(t, "array", there[i], want, 0)
				}
			}
		})
	}
}
