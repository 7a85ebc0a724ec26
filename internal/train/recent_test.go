package train

import (
	"slices"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/method"
)

func TestRecentKeepsTheLastOfAnEpoch(t *testing.T) {
	far := far.New()
	defer far.Close()
	for _, test := range []struct {
		n   int // images of a step
		dev device.Device
	}{{100, device.Local}, {300, device.Local}, {100, far}, {300, far}, {1500, far}} {
		const steps, d = 12, 2
		n := test.n
		r := newRecent(n*steps, d)
		value := func(image, j int) float32 { return float32(2*image + j) }
		for step := range steps {
			z := make([]float32, n*d)
			for i := range z {
				z[i] = value(step*n+i/d, i%d)
			}
			var room device.Array
			r.add(step, method.Rows{Device: test.dev, Values: device.Lift(test.dev, &room, z), N: n, D: d})
			if step == 5 { // a run that is stopped and resumed
				stopped := r.read()
				r = newRecent(n*steps, d)
				r.set(stopped)
			}
		}
		var want []float32
		for image := n*steps - 1024; image < n*steps; image++ {
			want = append(want, value(image, 0), value(image, 1))
		}
		got := slices.Clone(r.read())
		slices.Sort(got)
		if r.rows != 1024 || !slices.Equal(got, want) {
			t.Errorf("steps of %d images: %d rows, from %v to %v; want %v to %v", n, r.rows, got[0], got[len(got)-1], want[0], want[len(want)-1])
		}
	}
	if r := newRecent(40, 3); r.rows != 40 || len(r.data) != 120 {
		t.Errorf("of 40 images %d rows are kept", r.rows)
	}
}
