package model

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// items has a small shape of every kind.
var items = map[Kind][]int{Images: {32, 32, 3}, Sequences: {400, 2}, Numbers: {7}, Texts: {40}}

// Every encoder builds from a Config that says no more than it must, reads its
// kind of items in two passes at once, goes backward, and refuses other kinds.
func TestEveryEncoder(t *testing.T) {
	const n = 3
	for kind, shape := range items {
		for _, arch := range ArchsFor(kind) {
			if arch == "resnet200x2" || arch == "resnet101" || arch == "resnet50x2" || arch == "resnet152" || arch == "vit-small" || arch == "vit-base" {
				continue // like their smaller kin, and slow
			}
			t.Run(arch, func(t *testing.T) {
				c := Config{Arch: arch, Stem: "small", Input: Input{kind, shape}}
				if kind == Images || kind == Sequences {
					c.Width = 4
				}
				e, err := New(c, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				var passes [2]*nn.Pass
				arena := new(nn.Arena)
				for i := range passes {
					passes[i] = nn.NewPass(arena, true)
					x := tensor.From(check.Random(uint64(i+1), n*tensor.Count(shape)), append([]int{n}, shape...)...)
					if kind == Texts {
						for j := range x.Data {
							x.Data[j] = float32(1 + (i+j*7)%256)
						}
					}
					if y := e.Forward(passes[i], x); y.N != n || y.C != e.Dim() {
						t.Fatalf("representations are %d × %d, want %d × %d", y.N, y.C, n, e.Dim())
					}
				}
				for i := len(passes) - 1; i >= 0; i-- {
					e.Backward(passes[i], device.Of(check.Random(9, n*e.Dim())), device.Array{})
				}
				if arena.Lent() != 0 {
					t.Errorf("%d bytes still lent", arena.Lent())
				}
				for _, p := range e.Params() {
					for _, g := range p.Grad.Host() {
						if g != g {
							t.Fatalf("the gradient of %s is not finite", p.Name)
						}
					}
				}
				for other := range items {
					if other != kind && Check(arch, other) == nil {
						t.Errorf("%s is said to read %s", arch, other)
					}
				}
			})
		}
	}
	if _, err := New(Config{Arch: "nosuch"}, nil); err == nil {
		t.Error("an unknown encoder was built")
	}
}
