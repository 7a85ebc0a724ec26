package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"vicreg/internal/device"
)

func TestMaxPool(t *testing.T) {
	d := open(t)
	for i, m := range []device.Conv{
		{N: 2, H: 9, W: 8, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 1, H: 12, W: 11, R: 3, S: 3, Stride: 2},
		{N: 1, H: 1, W: 5, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 3, H: 7, W: 7, R: 2, S: 2, Stride: 2},
		{N: 1, H: 6, W: 9, R: 3, S: 2, Stride: 1, Pad: 1},
		{N: 1, H: 11, W: 10, R: 2, S: 3, Stride: 4},
		{N: 1, H: 12, W: 12, R: 5, S: 5, Stride: 3, Pad: 2},
		{N: 2, H: 33, W: 1, R: 3, S: 1, Stride: 2, Pad: 1, Sequence: true},
		{N: 2, H: 34, W: 1, R: 4, S: 1, Stride: 4, Sequence: true},
	} {
		for _, c := range []int{1, 5, 8, 64} {
			for k, types := range mixes {
				m.C, m.K = c, c
				t.Run(fmt.Sprintf("%+v %v", m, types), func(t *testing.T) {
					for opt := range 4 {
						agree(t, d, func(s *side) {
							in, n := m.InLen(), m.OutLen()
							src := s.source(types[0], in, c, opt&1 != 0, opt&2 != 0)
							y, argmax := s.empty(types[1], n), s.Alloc(device.Uint8, n)
							s.MaxPool(y, argmax, m, src)
							s.showValues("y", y)
							s.show("argmax", argmax, equal)
							f := s.finishing(types[1], types[0], in, c, (7*i+5*k+opt*9)%32)
							dx, dd := s.empty(types[2], in), s.normal(types[1], n)
							s.MaxPoolGrad(dx, dd, argmax, m, f)
							s.stored(dx, types[2], c, f)
							s.showFinished(dx, f)
						})
					}
				})
			}
		}
	}
}

// A NaN anywhere in a window comes out.
func TestMaxPoolNaN(t *testing.T) {
	d := open(t)
	for _, c := range []int{3, 8} {
		for _, kind := range []device.Type{half, whole} {
			for _, stride := range []int{1, 2} {
				m := device.Conv{N: 1, H: 3, W: 3, C: c, K: c, R: 3, S: 3, Stride: stride}
				for at := range 9 {
					x := make([]float32, m.InLen())
					for j := range c {
						x[at*c+j] = float32(math.NaN())
					}
					s := &side{Device: d}
					y, argmax := s.array(kind, make([]float32, c)), d.Alloc(device.Uint8, c)
					d.MaxPool(y, argmax, m, device.Source{X: s.array(kind, x), ReLU: true})
					places := s.values(argmax)
					for j, v := range s.values(y) {
						if !math.IsNaN(v) || places[j] != float64(at) {
							t.Errorf("NaN at %d, channel %d of %s: got %v from %v", at, j, kind, v, places[j])
						}
					}
				}
			}
		}
	}
}

func TestAvgPool(t *testing.T) {
	d := open(t)
	for _, c := range []int{1, 10, 16, 72, 520} {
		for _, pixels := range []int{1, 16, 49, 130} {
			for k, types := range mixes {
				t.Run(fmt.Sprintf("%d×%d %v", pixels, c, types), func(t *testing.T) {
					const n = 3
					for opt := range 4 {
						agree(t, d, func(s *side) {
							src, y := s.source(types[0], n*pixels*c, c, opt&1 != 0, opt&2 != 0), s.empty(types[1], n*c)
							s.AvgPool(y, n, pixels, c, src)
							s.showValues("y", y)
							f := s.finishing(types[1], types[0], n*pixels*c, c, (7*pixels+5*k+opt*9)%32)
							dx, dd := s.empty(types[2], n*pixels*c), s.normal(types[1], n*c)
							s.AvgPoolGrad(dx, dd, n, pixels, c, f)
							s.stored(dx, types[2], c, f)
							s.showFinished(dx, f)
						})
					}
				})
			}
		}
	}
}
