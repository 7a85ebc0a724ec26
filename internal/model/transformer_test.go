package model

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// TestTransformerPasses: one encoder serves two passes at once, whose gradients
// add up; any number of workers gives the same bits; a steady step finds its
// memory again; an inference pass keeps little more than its result.
func TestTransformerPasses(t *testing.T) {
	defer parallel.SetWorkers(0)
	rng := rand.New(rand.NewPCG(3, 4))
	c := ViTConfig{Height: 24, Width: 16, Channels: 3, Patch: 2, Pool: "class", Positions: "learned"}
	class, err := newViT(c, 32, 2, 2, rng)
	if err != nil {
		t.Fatal(err)
	}
	c.Pool, c.Positions = "mean", "sincos"
	mean, err := newViT(c, 32, 2, 2, rng)
	if err != nil {
		t.Fatal(err)
	}
	text, err := NewText(TextConfig{Dim: 32, Depth: 2, Heads: 2, Context: 90}, rng)
	if err != nil {
		t.Fatal(err)
	}
	letters := func() *tensor.Tensor {
		x := tensor.New(5, 80)
		for i := range x.Data {
			if i%80 < 30+10*(i/80) {
				x.Data[i] = float32(1 + rng.IntN(257))
			}
		}
		return x
	}
	for _, test := range []struct {
		name   string
		m      Encoder
		x1, x2 *tensor.Tensor
	}{
		{"class", class, images2D(1, 5, 24, 16), images2D(2, 5, 24, 16)},
		{"mean", mean, images2D(1, 5, 24, 16), images2D(2, 5, 24, 16)},
		{"text", text, letters(), letters()},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, arena := test.m, new(nn.Arena)
			p, q := nn.NewPass(arena, true), nn.NewPass(arena, true)
			params := m.Params()
			dy1, dy2 := check.Random(5, 5*m.Dim()), check.Random(6, 5*m.Dim())
			var result []float32
			clearAll := func() {
				for _, p := range params {
					clear(p.Grad.Host())
				}
			}
			step := func() {
				clearAll()
				p.Reset()
				q.Reset()
				y1, y2 := m.Forward(p, test.x1), m.Forward(q, test.x2)
				result = append(append(result[:0], y1.X.Host()...), y2.X.Host()...)
				m.Backward(q, device.Of(dy2), device.Array{})
				m.Backward(p, device.Of(dy1), device.Array{})
				for _, p := range params {
					result = append(result, p.Grad.Host()...)
				}
			}
			var want []float32
			for _, workers := range []int{1, 2, 3} {
				parallel.SetWorkers(workers)
				step()
				if want == nil {
					want = append(want, result...)
				}
				check.Close(t, "bits", result, want, 0)
			}
			peak := arena.Peak()
			if n := testing.AllocsPerRun(3, step); n > 10 { // headers of results
				t.Errorf("%v allocations a step", n)
			}
			if arena.Peak() != peak || arena.Lent() != 0 {
				t.Errorf("the arena grew from %d to %d; %d bytes still lent", peak, arena.Peak(), arena.Lent())
			}

			var alone []float32
			for _, v := range []struct {
				x  *tensor.Tensor
				dy []float32
			}{{test.x1, dy1}, {test.x2, dy2}} {
				clearAll()
				p.Reset()
				m.Forward(p, v.x)
				m.Backward(p, device.Of(v.dy), device.Array{})
				i := 0
				for _, p := range params {
					for _, g := range p.Grad.Host() {
						if len(alone) == i {
							alone = append(alone, 0)
						}
						alone[i] += g
						i++
					}
				}
			}
			check.Close(t, "sum of both", want[len(want)-len(alone):], alone, 1e-5)

			e := nn.NewPass(arena, false)
			y := m.Forward(e, test.x1)
			check.Close(t, "inference", y.X.Host(), want[:y.X.Len()], 0)
			if arena.Lent() > 4*(2*y.X.Len()+64) {
				t.Errorf("inference keeps %d bytes", arena.Lent())
			}
			e.Reset()
		})
	}
}

func images2D(seed uint64, n, h, w int) *tensor.Tensor {
	return tensor.From(check.Random(seed, n*h*w*3), n, h, w, 3)
}
