package cuda

import (
	"strings"
	"testing"

	"vicreg/internal/device"
)

// Every form that is chosen exists, on cards with Hopper's instructions and without, and with
// it the one for what a form with runs leaves.
func TestChosenFormsExist(t *testing.T) {
	widths := []int{8, 64, 128, 256, 512, 1024, 2048}
	for _, major := range []int{8, 9} {
		d := &Device{card: Card{Major: major}}
		for _, kind := range []Kind{Forward, InputGrad, WeightGrad} {
			for i := range count(kind) {
				f := formOf(kind, i)
				if f.run && (d.hopper() || !f.hopper) && d.formNamed(kind, strings.TrimSuffix(f.name(), "r")) < 0 {
					t.Errorf("%v: there is %s, and nothing for what it leaves", kind, f.name())
				}
			}
			for _, c := range widths {
				for _, k := range widths {
					for i, s := range []device.Conv{{R: 1, S: 1, Stride: 1}, {R: 1, S: 1, Stride: 2},
						{R: 3, S: 3, Stride: 2, Pad: 1}, {R: 5, S: 5, Stride: 1, Pad: 2}, {R: 4, S: 1, Stride: 1}} {
						if i == 4 && kind == InputGrad {
							continue // images need no gradient
						}
						s.N, s.H, s.W, s.C, s.K = 2, 8, 8, c, k
						if name := best(kind, s); name != "library" && d.pick(kind, s) < 0 {
							t.Errorf("%v of %d to %d by %d × %d on %d.0: there is no %s", kind, c, k, s.R, s.S, major, name)
						}
					}
				}
			}
		}
	}
}

func TestPrefer(t *testing.T) {
	d := &Device{card: Card{Major: 9}}
	if err := d.Prefer("forward 1 1 64 256 128x64\ninput-gradient 3 1 64 64 128x256w\n"); err != nil {
		t.Fatal(err)
	}
	one, three := device.Conv{C: 64, K: 256, R: 1, S: 1, Stride: 1}, device.Conv{C: 64, K: 64, R: 3, S: 3, Stride: 1}
	for _, c := range []struct {
		k    Kind
		s    device.Conv
		want string
	}{{Forward, one, "128x64"}, {InputGrad, one, best(InputGrad, one)}, {InputGrad, three, "128x256w"},
		{Forward, three, best(Forward, three)}} {
		if got := d.chosen(c.k, c.s); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.k, c.s, got, c.want)
		}
	}
	if err := d.Prefer("forward 1 1 64\n"); err == nil {
		t.Error("a line of too few words was taken")
	}
}
