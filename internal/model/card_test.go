package model

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// cardInputs are what encoders of a kind read here, and how wide they are.
var cardInputs = map[Kind]Config{
	Images:    {Width: 4, Stem: "small", Input: ImageInput(8, 3)},
	Sequences: {Width: 4, Stem: "small", Input: Input{Sequences, []int{40, 2}}},
	Texts:     {Input: Input{Texts, []int{9}}},
	Numbers:   {Width: 16, Input: Input{Numbers, []int{5}}},
}

// cardEncoder is an encoder that is tested on a card.
type cardEncoder struct {
	c     Config
	build func(rng *rand.Rand) (Encoder, error)
	n     int     // items
	near  float64 // tolerance in float32: Winograd's way on the CPU rounds more, and so do many layers
	half  float64 // of gradients in bfloat16, as in halfEncoders; 0: there the encoder is not tested
}

// cardEncoders are those of every architecture, transformers less wide and deep than usual.
func cardEncoders() (all []cardEncoder) {
	for _, f := range families {
		for i, arch := range f.archs {
			c := cardInputs[f.input]
			c.Arch = arch
			e := cardEncoder{c: c, n: 12, near: 1e-4}
			for _, h := range halfEncoders {
				if h.Arch == arch {
					e.c, e.n, e.half = h.Config, 24, h.tol
				}
			}
			e.build = func(rng *rand.Rand) (Encoder, error) { return New(e.c, rng) }
			switch {
			case strings.HasPrefix(arch, "resnet101") || strings.HasPrefix(arch, "resnet200"):
				e.near = 1e-3
			case slices.Contains(Archs2D(), arch):
				e.near = 5e-4
			case slices.Contains(ViTs(), arch): // one of each kind, heads of 64 and of 32
				v := ViTConfig{Arch: arch, Height: 8, Width: 8, Channels: 3, Patch: 4, Pool: "class", Positions: "learned"}
				if i%2 == 1 {
					v.Pool, v.Positions = "mean", "sincos"
				}
				e.n, e.half = 6, bf16Tol
				e.build = func(rng *rand.Rand) (Encoder, error) { return newViT(v, 64, 2, 1+i%2, rng) }
			case arch == "text":
				e.n = 6
				e.build = func(rng *rand.Rand) (Encoder, error) {
					return NewText(TextConfig{Dim: 64, Depth: 2, Heads: 2, Context: c.Input.Shape[0]}, rng)
				}
			}
			all = append(all, e)
		}
	}
	return all
}

// Every encoder makes on a card what it makes on the CPU: in inference and in training, forward
// and backward, in float32 and in bfloat16.
func TestCardEncoders(t *testing.T) {
	d := card(t)
	for _, c := range cardEncoders() {
		t.Run(c.c.Arch, func(t *testing.T) {
			run := func(d device.Device, precision device.Precision) made {
				e, err := c.build(rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				offEdge(e)
				e.SetPrecision(precision)
				for _, p := range slices.Concat(e.Params(), e.Buffers()) {
					p.To(d)
				}
				m, room, x := made{}, []float32(nil), view(c.c, 1, c.n)
				arena := nn.NewArena(d)
				pass := nn.NewInferencePass(arena)
				m["inference"] = slices.Clone(pass.Read(e.Forward(pass, x), &room))
				pass.Close()
				pass = nn.NewPass(arena, true)
				m["y"] = slices.Clone(pass.Read(e.Forward(pass, x), &room))
				var dy device.Array
				e.Backward(pass, device.Lift(d, &dy, check.Random(3, c.n*e.Dim())), device.Array{})
				m.grads(e.Params())
				for _, p := range e.Buffers() {
					m["statistics"] = append(m["statistics"], p.Read()...)
				}
				return m
			}
			want := run(device.Local, shape.Float32)
			got := run(d, shape.Float32)
			for name, w := range want {
				check.Close(t, name, got[name], w, c.near)
			}
			if c.half > 0 {
				alike(t, run(d, shape.BF16), want, c.half)
			}
		})
	}
}

// Pairs of an image and a text, whose branches are transformers, on a card: embeddings and
// gradients are those of the CPU, also in the memory of the step before, all of which comes
// back in the end.
func TestCardPairs(t *testing.T) {
	const n, dim = 8, 16
	d := card(t)
	run := func(d device.Device, precision device.Precision) made {
		r := rand.New(rand.NewPCG(1, 2))
		v := ViTConfig{Arch: "vit-tiny", Height: 8, Width: 8, Channels: 3, Patch: 4, Pool: "class", Positions: "learned"}
		image, err := newViT(v, 64, 1, 1, r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := NewText(TextConfig{Dim: 32, Depth: 1, Heads: 1, Context: 9}, r)
		if err != nil {
			t.Fatal(err)
		}
		var branches []*Branch
		for _, e := range []Encoder{image, text} {
			e.SetPrecision(precision)
			expander, err := NewHead(e.Dim(), Head{Widths: "24-16"}, r)
			if err != nil {
				t.Fatal(err)
			}
			offEdge(expander)
			branches = append(branches, &Branch{Encoder: e, Expander: expander})
		}
		j := NewJoint(d, branches...)
		j.Defer()
		views := []*tensor.Tensor{
			view(Config{Input: ImageInput(8, 3)}, 1, n), view(Config{Input: Input{Texts, []int{9}}}, 2, n),
		}
		m, room := made{}, []float32(nil)
		var dz [2]device.Array
		for range 2 {
			j.ZeroGrad()
			m["y"] = nil
			for i, x := range views {
				m["y"] = append(m["y"], j.Read(j.Forward(i, x).Z, &room)...)
			}
			for i := 1; i >= 0; i-- {
				j.Backward(i, device.Lift(d, &dz[i], check.Random(uint64(10+i), n*dim)), device.Array{})
			}
		}
		m.grads(j.Params())
		if lent := j.Arena().Lent(); lent != 0 {
			t.Errorf("%d bytes still lent", lent)
		}
		for _, a := range dz {
			d.Free(a)
		}
		j.Close()
		return m
	}
	used := func() int {
		now, _, _ := d.Used()
		return now
	}
	want := run(device.Local, shape.Float32)
	got := run(d, shape.Float32)
	for name, w := range want {
		check.Close(t, name, got[name], w, 1e-4)
	}
	alike(t, run(d, shape.BF16), want, bf16Tol)
	before := used()
	run(d, shape.BF16)
	if now := used(); now != before {
		t.Errorf("%d bytes in use before a joint, %d after it", before, now)
	}
}
