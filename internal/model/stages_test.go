package model

import (
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/nn"
	"vicreg/internal/rng"
	"vicreg/internal/tensor"
)

// Of an encoder whose first stages are frozen the others get the gradients that they get
// in the whole network, where that normalises by running statistics throughout; the frozen
// ones get none. So it is on a device whose memory the host cannot touch.
func TestFreeze(t *testing.T) {
	for _, c := range []Config{
		{Arch: "resnet10", Width: 4, Stem: "small", Input: ImageInput(16, 3)},
		{Arch: "resnet50", Width: 2, Stem: "imagenet", Input: ImageInput(32, 3)},
		{Arch: "vit", Dim: 12, Blocks: 3, Heads: 2, Patch: 8, Input: ImageInput(16, 3)},
		{Arch: "vit", Dim: 12, Blocks: 3, Heads: 2, Patch: 8, Pool: "mean", Positions: "sincos", Input: ImageInput(16, 3)},
	} {
		x := tensor.New(append([]int{5}, c.Input.Shape...)...)
		for i := range x.Data {
			x.Data[i] = float32(rng.New(1, rng.Bench, uint64(i)).NormFloat64())
		}
		run := func(d device.Device, names []string, running bool) (e Encoder, y []float32) {
			e, err := New(c, rng.New(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range e.Buffers() {
				if strings.Contains(p.Name, "running_mean") {
					p.Draw(rng.New(5, rng.Bench).NormFloat64)
				}
			}
			if err := Freeze(e, names); err != nil {
				t.Fatal(err)
			}
			for _, p := range slices.Concat(e.Params(), e.Buffers()) {
				p.To(d)
			}
			p := nn.NewPass(nn.NewArena(d), true)
			if running {
				p.UseRunning()
			}
			for range 2 { // memory is used again
				for _, p := range e.Params() {
					if !p.Grad.None() {
						d.Fill(p.Grad, 0)
					}
				}
				p.Reset()
				out := e.Forward(p, x)
				y = slices.Clone(p.Read(out, new([]float32)))
				dy := d.Alloc(out.X.Type(), out.X.Len())
				d.Fill(dy, 0.5)
				e.Backward(p, dy, device.Array{})
			}
			return e, y
		}
		e, _ := New(c, nil)
		stages := e.(Staged).Stages()
		whole, y := run(device.Local, nil, true)
		for n := 1; n < len(stages); n++ {
			names := slices.Clone(stages[:n])
			slices.Reverse(names)
			for _, d := range []device.Device{device.Local, far.New()} {
				part, got := run(d, names, true)
				check.Close(t, c.Arch+": features", got, y, 1e-5)
				frozen := 0
				for i, p := range part.Params() {
					if p.Grad.None() {
						frozen++
						continue
					}
					check.Close(t, c.Arch+", "+names[0]+" frozen: "+p.Name, p.TorchGrad(), whole.Params()[i].TorchGrad(), 1e-4)
				}
				if frozen == 0 || frozen == len(part.Params()) {
					t.Errorf("%s: %d parameters are frozen", c.Arch, frozen)
				}
			}
		}
		for want, names := range map[string][]string{
			`no stage "trunk"`:                 {"trunk"},
			"frozen twice":                     {"stem", "stem"},
			"before it is not":                 {stages[1]},
			"freeze all":                       stages,
			"first ones of stem, " + stages[1]: {"stem", stages[2]},
		} {
			if err := Freeze(e, names); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v: %v", c.Arch, names, err)
			} else if was := CheckStages(c, names); was == nil || was.Error() != err.Error() {
				t.Errorf("%s: %v: %v, but before it is built: %v", c.Arch, names, err, was)
			}
		}
	}
	mlp, err := New(Config{Arch: "mlp", Input: Input{Kind: Numbers, Shape: []int{3}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Freeze(mlp, []string{"stem"}); err == nil || !strings.Contains(err.Error(), "freeze all, or none") {
		t.Error(err)
	}
}

func TestCheckStages(t *testing.T) {
	for arch, last := range map[string]string{"resnet18": "layer4", "vit-tiny": "blocks.11"} {
		c := Config{Arch: arch}
		if err := CheckStages(c, []string{"stem"}); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
		if err := CheckStages(c, []string{last}); err == nil || !strings.Contains(err.Error(), last+" is to be frozen and stem before it is not") {
			t.Errorf("%s: %v", arch, err)
		}
	}
	if err := CheckStages(Config{Arch: "mlp"}, nil); err != nil {
		t.Error(err)
	}
	if err := CheckStages(Config{Arch: "mlp"}, []string{"stem"}); err == nil || !strings.Contains(err.Error(), "freeze all, or none") {
		t.Error(err)
	}
}
