package cuda_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// forms are rows × c that passes are tested with: of one channel and of many, whole vectors
// and not, fewer rows than a block has threads and more than a piece has.
var forms = []struct{ rows, c int }{
	{1, 1}, {700, 1}, {37, 3}, {301, 5}, {50, 12}, {3, 8}, {531, 8}, {70, 24}, {333, 64}, {9, 264}, {40, 512},
	{5, 2056},
}

var (
	half  = device.BFloat16
	whole = device.Float32
)

// mixes are types of operands.
var mixes = [][3]device.Type{{half, half, half}, {whole, whole, whole}, {half, whole, half}, {whole, half, half},
	{half, half, whole}}

// eachForm runs f for every form and mix.
func eachForm(t *testing.T, f func(t *testing.T, rows, c int, a, b, y device.Type)) {
	for _, m := range forms {
		for _, types := range mixes {
			name := fmt.Sprintf("%d×%d %v", m.rows, m.c, types)
			t.Run(name, func(t *testing.T) { f(t, m.rows, m.c, types[0], types[1], types[2]) })
		}
	}
}

func TestApply(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, _, y device.Type) {
		for opt := range 4 {
			agree(t, d, func(s *side) {
				src, to := s.source(a, rows*c, c, opt&1 != 0, opt&2 != 0), s.empty(y, rows*c)
				s.Apply(to, src, c)
				s.showValues("y", to)
				s.Apply(src.X, src, c)
				s.showValues("in place", src.X)
			})
		}
	})
}

func (s *side) grad(t, u device.Type, n, c int) device.Grad {
	return device.Grad{D: s.normal(t, n), Y: s.normal(u, n), A: s.channels(c), B: s.channels(c), K: s.channels(c)}
}

func TestApplyGrad(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, b, y device.Type) {
		agree(t, d, func(s *side) {
			g, to := s.grad(a, b, rows*c, c), s.empty(y, rows*c)
			s.ApplyGrad(to, g, c)
			s.showValues("y", to)
			s.ApplyGrad(g.D, g, c)
			s.showValues("over d", g.D)
			g.D = to
			s.ApplyGrad(g.Y, g, c)
			s.show("over y", g.Y, 2*near16)
			s.ApplyGrad(to, device.Grad{D: g.D}, c)
			s.showValues("plain", to)
		})
	})
}

func TestAddReLU(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, b, y device.Type) {
		for _, opt := range []int{0, 7, 10, 21, 31} {
			agree(t, d, func(s *side) {
				x, z := s.source(a, rows*c, c, opt&1 != 0, opt&2 != 0), s.source(b, rows*c, c, opt&4 != 0, opt&8 != 0)
				to := s.empty(y, rows*c)
				s.AddReLU(to, x, z, c, opt&16 != 0)
				s.showValues("y", to)
				s.AddReLU(x.X, x, z, c, opt&16 != 0)
				s.showValues("over a", x.X)
			})
		}
	})
}

func TestAxpy(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, _, y device.Type) {
		agree(t, d, func(s *side) {
			x, to := s.normal(a, rows*c), s.normal(y, rows*c)
			s.Axpy(to, -0.7, x)
			s.showValues("y", to)
		})
	})
}

func TestAddSums(t *testing.T) {
	d := open(t)
	for _, c := range []int{1, 8, 300} {
		agree(t, d, func(s *side) {
			x, y, sums := s.channels(c), s.channels(4*c), device.NewSums(s, c)
			s.FinishGrad(y, c, device.Finish{Dot: y, Sums: sums})
			s.AddSums(x, sums.A)
			s.showValues("x", x)
		})
	}
}

// Parts of arrays may begin anywhere.
func TestPassesOfParts(t *testing.T) {
	d := open(t)
	const rows, c = 9, 16
	part := func(a device.Array) device.Array { return a.Slice(1, a.Len()) }
	for at := range 3 {
		agree(t, d, func(s *side) {
			src, y := s.source(half, rows*c, c, true, true), s.empty(half, rows*c)
			dot, sums := s.normal(half, rows*c), device.NewSums(s, c)
			switch at {
			case 0:
				src.X = part(s.normal(half, rows*c+1))
			case 1:
				src.Scale, src.Shift = part(s.channels(c+1)), part(s.channels(c+1))
			case 2:
				y, dot = part(s.empty(half, rows*c+1)), part(s.normal(half, rows*c+1))
			}
			s.Apply(y, src, c)
			s.showValues("y", y)
			s.AddReLU(y, src, device.Source{X: dot}, c, true)
			s.showValues("a + b", y)
			f := device.Finish{Mask: src, Dot: dot, Sums: sums}
			s.stored(y, half, c, device.Finish{})
			s.FinishGrad(y, c, f)
			s.showFinished(y, f)
		})
	}
}

// Passes over nothing do nothing, and leave sums of 0.
func TestPassesOverNothing(t *testing.T) {
	d := open(t)
	var none device.Array
	sums := device.NewSums(d, 3)
	x := (&side{Device: d, rand: newRand()}).channels(6)
	d.ColumnSums(x, 3, sums)
	d.Apply(none, device.Source{}, 3)
	d.AddReLU(none, device.Source{}, device.Source{}, 3, true)
	d.Axpy(none, 1, none)
	d.AddSums(none, none)
	d.ColumnSums(none, 3, sums)
	check.Close64(t, "sums", (&side{Device: d}).values(sums.A), make([]float64, 3), 0)
}

// A NaN goes through every ReLU.
func TestPassesKeepNaN(t *testing.T) {
	d := open(t)
	for _, c := range []int{1, 8} {
		x := check.Normal(rand.New(rand.NewPCG(1, 1)), 3*c)
		x[c] = float32(math.NaN())
		s := &side{Device: d}
		for _, kind := range []device.Type{half, whole} {
			a := device.Source{X: s.array(kind, x), ReLU: true}
			for name, run := range map[string]func(y device.Array){
				"Apply":   func(y device.Array) { d.Apply(y, a, c) },
				"AddReLU": func(y device.Array) { d.AddReLU(y, a, a, c, true) },
			} {
				y := s.array(kind, make([]float32, 3*c))
				run(y)
				if got := s.values(y); !math.IsNaN(got[c]) || math.IsNaN(got[0]) {
					t.Errorf("%s of %s: %v", name, kind, got)
				}
			}
		}
	}
}

func TestTail(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, _, y device.Type) {
		for opt := range 4 {
			agree(t, d, func(s *side) {
				to := s.normal(y, rows*c)
				tail := device.Tail{Scale: s.channels(c), Shift: s.channels(c), ReLU: opt&1 != 0}
				if opt&2 != 0 {
					tail.Add = s.normal(a, rows*c)
				}
				if card, ok := s.Device.(*cuda.Device); ok {
					card.Tail(to, c, tail)
				} else {
					relu := tail.ReLU && tail.Add.None()
					one := device.Source{X: to, Scale: tail.Scale, Shift: tail.Shift, ReLU: relu}
					if s.Apply(to, one, c); !tail.Add.None() {
						s.AddReLU(to, device.Source{X: to}, device.Source{X: tail.Add}, c, tail.ReLU)
					}
				}
				s.showValues("y", to)
			})
		}
	})
}
