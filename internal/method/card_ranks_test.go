//go:build native

package method

import (
	"math"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/devices"
	"vicreg/internal/group"
	"vicreg/internal/group/local"
)

// On a card, if there is one, every method trains alike by itself, as one process whose sums and gathers go by
// NCCL, and as two processes that share the card, whose sums go by way of the host.
func TestCardInRanks(t *testing.T) {
	open := func() *cuda.Device {
		d, err := devices.Open("cuda")
		if err != nil {
			t.Skip(err)
		}
		return d.(*cuda.Device)
	}
	open().Close()
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			c := config(t, name)
			c.Batch = 2 * rows
			if c.Queue.Size > 0 {
				c.Queue.Size = 2 * c.Batch
			}
			if err := c.Validate(); err != nil {
				t.Fatal(err)
			}
			const steps = 10
			one := together(t, c, 1, steps, func(group.Group) device.Device { return open() })[0]
			near := func(what string, got course) {
				t.Helper()
				most := 0.0
				for i, loss := range got.losses {
					off := math.Abs(loss-one.losses[i]) / max(1, math.Abs(one.losses[i])) // cosines may be near 0
					most = max(most, off)
					if !(off <= 1e-5) {
						t.Errorf("%s: loss %d is %v, want %v", what, i, loss, one.losses[i])
					}
				}
				t.Logf("%s: the losses of %d steps differ by up to %.1e", what, len(got.losses), most)
			}
			for rank, got := range together(t, c, 2, steps, func(g group.Group) device.Device {
				d := open()
				if why, err := d.Join(g); why == "" || err != nil {
					t.Errorf("two ranks on one card are linked (%v)", err)
				}
				return d
			}) {
				near([]string{"first of two processes", "second of two processes"}[rank], got)
			}
			var got course
			missing := ""
			err := local.First(local.Run(1, func(g group.Group) (err error) {
				data := many
				d := open()
				defer d.Close()
				if missing, err = d.Join(g); missing != "" || err != nil {
					return err
				}
				data.Group, data.Device = g, d
				got, err = follow(c, data, steps)
				return err
			}))
			if err != nil {
				t.Fatal(err)
			}
			if missing != "" {
				t.Skip(missing)
			}
			near("by NCCL", got)
		})
	}
}
