package cuda_test

import (
	"fmt"
	"testing"

	"vicreg/internal/device"
)

// tokenMixes are types of arrays that belong together.
var tokenMixes = []struct {
	name string
	a, b device.Type
}{
	{"float32", device.Float32, device.Float32},
	{"bfloat16", device.BFloat16, device.BFloat16},
	{"mixed", device.BFloat16, device.Float32},
}

// rowNorm returns a normalisation of n rows of c; its statistics are still to be written.
func (s *side) rowNorm(n, c int) device.RowNorm {
	return device.RowNorm{Gamma: s.channels(c), Beta: s.channels(c), Eps: 1e-6, Mean: s.empty(device.Float32, n),
		Rstd: s.empty(device.Float32, n)}
}

// offset returns rows of a normal distribution around 3.
func (s *side) offset(t device.Type, n int) device.Array {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(3 + s.rand.NormFloat64())
	}
	return s.array(t, x)
}

func TestLayerNorm(t *testing.T) {
	d := open(t)
	for _, mix := range tokenMixes {
		for _, shape := range [][2]int{
			{1, 8}, {3, 7}, {70, 64}, {9, 200}, {5, 384}, {3, 776}, {2, 1024}, {3, 1100}, {2, 1},
		} {
			n, c := shape[0], shape[1]
			t.Run(fmt.Sprint(mix.name, n, "x", c), func(t *testing.T) {
				agree(t, d, func(s *side) {
					x, norm, y := s.offset(mix.a, n*c), s.rowNorm(n, c), s.empty(mix.b, n*c)
					s.LayerNorm(y, x, norm)
					s.showValues("y", y)
					s.show("mean", norm.Mean, near32)
					if c > 1 {
						s.show("rstd", norm.Rstd, near32)
					}

					// Back: into an array of its own, then into that of the gradient.
					dy, dx := s.normal(mix.b, n*c), s.empty(mix.a, n*c)
					f := device.RowFinish{X: x, Norm: norm, DGamma: s.channels(c), DBeta: s.channels(c)}
					if n > 2 {
						f.Add = s.normal(mix.b, n*c)
					}
					s.LayerNormGrad(dx, dy, f)
					s.showValues("dx", dx)
					s.showValues("x", x)
					s.show("dγ", f.DGamma, near32)
					s.show("dβ", f.DBeta, near32)
					f.X, f.Add = s.offset(mix.a, n*c), device.Array{}
					s.LayerNormGrad(dy, dy, f)
					s.showValues("dx in place", dy)
				})
			})
		}
	}
}
