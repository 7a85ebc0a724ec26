package model

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/nn"
)

// bf16Tol is the tolerance of networks that multiply bfloat16.
const bf16Tol = 2e-2

// Networks whose activations are bfloat16 come as near. In training the smallest of these
// normalise over 18 values, so that rounding counts for more.
func TestResNetGoldenHalf(t *testing.T) {
	for _, test := range []struct {
		name  string
		train float64 // tolerance of training
	}{{"resnet18_w4_imagenet", 0.025}, {"resnet18_w4_small", bf16Tol}, {"resnet34_w4_small", 0.025},
		{"resnet50_w4_imagenet", math.Inf(1)}} {
		t.Run(test.name, func(t *testing.T) {
			eachConvolution(t, func(t *testing.T, _ bool) {
				g, m, x := goldenEncoder(t, test.name)
				m.SetPrecision(shape.BF16)
				var room []float32
				arena := new(nn.Arena)
				for _, pass := range []*nn.Pass{nn.NewPass(arena, false), nn.NewInferencePass(arena)} {
					check.Close(t, "eval_out", pass.Read(m.Forward(pass, x), &room), g.F32("eval_out"), 5e-3)
				}
				pass := nn.NewPass(arena, true)
				y := m.Forward(pass, x)
				if y.X.Type() != device.BFloat16 {
					t.Errorf("representations are %s", y.X.Type())
				}
				check.Close(t, "train_out", pass.Read(y, &room), g.F32("train_out"), test.train)
			})
		})
	}
}

// Inference with tiles of 2 × 2 and products of bfloat16 in all layers of 3 × 3 and stride 1 that have
// 8 channels: in these networks few have as many as it is for.
func TestResNetGoldenPairs(t *testing.T) {
	if !shape.HasBF16() || product.HasRuns() {
		t.Skip("this processor does not take that way")
	}
	defer winograd.Set(winograd.Set(true))
	defer func(n int) { winograd.PairsLeast = n }(winograd.PairsLeast)
	for _, name := range []string{"resnet18_w4_imagenet", "resnet18_w4_small", "resnet34_w4_small", "resnet50_w4_imagenet"} {
		g, m, x := goldenEncoder(t, name)
		m.SetPrecision(shape.BF16)
		var room, otherRoom []float32
		winograd.PairsLeast = 8
		pass := nn.NewInferencePass(new(nn.Arena))
		got := pass.Read(m.Forward(pass, x), &room)
		check.Close(t, name, got, g.F32("eval_out"), 1e-2)
		winograd.PairsLeast = 1 << 20
		pass = nn.NewInferencePass(new(nn.Arena))
		if distance(got, pass.Read(m.Forward(pass, x), &otherRoom)) == 0 {
			t.Errorf("%s: no layer went this way", name)
		}
	}
}

// The gradients are all parameters' together, and taken after a forward in
// float32: rounding moves values over the zero of a ReLU, which is no error of
// backward. In the tiny ResNet-50, normalised over eight values, it also moves
// the results of training by more than their tolerance.
func TestResNetGoldenBF16(t *testing.T) {
	if !shape.HasBF16() {
		t.Skip("this processor has no AVX512_BF16")
	}
	for _, name := range []string{"resnet18_w4_imagenet", "resnet18_w4_small", "resnet34_w4_small", "resnet50_w4_imagenet"} {
		t.Run(name, func(t *testing.T) {
			eachConvolution(t, func(t *testing.T, _ bool) { testResNetBF16(t, name) })
		})
	}
}

func testResNetBF16(t *testing.T, name string) {
	defer func(was bool) { device.KeepHalf = was }(device.KeepHalf)
	device.KeepHalf = false
	g := check.Golden(t, "testdata/"+name+".safetensors")
	part := strings.Split(name, "_")
	width, _ := strconv.Atoi(part[1][1:])
	x := image(g, "x")
	m, err := NewResNet(ResNetConfig{Arch: part[0], Width: width, Stem: part[2], Channels: x.Shape[3]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	load(t, g, "state.", m.Params(), m.Buffers())
	arena := new(nn.Arena)
	m.SetPrecision(shape.BF16)
	var room []float32
	pass := nn.NewPass(arena, false)
	got := pass.Read(m.Forward(pass, x), &room)
	check.Close(t, "eval_out", got, g.F32("eval_out"), bf16Tol)
	if distance(got, g.F32("eval_out")) < 1e-4 {
		t.Error("the products are float32")
	}
	if part[0] == "resnet50" {
		return
	}
	train := nn.NewPass(arena, true)
	check.Close(t, "train_out", train.Read(m.Forward(train, x), &room), g.F32("train_out"), bf16Tol)

	train.Reset()
	m.SetPrecision(shape.Float32)
	m.Forward(train, x)
	m.SetPrecision(shape.BF16)
	m.Backward(train, device.Of(g.F32("dout")), device.Array{})
	var grads, want []float32
	for _, p := range m.Params() {
		grads, want = append(grads, p.TorchGrad()...), append(want, g.F32("grad."+p.Name)...)
	}
	check.Close(t, "gradients", grads, want, bf16Tol)
}
