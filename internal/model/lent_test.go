package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// What is reckoned is what the arena lends, of every encoder and head.
func TestLent(t *testing.T) {
	for kind, shape := range map[Kind][]int{Images: {20, 16, 3}, Sequences: {80, 2}, Numbers: {7}, Texts: {9}} {
		for k, arch := range ArchsFor(kind) {
			if arch == "resnet101" || arch == "resnet200x2" || arch == "vit-small" {
				continue // the same layers, more of them
			}
			for i, stem := range []string{"small", "imagenet", "large"} {
				c := Config{Arch: arch, Stem: stem, Input: Input{kind, shape}}
				if kind == Images || kind == Sequences || kind == Numbers && i == 1 {
					c.Width = 2 + i
				}
				if _, _, err := Arrays(c); err != nil || k > 0 && i > 0 && arch != "resnet50" {
					continue
				}
				e, err := New(c, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				for _, last := range Lasts() {
					if last != Plain && (i > 0 || k > 0) {
						continue
					}
					compareLent(t, c, e, Head{Widths: "24-40-16", Last: last, NoNorm: last == Bias})
				}
			}
		}
	}
	defer func(n int) { device.KeptSum = n }(device.KeptSum)
	device.KeptSum = 1000 // sums that are made again
	for _, arch := range []string{"resnet34", "resnet50"} {
		c := Config{Arch: arch, Width: 4, Stem: "small", Input: ImageInput(20, 3)}
		e, err := New(c, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		compareLent(t, c, e, Head{Widths: "16"})
	}
}

func compareLent(t *testing.T, c Config, e Encoder, h Head) {
	t.Helper()
	const n = 3
	rng := rand.New(rand.NewPCG(1, 3))
	expander, err := NewHead(e.Dim(), h, rng)
	if err != nil {
		t.Fatal(err)
	}
	p := Head{Widths: "8-16", Last: Bias}
	predictor, err := NewHead(16, p, rng)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Head{nil, &p} {
		b := &Branch{Encoder: e, Expander: expander}
		if p != nil {
			b.Predictor = predictor
		}
		x := tensor.From(check.Random(4, n*tensor.Count(c.Input.Shape)), append([]int{n}, c.Input.Shape...)...)
		if c.Input.Kind == Texts {
			for i := range x.Data {
				x.Data[i] = float32(1 + i%256)
			}
		}
		dz := check.Random(5, n*16)
		dp := dz
		if p == nil {
			dp = nil
		}
		want := LentBy(c, h, p, n)
		j := NewJoint(device.Local, b, b)
		j.ZeroGrad()
		name := fmt.Sprintf("%s %d %s, head %s, predictor %v", c.Arch, c.Width, c.Stem, h.Last, p != nil)
		same := func(what string, got int, want float64) {
			t.Helper()
			if float64(got)/4 != want {
				t.Errorf("%s: %s %d, reckoned %v", name, what, got, want)
			}
		}
		j.Forward(0, x)
		same("kept", j.Arena().Lent(), want.Kept)
		same("lent forward", j.Arena().Peak(), want.Forward)
		j.Forward(1, x)
		same("kept by two views", j.Arena().Lent(), 2*want.Kept)
		forward := j.Arena().Peak()
		same("lent forward by two", forward, want.Kept+max(want.Kept, want.Forward))
		j.Backward(1, device.Of(dz), device.Of(dp))
		if back := j.Arena().Peak(); back > forward || 4*(want.Kept+want.Backward) > float64(forward) {
			same("lent backward", back, want.Kept+want.Backward)
		}
		same("kept by one view", j.Arena().Lent(), want.Kept)
		j.Backward(0, device.Of(dz), device.Of(dp))
		same("kept at the end", j.Arena().Lent(), 0)
		if p == nil {
			j := newJoint(new(nn.Arena), []*Branch{b}, nn.NewTargetPass)
			j.Forward(0, x)
			same("lent to a target", j.Arena().Peak(), want.Target)
		}
	}
}

func BenchmarkLentBy(b *testing.B) {
	c := Config{Arch: "resnet50", Width: 64, Stem: "imagenet", Input: ImageInput(224, 3)}
	for b.Loop() {
		LentBy(c, Head{Widths: "8192-8192-8192"}, nil, 256)
	}
}
