package model

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// number returns a number of a golden file's notes.
func number(t *testing.T, g *check.GoldenFile, key string) int {
	t.Helper()
	v, err := strconv.Atoi(g.Meta[key])
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func goldenViT(t *testing.T, name string) (*check.GoldenFile, *ViT, *tensor.Tensor) {
	t.Helper()
	g := check.Golden(t, "testdata/"+name+".safetensors")
	x := image(g, "x")
	c := ViTConfig{Height: x.Shape[1], Width: x.Shape[2], Channels: x.Shape[3], Patch: number(t, g, "patch"),
		Pool: g.Meta["pool"], Positions: "learned"}
	m, err := newViT(c, number(t, g, "dim"), number(t, g, "depth"), number(t, g, "heads"), nil)
	if err != nil {
		t.Fatal(err)
	}
	load(t, g, "state.", m.Params(), m.Buffers())
	return g, m, x
}

// compare checks an encoder's output and gradients against a golden file.
func compare(t *testing.T, g *check.GoldenFile, m Encoder, x *tensor.Tensor) {
	t.Helper()
	arena := new(nn.Arena)
	eval := nn.NewPass(arena, false)
	check.Close(t, "inference", m.Forward(eval, x).X.Host(), g.F32("out"), outTol)
	eval.Reset()
	p := nn.NewPass(arena, true)
	check.Close(t, "out", m.Forward(p, x).X.Host(), g.F32("out"), outTol)
	if g.Has("dx") {
		dx := make([]float32, x.Len())
		m.Backward(p, device.Of(g.F32("dout")), device.Of(dx))
		check.Close(t, "dx", dx, image(g, "dx").Data, gradTol)
	} else {
		m.Backward(p, device.Of(g.F32("dout")), device.Array{})
	}
	states := 0
	for _, name := range g.Names() {
		if strings.HasPrefix(name, "state.") {
			states++
		}
	}
	if len(m.Params()) != states {
		t.Errorf("%d parameters, golden %d", len(m.Params()), states)
	}
	for _, q := range m.Params() {
		check.Close(t, q.Name, q.TorchGrad(), g.F32("grad."+q.Name), gradTol)
	}
	if arena.Lent() != 0 {
		t.Errorf("%d bytes still lent", arena.Lent())
	}
}

func TestViTGolden(t *testing.T) {
	for _, name := range []string{"vit_class", "vit_mean"} {
		t.Run(name, func(t *testing.T) {
			g, m, x := goldenViT(t, name)
			compare(t, g, m, x)
		})
	}
}

func TestViTBF16(t *testing.T) {
	if !shape.HasBF16() {
		t.Skip("no bfloat16 here")
	}
	defer func(was bool) { device.KeepHalf = was }(device.KeepHalf)
	device.KeepHalf = false
	g, m, x := goldenViT(t, "vit_class")
	m.SetPrecision(shape.BF16)
	p := nn.NewPass(new(nn.Arena), true)
	var room []float32
	out := p.Read(m.Forward(p, x), &room)
	check.Close(t, "out", out, g.F32("out"), bf16Tol)
	if distance(out, g.F32("out")) < 1e-4 {
		t.Error("the products are float32")
	}
	m.Backward(p, device.Of(g.F32("dout")), device.Array{})
	var grads, want []float32
	for _, q := range m.Params() {
		grads, want = append(grads, q.TorchGrad()...), append(want, g.F32("grad."+q.Name)...)
	}
	check.Close(t, "gradients", grads, want, bf16Tol)
}

// With activations of bfloat16 the output comes as near, and gradients, which go through
// twice as many roundings, nearly so.
func TestViTHalf(t *testing.T) {
	for name, tol := range map[string]float64{"vit_class": 0.035, "vit_mean": 0.01} {
		g, m, x := goldenViT(t, name)
		m.SetPrecision(shape.BF16)
		p := nn.NewPass(new(nn.Arena), true)
		var room []float32
		check.Close(t, "out", p.Read(m.Forward(p, x), &room), g.F32("out"), bf16Tol)
		m.Backward(p, device.Of(g.F32("dout")), device.Array{})
		var grads, want []float32
		for _, q := range m.Params() {
			grads, want = append(grads, q.TorchGrad()...), append(want, g.F32("grad."+q.Name)...)
		}
		check.Close(t, "gradients", grads, want, tol)
	}
}

// TestViTSizes checks the parameter counts of timm: vit_tiny_patch16_224 has
// 5,717,416 with its head of 1000 classes, vit_small_patch16_224 22,050,664 and
// vit_base_patch16_224 86,567,656.
func TestViTSizes(t *testing.T) {
	for _, c := range []struct {
		arch string
		dim  int
		want int
	}{{"vit-tiny", 192, 5717416}, {"vit-small", 384, 22050664}, {"vit-base", 768, 86567656}} {
		m, err := NewViT(ViTConfig{Arch: c.arch, Height: 224, Width: 224, Channels: 3}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := Count(m.Params()) + 1000*(c.dim+1); got != c.want || m.Dim() != c.dim {
			t.Errorf("%s: %d parameters, dim %d, want %d, %d", c.arch, got, m.Dim(), c.want, c.dim)
		}
		// 1.26 and 4.6 Gmacs in the literature.
		if gmacs := float64(m.Flops(1, 224, 224, 3)) / 2e9; c.arch == "vit-tiny" && (gmacs < 1.2 || gmacs > 1.3) {
			t.Errorf("%s: %.3g Gmacs", c.arch, gmacs)
		}
	}
}

// The fixed positions are those of MoCo v3, a buffer and no parameter.
func TestViTPositions(t *testing.T) {
	c := ViTConfig{Arch: "vit-tiny", Height: 28, Width: 28, Channels: 1, Positions: "sincos"}
	m, err := NewViT(c, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if b := m.Buffers(); len(b) != 1 || b[0].Name != "pos_embed" || b[0].Shape[1] != 50 {
		t.Fatalf("buffers %v", b)
	}
	for _, p := range m.Params() {
		if p.Name == "pos_embed" {
			t.Error("fixed positions are trained")
		}
	}
	pos := m.Buffers()[0].Torch()
	check.Close(t, "class token", pos[:192], make([]float32, 192), 0)
	row := pos[(1+2*7+3)*192:][:192] // row 2, column 3
	check.Close(t, "first frequencies", []float32{row[0], row[48], row[96], row[144]},
		[]float32{0.90929743, -0.41614684, 0.14112001, -0.98999250}, 1e-6) // sin 2, cos 2, sin 3, cos 3
	x := images(1, 2, 28, 1)
	p := nn.NewPass(new(nn.Arena), true)
	m.Backward(p, m.Forward(p, x).X, device.Array{})
}

func TestViTErrors(t *testing.T) {
	good := ViTConfig{Arch: "vit-tiny", Height: 32, Width: 32, Channels: 3}
	for _, c := range []struct {
		change func(*ViTConfig)
		want   string
	}{
		{func(c *ViTConfig) { c.Arch = "vit-huge" }, "vit-tiny, vit-small"},
		{func(c *ViTConfig) { c.Height = 30 }, "30 × 32 do not divide into patches of 4 × 4"},
		{func(c *ViTConfig) { c.Patch = -1 }, "patch"},
		{func(c *ViTConfig) { c.Channels = 0 }, "channels"},
		{func(c *ViTConfig) { c.Arch = "vit" }, "dim is 0"},
		{func(c *ViTConfig) { c.Heads = 5 }, "heads are 5"},
		{func(c *ViTConfig) { c.Blocks = -1 }, "blocks are -1"},
		{func(c *ViTConfig) { c.Dim, c.Heads, c.Positions = 6, 1, "sincos" }, "fixed positions"},
		{func(c *ViTConfig) { c.Pool = "max" }, "class and mean"},
		{func(c *ViTConfig) { c.Positions = "none" }, "learned and sincos"},
	} {
		config := good
		c.change(&config)
		if _, err := NewViT(config, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", config, err, c.want)
		}
	}
}
