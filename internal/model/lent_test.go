package model

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/device/blank"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// What is reckoned is what the arena lends, of every encoder and head.
func TestLent(t *testing.T) {
	for kind, sizes := range map[Kind][]int{Images: {20, 16, 3}, Sequences: {80, 2}, Numbers: {7}, Texts: {9}} {
		for k, arch := range ArchsFor(kind) {
			if arch == "resnet101" || arch == "resnet200x2" || arch == "resnet152" || arch == "vit-small" || arch == "vit-base" {
				continue // the same layers, more of them
			}
			for i, stem := range []string{"small", "imagenet", "large"} {
				c := Config{Arch: arch, Stem: stem, Input: Input{kind, sizes}}
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
					compareLent(t, device.Local, shape.Float32, c, e, Head{Widths: "24-40-16", Last: last, NoNorm: last == Bias})
				}
			}
		}
	}
	for _, c := range variants {
		e, err := New(c, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		compareLent(t, device.Local, shape.Float32, c, e, Head{Widths: "16"})
	}
	defer func(n int) { device.KeptSum = n }(device.KeptSum)
	device.KeptSum = 1000 // sums that are made again
	for _, arch := range []string{"resnet34", "resnet50"} {
		c := Config{Arch: arch, Width: 4, Stem: "small", Input: ImageInput(20, 3)}
		e, err := New(c, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		compareLent(t, device.Local, shape.Float32, c, e, Head{Widths: "16"})
	}
	d := &blank.Device{Half: true, Kept: 1000}
	for _, c := range halfEncoders {
		for _, last := range []string{Plain, Bias} {
			for _, d := range []device.Device{d, device.Local} {
				e, err := New(c.Config, rand.New(rand.NewPCG(1, 2)))
				if err != nil {
					t.Fatal(err)
				}
				e.SetPrecision(shape.BF16)
				compareLent(t, d, shape.BF16, c.Config, e, Head{Widths: "24-40-16", Last: last})
			}
		}
	}
}

// A step takes what was reserved for it and next to nothing beside: ResNet-50 of ImageNet
// with the expander of the paper, on a device that stores bfloat16 and keeps the sums of
// all stages but the first.
func TestReserve(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("these are more bytes than an int counts here")
	}
	const n = 256
	d := &blank.Device{Half: true, Kept: 1 << 27}
	c := Config{Arch: "resnet50", Width: 64, Stem: "imagenet", Input: ImageInput(224, 3)}
	head := Head{Widths: "2048-2048-2048"} // 8192 would take a gigabyte here
	e, err := New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	expander, err := NewHead(e.Dim(), head, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &Branch{Encoder: e, Expander: expander}
	j := NewJoint(d, b, b)
	j.Defer()
	l := LentOn(d, shape.BF16, c, head, nil, n)
	j.Reserve([]Lent{l, l})
	reserved := d.Held
	if j.Arena().Lent() != 0 || float64(d.Held) < 14e9 {
		t.Errorf("%d bytes reserved", d.Held)
	}
	x := tensor.From(make([]float32, n*224*224*3), n, 224, 224, 3)
	dz := d.Alloc(device.Float32, n*2048)
	var held []int
	for range 2 {
		j.ZeroGrad()
		j.Forward(0, x)
		j.Forward(1, x)
		j.Backward(1, dz, device.Array{})
		j.Backward(0, dz, device.Array{})
		held = append(held, d.Held)
	}
	// Views, which of a window was the largest, operands of gradients that were put off.
	if beside := float64(held[0]-reserved) / float64(reserved); held[1] != held[0] || beside > 0.03 {
		t.Errorf("%d bytes reserved, %v held after each step", reserved, held)
	}
	j.Close()
	if d.Free(dz); d.Held != 0 {
		t.Errorf("%d bytes were not given back", d.Held)
	}
}

func compareLent(t *testing.T, d device.Device, precision device.Precision, c Config, e Encoder, h Head) {
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
		want := LentOn(d, precision, c, h, p, n)
		j := NewJoint(d, b, b)
		j.ZeroGrad()
		var rooms [2]device.Array
		name := fmt.Sprintf("%s %d %s, head %s, predictor %v", c.Arch, c.Width, c.Stem, h.Last, p != nil)
		same := func(what string, got int, want float64) {
			t.Helper()
			if float64(got) != want {
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
		j.Backward(1, device.Lift(d, &rooms[0], dz), device.Lift(d, &rooms[1], dp))
		if back := j.Arena().Peak(); back > forward || want.Kept+want.Backward > float64(forward) {
			same("lent backward", back, want.Kept+want.Backward)
		}
		same("kept by one view", j.Arena().Lent(), want.Kept)
		j.Backward(0, device.Lift(d, &rooms[0], dz), device.Lift(d, &rooms[1], dp))
		same("kept at the end", j.Arena().Lent(), 0)
		if p == nil {
			j := newJoint(nn.NewArena(d), []*Branch{b}, nn.NewTargetPass)
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
