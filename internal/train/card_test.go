//go:build native

package train

import (
	"math"
	"path/filepath"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/devices"
	"vicreg/internal/group"
	"vicreg/internal/group/local"
)

// On a card, if there is one, a run that was stopped and goes on ends with the same bits,
// and computes what the processor does.
func TestCard(t *testing.T) {
	open := func() device.Device {
		d, err := devices.Open("cuda")
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	open()
	c := config(t)
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet18", 16, "64-64"
	want := sameBits(t, c, func() device.Device { return nil })
	for precision, near := range map[string]float64{"float32": 1e-4, "tf32": 2e-3, "bf16": 2e-2} {
		c.Precision = precision
		got := sameBits(t, c, open, 1, 7)
		if !(math.Abs(got/want-1) <= near) {
			t.Errorf("%s: the first loss is %v on the card, %v on the processor", precision, got, want)
		}
	}
}

// Two ranks that share a card, whose sums cross by way of the host, train as the processor does.
func TestCardInRanks(t *testing.T) {
	if d, err := devices.Open("cuda"); err != nil {
		t.Skip(err)
	} else {
		d.Close()
	}
	c := config(t)
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet18", 16, "64-64"
	if _, _, err := Pretrain(t.Context(), c, Options{}); err != nil {
		t.Fatal(err)
	}
	want := losses(t, c.Out)
	c.Out = filepath.Join(t.TempDir(), "ranks")
	err := local.First(local.Run(2, func(g group.Group) error {
		d, err := devices.Open("cuda")
		if err != nil {
			return err
		}
		defer d.Close()
		if why, err := d.(*cuda.Device).Join(g); why == "" || err != nil {
			t.Errorf("two ranks on one card are linked (%v)", err)
		}
		_, _, err = Pretrain(t.Context(), c, Options{Group: g, Device: d})
		return err
	}))
	if err != nil {
		t.Fatal(err)
	}
	got := losses(t, c.Out)
	for i := range min(3, len(want)) {
		if !(math.Abs(got[i]/want[i]-1) <= 1e-4) {
			t.Errorf("loss %d is %v in two ranks on the card, %v on the processor", i, got[i], want[i])
		}
	}
}
