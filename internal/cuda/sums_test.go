package cuda_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
)

// showSums shows sums of n values in all, of about 1, which may cancel each other.
func (s *side) showSums(name string, sums device.Sums, n int) {
	floor := 2e-7 * math.Sqrt(float64(n))
	s.shown = append(s.shown, shown{name + " Σ", s.values(sums.A), nearSum, floor},
		shown{name + " Σ·", s.values(sums.B), nearSum, floor})
}

// stored has the CPU, which keeps float32, round what a device stores as bfloat16, and take
// the sums of that.
func (s *side) stored(a device.Array, t device.Type, c int, f device.Finish) {
	if !s.cpu || t != half {
		return
	}
	x := a.Host()
	for i, v := range x {
		x[i] = bf16(v)
	}
	if !f.Sums.A.None() {
		s.FinishGrad(a, c, device.Finish{Dot: f.Dot, Sums: f.Sums})
	}
}

func TestColumnSums(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, _, _ device.Type) {
		agree(t, d, func(s *side) {
			y, sums := s.normal(a, rows*c), device.NewSums(s, c)
			if card, ok := s.Device.(*cuda.Device); ok {
				card.ColumnSums(y, c, sums)
			} else {
				s.FinishGrad(y, c, device.Finish{Dot: y, Sums: sums})
			}
			s.showSums("y", sums, rows*c)
		})
	})
}

// The variance that batch normalisation makes of the sums must hold up where the mean is
// large.
func TestSumsVariance(t *testing.T) {
	d := open(t)
	const c, rows, mean = 24, 50000, 10
	s := &side{Device: d, rand: rand.New(rand.NewPCG(13, 14))}
	x := check.Normal(s.rand, rows*c)
	var want float64
	for i := range x {
		x[i] += mean
		if i%c == 3 {
			want += math.Pow(float64(x[i])-mean, 2)
		}
	}
	sums := device.NewSums(d, c)
	d.ColumnSums(s.array(whole, x), c, sums)
	a, b := s.values(sums.A), s.values(sums.B)
	m := a[3] / rows
	check.Scalar(t, "variance", b[3]/rows-m*m, want/rows-math.Pow(m-mean, 2), 1e-5)
}

// finishing returns a Finish with options by the bits of opt: an addition, a mask that is
// scaled or not, sums, whose dot may be the mask.
func (s *side) finishing(a, b device.Type, n, c, opt int) (f device.Finish) {
	if opt&1 != 0 {
		f.Add = s.normal(a, n)
	}
	if opt&2 != 0 {
		f.Mask = s.source(b, n, c, opt&4 != 0, true)
		if opt&4 == 0 { // as it is read
			s.Apply(f.Mask.X, f.Mask, c)
		}
	}
	if opt&8 != 0 {
		f.Dot, f.Sums = s.normal(a, n), device.NewSums(s, c)
		if opt&16 != 0 && opt&2 != 0 {
			f.Dot = f.Mask.X
		}
	}
	return f
}

// showFinished shows a gradient and its sums.
func (s *side) showFinished(d device.Array, f device.Finish) {
	s.showValues("d", d)
	if !f.Sums.A.None() {
		s.showSums("d", f.Sums, d.Len())
	}
}

func TestFinishGrad(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, b, y device.Type) {
		for _, opt := range []int{0, 1, 6, 7, 8, 9, 10, 15, 26, 31} {
			agree(t, d, func(s *side) {
				to := s.normal(y, rows*c)
				f := s.finishing(a, b, rows*c, c, opt)
				s.FinishGrad(to, c, f)
				s.stored(to, y, c, f)
				s.showFinished(to, f)
			})
		}
	})
}

// Sums wait for whoever reads them; what happens meanwhile must not change them.
func TestSumsWait(t *testing.T) {
	d := open(t)
	const c = 16
	agree(t, d, func(s *side) {
		x, y := s.normal(half, 300*c), s.normal(half, 300*c)
		a, b, gone := device.NewSums(s, c), device.NewSums(s, c), device.NewSums(s, c)
		for _, w := range []struct {
			x device.Array
			s device.Sums
		}{{x, gone}, {x, a}, {y, b}} {
			s.FinishGrad(w.x, c, device.Finish{Dot: w.x, Sums: w.s})
			s.Free(gone.A)
			gone.A = device.Array{}
		}
		s.showSums("first", a, x.Len())
		s.showSums("second", b, y.Len())
	})
}

// Sums have the same bits on every card, in whichever order its blocks run.
func TestSumsHaveTheSameBits(t *testing.T) {
	const c, images = 24, 3
	pool := device.Conv{N: images, H: 33, W: 33, C: c, K: c, R: 3, S: 3, Stride: 2, Pad: 1}
	var first []float64
	for _, o := range []sim.Options{{Seed: 3}, {Seed: 4, Card: cuda.Card{Multiprocessors: 132}}} {
		d, err := cuda.New(sim.New(o))
		if err != nil {
			t.Fatal(err)
		}
		s := &side{Device: d, rand: newRand()}
		x, dd := s.normal(half, pool.InLen()), s.normal(half, pool.OutLen())
		argmax := d.Alloc(device.Uint8, pool.OutLen())
		sums, pooled := device.NewSums(d, c), device.NewSums(d, c)
		d.ColumnSums(x, c, sums)
		f := device.Finish{Mask: device.Source{X: x}, Dot: x, Sums: pooled}
		d.MaxPoolGrad(s.empty(half, pool.InLen()), dd, argmax, pool, f)
		var got []float64
		for _, a := range []device.Array{sums.A, sums.B, pooled.A, pooled.B} {
			got = append(got, s.values(a)...)
		}
		d.Close()
		if first == nil {
			first = got
		} else if !slices.Equal(got, first) {
			t.Errorf("sums differ: %v, %v", got, first)
		}
	}
}
