package model

import (
	"math/rand/v2"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// testEncoder holds an encoder against what PyTorch made of the same weights:
// testdata/sequences.py.
func testEncoder(t *testing.T, m Encoder, g *check.GoldenFile) {
	load(t, g, "state.", m.Params(), m.Buffers())
	names := 0
	for _, name := range g.Names() {
		if strings.HasPrefix(name, "state.") {
			names++
		}
	}
	if got := len(m.Params()) + len(m.Buffers())*2/3; got != names {
		t.Errorf("%d tensors, golden %d", got, names)
	}
	x := tensor.From(g.F32("x"), g.Shape("x")...)
	arena := new(nn.Arena)
	eval := nn.NewPass(arena, false)
	check.Close(t, "eval_out", m.Forward(eval, x).X.Host(), g.F32("eval_out"), outTol)
	eval.Reset()

	train := nn.NewPass(arena, true)
	out := m.Forward(train, x)
	if out.N != x.Shape[0] || out.C != m.Dim() {
		t.Fatalf("representations are %d × %d, want %d × %d", out.N, out.C, x.Shape[0], m.Dim())
	}
	check.Close(t, "train_out", out.X.Host(), g.F32("train_out"), outTol)
	for _, p := range m.Buffers() {
		if !strings.HasSuffix(p.Name, "num_batches_tracked") {
			check.Close(t, "after."+p.Name, p.Value.Host(), g.F32("after."+p.Name), outTol)
		}
	}
	dx := make([]float32, x.Len())
	m.Backward(train, device.Of(g.F32("dout")), device.Of(dx))
	check.Close(t, "dx", dx, g.F32("dx"), gradTol)
	for _, p := range m.Params() {
		want := g.F32("grad." + p.Name)
		if strings.HasSuffix(p.Name, ".bias") && !g.Has("state."+strings.TrimSuffix(p.Name, "bias")+"running_mean") {
			clear(want) // before a normalisation: golden holds rounding
		}
		check.Close(t, p.Name, p.TorchGrad(), want, gradTol)
	}
	if arena.Lent() != 0 {
		t.Errorf("%d bytes still lent", arena.Lent())
	}
}

func TestResNet1DGolden(t *testing.T) {
	for _, name := range []string{"resnet1d18_w4_large", "resnet1d10_w4_imagenet", "resnet1d10_w4_small"} {
		t.Run(name, func(t *testing.T) {
			g := check.Golden(t, "testdata/"+name+".safetensors")
			m, err := NewResNet1D(ResNet1DConfig{Arch: g.Meta["arch"], Width: 4, Stem: strings.Split(name, "_")[2],
				Channels: g.Shape("x")[2]}, nil)
			if err != nil {
				t.Fatal(err)
			}
			testEncoder(t, m, g)
		})
	}
}

func TestMLPGolden(t *testing.T) {
	g := check.Golden(t, "testdata/mlp.safetensors")
	m, err := NewMLPEncoder(MLPConfig{Features: 7, Widths: []int{20, 12, 16}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	testEncoder(t, m, g)
}

// A second step allocates no buffers, and differs from the first in nothing.
func TestSequenceSteps(t *testing.T) {
	waves, err := NewResNet1D(ResNet1DConfig{Arch: "resnet1d-10", Width: 4, Stem: "large", Channels: 1}, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := NewMLPEncoder(MLPConfig{Features: 5}, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		m Encoder
		x *tensor.Tensor
	}{
		{waves, tensor.From(check.Random(1, 4*300), 4, 300, 1)},
		{rows, tensor.From(check.Random(1, 4*5), 4, 5)},
	} {
		dy := check.Random(2, 4*c.m.Dim())
		arena := new(nn.Arena)
		p := nn.NewPass(arena, true)
		step := func() []float32 {
			p.Reset()
			out := append([]float32(nil), c.m.Forward(p, c.x).X.Host()...)
			c.m.Backward(p, device.Of(dy), device.Array{})
			return out
		}
		first := step()
		peak := arena.Peak()
		for i, v := range step() {
			if v != first[i] {
				t.Fatalf("value %d is %v, was %v", i, v, first[i])
			}
		}
		if arena.Peak() != peak || arena.Lent() != 0 {
			t.Errorf("arena peaked at %d, then at %d; %d bytes still lent", peak, arena.Peak(), arena.Lent())
		}
	}
}

// Sizes as PyTorch counts those of testdata/sequences.py.
func TestSequenceSizes(t *testing.T) {
	for _, c := range []struct {
		arch, stem string
		dim, count int
	}{
		{"resnet1d-18", "large", 512, 3_848_576},
		{"resnet1d-18", "imagenet", 512, 3_843_904},
		{"resnet1d-34", "small", 512, 7_218_240},
	} {
		m, err := NewResNet1D(ResNet1DConfig{Arch: c.arch, Width: 64, Stem: c.stem, Channels: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := Count(m.Params()); got != c.count || m.Dim() != c.dim {
			t.Errorf("%s with stem %s has %d parameters and dim %d, want %d and %d", c.arch, c.stem, got, m.Dim(), c.count, c.dim)
		}
	}
	for _, c := range []struct {
		config ResNet1DConfig
		want   string
	}{
		{ResNet1DConfig{Arch: "resnet18", Width: 4, Stem: "large", Channels: 1}, `unknown encoder "resnet18"`},
		{ResNet1DConfig{Arch: "resnet1d-18", Width: 4, Stem: "huge", Channels: 1}, `unknown stem "huge": those of resnet1d-18 are large`},
		{ResNet1DConfig{Arch: "resnet1d-18", Width: 0, Stem: "large", Channels: 1}, "width is 0"},
		{ResNet1DConfig{Arch: "resnet1d-18", Width: 4, Stem: "large"}, "channels are 0"},
		{ResNet1DConfig{Arch: "resnet1d-18", Width: 4, Stem: "large", Channels: 1, Length: 15}, "stem large of resnet1d-18 reads sequences of at least 16, but they are of 15; take another stem (large, imagenet, small)"},
	} {
		if _, err := NewResNet1D(c.config, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.config, err, c.want)
		}
	}
	if _, err := NewMLPEncoder(MLPConfig{}, nil); err == nil || !strings.Contains(err.Error(), "reads 0 numbers") {
		t.Errorf("a perceptron of nothing: error %v", err)
	}
	if _, err := NewMLPEncoder(MLPConfig{Features: 3, Widths: []int{4, 0}}, nil); err == nil ||
		!strings.Contains(err.Error(), "width 2 of encoder mlp is 0") {
		t.Errorf("a layer of width 0: error %v", err)
	}
}

// The shortest sequence goes through, and one less panics with what is wrong.
func TestSequenceLength(t *testing.T) {
	for _, stem := range Stems1D() {
		m, err := NewResNet1D(ResNet1DConfig{Arch: "resnet1d-10", Width: 4, Stem: stem, Channels: 1}, rand.New(rand.NewPCG(1, 1)))
		if err != nil {
			t.Fatal(err)
		}
		n := m.MinLength()
		p := nn.NewPass(new(nn.Arena), true)
		m.Forward(p, tensor.From(check.Random(1, 2*n), 2, n, 1))
		m.Backward(p, device.Of(make([]float32, 2*m.Dim())), device.Array{})
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.Contains(r, "model: a ResNet1D reads") {
					t.Errorf("stem %s: panic %v", stem, r)
				}
			}()
			m.Forward(p, tensor.New(2, n-1, 1))
		}()
	}
}
