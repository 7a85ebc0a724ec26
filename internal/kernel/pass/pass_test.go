package pass

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/shape"
)

// normal returns random values.
func normal(r *rand.Rand, n int) shape.Values { return shape.Floats(check.Normal(r, n)) }

func TestApply(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, c := range check.Widths {
			n := (1 + r.IntN(90)) * c
			for opt := range 4 {
				src := shape.Source{X: normal(r, n), ReLU: opt&1 != 0}
				if opt&2 != 0 {
					src.Scale, src.Shift = check.Normal(r, c), check.Normal(r, c)
				}
				got, want := make([]float32, n), make([]float32, n)
				for i := range want {
					want[i] = src.At(i, i%c)
				}
				Apply(shape.Floats(got), src, c)
				check.Close(t, "Apply", got, want, 1e-6)
			}
			g := shape.Grad{D: normal(r, n), Y: normal(r, n), A: check.Normal(r, c),
				B: check.Normal(r, c), K: check.Normal(r, c)}
			got, want := make([]float32, n), make([]float32, n)
			for i := range want {
				want[i] = g.At(i, i%c)
			}
			ApplyGrad(shape.Floats(got), g, c)
			check.Close(t, "ApplyGrad", got, want, 1e-6)
		}
	})
}

func TestAddReLU(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, c := range check.Widths {
			n := (1 + r.IntN(40)) * c
			source := func(opt int) shape.Source {
				s := shape.Source{X: normal(r, n), ReLU: opt&1 != 0}
				if opt&2 != 0 {
					s.Scale, s.Shift = check.Normal(r, c), check.Normal(r, c)
				}
				return s
			}
			for opt := range 32 {
				a, b := source(opt), source(opt>>2)
				got, want := make([]float32, n), make([]float32, n)
				for i := range want {
					want[i] = a.At(i, i%c) + b.At(i, i%c)
					if opt&16 != 0 {
						want[i] = max(0, want[i])
					}
				}
				for _, large := range []int{row.StreamFloats, 0} {
					keep := row.StreamFloats
					row.StreamFloats = large
					AddReLU(shape.Floats(got), a, b, c, opt&16 != 0)
					row.StreamFloats = keep
					check.Close(t, "AddReLU", got, want, 1e-6)
					clear(got)
				}
			}
		}
	})
}

func TestFinishGrad(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, c := range check.Widths {
			rows := 1 + r.IntN(200)
			n := rows * c
			for opt := range 16 {
				var f, w shape.Finish
				if opt&1 != 0 {
					f.Add = normal(r, n)
				}
				if opt&2 != 0 {
					f.Mask.X = normal(r, n)
				}
				if opt&4 != 0 {
					f.Mask.Scale, f.Mask.Shift = check.Normal(r, c), check.Normal(r, c)
				}
				if opt&8 != 0 {
					f.Dot, f.Sums = normal(r, n), shape.NewSums(c)
				}
				w = f
				if f.Sums != nil {
					w.Sums = shape.NewSums(c)
				}
				got, want := check.Normal(r, n), make([]float32, n)
				acc := make([]float64, n)
				for i, v := range got {
					acc[i] = float64(v)
				}
				plain.Finish(shape.Floats(want), acc, c, w)
				FinishGrad(shape.Floats(got), c, f)
				check.Close(t, "d", got, want, 1e-6)
				if f.Sums != nil {
					check.Close64(t, "Σ d", f.Sums.A, w.Sums.A, 1e-5)
					check.Close64(t, "Σ d·dot", f.Sums.B, w.Sums.B, 1e-5)
				}
			}
		}
	})
}

// The variance that batch normalisation makes of the sums must hold up where
// the mean is large.
func TestSumsVariance(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		const c, rows, mean = 20, 50000, 10
		y := check.Normal(r, rows*c)
		var want float64
		for i := range y {
			y[i] += mean
			if i%c == 3 {
				want += math.Pow(float64(y[i])-mean, 2)
			}
		}
		s := shape.NewSums(c)
		Store(shape.Floats(y), y, c, s)
		m := s.A[3] / rows
		got := s.B[3]/rows - m*m
		check.Scalar(t, "variance", got, want/rows-math.Pow(m-mean, 2), 1e-5)
	})
}
