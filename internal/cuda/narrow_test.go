package cuda_test

import (
	"slices"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// An image of three channels that is read as it is stored is made wide by a kernel of its own,
// which changes no bit.
func TestImageAsStored(t *testing.T) {
	driver := newDriver(t)
	d, err := cuda.New(driver)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s := &side{Device: d, rand: newRand()}
	ones, zeros := d.Alloc(device.Float32, 3), d.Alloc(device.Float32, 3)
	d.Fill(ones, 1)
	for _, form := range []string{"library", ""} {
		for k := range cuda.Kind(3) {
			d.Force(k, form)
		}
		for _, c := range []device.Conv{
			{N: 2, H: 9, W: 12, C: 3, K: 64, R: 7, S: 7, Stride: 2, Pad: 3},
			{N: 1, H: 8, W: 6, C: 3, K: 64, R: 3, S: 3, Stride: 2, Pad: 1},
			{N: 3, H: 6, W: 8, C: 3, K: 64, R: 4, S: 4, Stride: 2},
		} {
			for _, kind := range []device.Type{half, whole} {
				x, w := s.normal(kind, c.InLen()), s.channels(c.WeightLen())
				g := device.Grad{D: s.normal(half, c.OutLen())}
				var want [][]float64
				for _, src := range []device.Source{{X: x, Scale: ones, Shift: zeros}, {X: x}} {
					y, dw := s.empty(half, c.OutLen()), d.Alloc(device.Float32, c.WeightLen())
					d.ConvForward(y, c, src, w, device.Sums{})
					d.ConvWeightGrad(dw, c, g, src)
					got := [][]float64{s.values(y), s.values(dw)}
					if want == nil {
						want = got
					} else if !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
						t.Errorf("%+v of %v by %q: other bits", c, kind, form)
					}
				}
			}
		}
	}
	if card, ok := driver.(*sim.Driver); ok && card.Launches("narrow_three") < 12 {
		t.Errorf("only %d times by that kernel", card.Launches("narrow_three"))
	}
}
