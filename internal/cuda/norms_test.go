package cuda_test

import (
	"testing"

	"vicreg/internal/device"
)

// squared returns n values above zero.
func (s *side) squared(n int) device.Array {
	x := make([]float32, n)
	for i := range x {
		v := float32(s.rand.NormFloat64())
		x[i] = v*v + 0.1
	}
	return s.array(whole, x)
}

// newNorm returns a normalisation with random parameters.
func (s *side) newNorm(c int, bias bool) device.BatchNorm {
	n := device.BatchNorm{
		Gamma: s.channels(c), Beta: s.channels(c), RunMean: s.channels(c), RunVar: s.squared(c),
		Batches: s.array(whole, []float32{3}), Eps: 1e-5, Momentum: 0.1,
		Mean: s.Alloc(device.Float64, c), Rstd: s.Alloc(device.Float64, c),
		Scale: s.empty(whole, c), Shift: s.empty(whole, c),
	}
	if bias {
		n.Bias = s.channels(c)
	}
	return n
}

func (s *side) showNorm(name string, n device.BatchNorm) {
	for i, a := range []device.Array{n.Mean, n.Rstd, n.RunMean, n.RunVar, n.Scale, n.Shift, n.Batches} {
		what := []string{"mean", "rstd", "running mean", "running variance", "scale", "shift", "batches"}[i]
		s.show(name+": "+what, a, near32)
	}
}

// TestBatchNorm goes from the raw tensor to how its gradient is read.
func TestBatchNorm(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, b, _ device.Type) {
		if rows == 1 {
			return
		}
		for opt := range 4 {
			agree(t, d, func(s *side) {
				n, sums := s.newNorm(c, opt&1 != 0), device.NewSums(s, c)
				y, dd := s.normal(a, rows*c), s.normal(b, rows*c)
				s.FinishGrad(y, c, device.Finish{Dot: y, Sums: sums})
				s.BatchStatistics(n, sums, rows)
				s.showNorm("batch", n)
				s.showSums("forward", sums, rows*c)
				s.FinishGrad(dd, c, device.Finish{Dot: y, Sums: sums})
				g := device.BatchNormGrad{A: s.empty(whole, c), B: s.empty(whole, c), K: s.empty(whole, c)}
				if opt&2 != 0 {
					g.DGamma, g.DBeta = s.channels(c), s.channels(c)
				}
				s.BatchNormBackward(g, n, sums, rows)
				s.showSums("backward", sums, rows*c)
				for i, x := range []device.Array{g.DGamma, g.DBeta, g.A, g.B, g.K} {
					s.showValues([]string{"dγ", "dβ", "a", "b", "k"}[i], x)
				}
				s.RunningStatistics(n)
				s.showNorm("running", n)
			})
		}
	})
}

// Sums that are there already, as those of a layer that another gradient went through too,
// are read as they are.
func TestStatisticsOfKnownSums(t *testing.T) {
	d := open(t)
	const c, rows = 20, 50
	agree(t, d, func(s *side) {
		n, m, sums := s.newNorm(c, false), s.newNorm(c, false), device.NewSums(s, c)
		y := s.normal(half, rows*c)
		s.FinishGrad(y, c, device.Finish{Dot: y, Sums: sums})
		s.BatchStatistics(n, sums, rows)
		s.BatchStatistics(m, sums, rows)
		s.showNorm("once", n)
		s.showNorm("again", m)
	})
}
