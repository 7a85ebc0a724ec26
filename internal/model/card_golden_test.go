package model

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// openCard opens what tests compute on: a simulated card, or with the tag native and -card a
// real one.
var openCard = func() (*cuda.Device, error) { return cuda.New(sim.New(sim.Options{Seed: 1})) }

// card opens it for a test.
func card(t *testing.T) *cuda.Device {
	t.Helper()
	d, err := openCard()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// goldenEncoder returns the encoder of a golden file, with its weights, and its input.
func goldenEncoder(t *testing.T, name string) (g *check.GoldenFile, m Encoder, x *tensor.Tensor) {
	t.Helper()
	if strings.HasPrefix(name, "vit") {
		return goldenViT(t, name)
	}
	g = check.Golden(t, "testdata/"+name+".safetensors")
	var err error
	switch part := strings.Split(name, "_"); {
	case name == "mlp":
		m, err = NewMLPEncoder(MLPConfig{Features: 7, Widths: []int{20, 12, 16}}, nil)
	case name == "text":
		c := TextConfig{number(t, g, "dim"), number(t, g, "depth"), number(t, g, "heads"), number(t, g, "context")}
		m, err = NewText(c, nil)
	case strings.HasPrefix(name, "resnet1d"):
		c := ResNet1DConfig{Arch: g.Meta["arch"], Width: 4, Stem: part[2], Channels: g.Shape("x")[2]}
		m, err = NewResNet1D(c, nil)
	default:
		width, _ := strconv.Atoi(part[1][1:])
		x = image(g, "x")
		m, err = NewResNet(ResNetConfig{Arch: part[0], Width: width, Stem: part[2], Channels: x.Shape[3]}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if x == nil {
		x = tensor.From(g.F32("x"), g.Shape("x")...)
	}
	load(t, g, "state.", m.Params(), m.Buffers())
	return g, m, x
}

// The encoders of the golden files make on a card what they made in PyTorch: in inference and
// in training, forward and backward.
func TestCardGolden(t *testing.T) {
	d := card(t)
	for _, name := range []string{
		"resnet18_w4_imagenet", "resnet18_w4_small", "resnet34_w4_small", "resnet50_w4_imagenet",
		"resnet1d18_w4_large", "resnet1d10_w4_imagenet", "resnet1d10_w4_small", "mlp", "text", "vit_class", "vit_mean",
	} {
		t.Run(name, func(t *testing.T) {
			g, m, x := goldenEncoder(t, name)
			for _, p := range slices.Concat(m.Params(), m.Buffers()) {
				p.To(d)
			}
			want := func(mode string) []float32 {
				if g.Has(mode) {
					return g.F32(mode)
				}
				return g.F32("out") // nothing of it depends on the batch
			}
			var room []float32
			arena := nn.NewArena(d)
			pass := nn.NewInferencePass(arena)
			check.Close(t, "inference", pass.Read(m.Forward(pass, x), &room), want("eval_out"), outTol)
			pass.Close()
			pass = nn.NewPass(arena, true)
			check.Close(t, "training", pass.Read(m.Forward(pass, x), &room), want("train_out"), outTol)
			for _, p := range m.Buffers() {
				if !strings.HasSuffix(p.Name, "num_batches_tracked") {
					check.Close(t, "after."+p.Name, p.Read(), g.F32("after."+p.Name), outTol)
				}
			}
			var dy device.Array
			m.Backward(pass, device.Lift(d, &dy, g.F32("dout")), device.Array{})
			for _, p := range m.Params() {
				want := g.F32("grad." + p.Name)
				norm := strings.TrimSuffix(p.Name, "bias") + "running_mean"
				if len(m.Buffers()) > 0 && strings.HasSuffix(p.Name, ".bias") && !g.Has("state."+norm) {
					clear(want) // before a normalisation: golden holds rounding
				}
				check.Close(t, p.Name, p.TorchGrad(), want, gradTol)
			}
			if arena.Lent() != 0 {
				t.Errorf("%d bytes still lent", arena.Lent())
			}
			d.Free(dy)
		})
	}
}
