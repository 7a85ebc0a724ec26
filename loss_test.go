package vicreg_test

import (
	"math"
	"strings"
	"sync"
	"testing"

	"vicreg"
)

func TestLossRefuses(t *testing.T) {
	z, bad := make([]float32, 12), make([]float32, 12)
	bad[7] = float32(math.NaN())
	huge := []float32{3e38, 0, -3e38, 0}
	l := vicreg.NewLoss()
	negative, odd, steep := l, l, l
	steep.Lambda = 1e300
	negative.Nu = -1e-9
	odd.Convention = 7
	for _, c := range []struct {
		l        vicreg.Loss
		z1, z2   []float32
		n, d     int
		dz1, dz2 []float32
		want     string
	}{
		{l, z, z, 1, 12, nil, nil, "at least 2 embeddings"},
		{l, z, z, 3, 0, nil, nil, "at least 2 embeddings"},
		{l, z, z, 3, math.MaxInt, nil, nil, "at least 2 embeddings"},
		{l, z, z[1:], 3, 4, nil, nil, "z2 has 11 values, want 3 × 4 = 12"},
		{l, z, z, 3, 4, z, nil, "dz2 has 0 values"},
		{l, z, bad, 3, 4, nil, nil, "z2 has the value NaN in row 1, column 3"},
		{l, huge, huge, 2, 2, nil, nil, "too large"},
		{steep, []float32{1, 2, 3, 4}, []float32{1, 2, 3, 5}, 2, 2, make([]float32, 4), make([]float32, 4), "dz1 has the value NaN in row 0, column 0 (counted from 0): the embeddings or the coefficients are too large"},
		{negative, z, z, 3, 4, nil, nil, "nu is -1e-09"},
		{odd, z, z, 3, 4, nil, nil, "convention"},
	} {
		if _, err := c.l.Eval(c.z1, c.z2, c.n, c.d, c.dz1, c.dz2); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%d × %d: error %v, want one with %q", c.n, c.d, err, c.want)
		}
	}
}

func TestLossConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			z1, z2 := []float32{1, 2, 4, 8}, []float32{1, 3, 5, 7}
			want := vicreg.Terms{}
			for i := range 50 {
				got, err := vicreg.NewLoss().Eval(z1, z2, 2, 2, make([]float32, 4), make([]float32, 4))
				if i == 0 {
					want = got
				}
				if err != nil || got != want {
					t.Errorf("%v, %v, want %v", got, err, want)
				}
			}
		})
	}
	wg.Wait()
}
