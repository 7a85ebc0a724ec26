package train

import (
	"slices"
	"testing"

	"vicreg/internal/tensor"
)

func TestRecentKeepsTheLastOfAnEpoch(t *testing.T) {
	for _, n := range []int{100, 300} { // images of a step
		const steps, d = 12, 2
		r := newRecent(n*steps, d)
		value := func(image, j int) float32 { return float32(2*image + j) }
		for step := range steps {
			z := tensor.New(n, d)
			for i := range z.Data {
				z.Data[i] = value(step*n+i/d, i%d)
			}
			r.add(step, z)
		}
		var want []float32
		for image := n*steps - 1024; image < n*steps; image++ {
			want = append(want, value(image, 0), value(image, 1))
		}
		got := slices.Clone(r.data)
		slices.Sort(got)
		if r.rows != 1024 || !slices.Equal(got, want) {
			t.Errorf("steps of %d images: %d rows, from %v to %v; want %v to %v", n, r.rows, got[0], got[len(got)-1], want[0], want[len(want)-1])
		}
	}
	if r := newRecent(40, 3); r.rows != 40 || len(r.data) != 120 {
		t.Errorf("of 40 images %d rows are kept", r.rows)
	}
}
