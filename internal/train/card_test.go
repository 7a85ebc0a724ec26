//go:build native

package train

import (
	"math"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/devices"
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
