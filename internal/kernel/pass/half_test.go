package pass

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

// halfOf rounds values to bfloat16, and fullOf widens them.
func halfOf(v shape.Values) shape.Values {
	h := shape.Halves(make([]uint16, v.Len()))
	for i := range h.H {
		h.Set(i, v.At(i))
	}
	return h
}

func fullOf(v shape.Values) shape.Values {
	if v.None() {
		return v
	}
	f := shape.Floats(make([]float32, v.Len()))
	for i := range f.F {
		f.Set(i, v.At(i))
	}
	return f
}

// rounded checks that got is want rounded, or its neighbour.
func rounded(t *testing.T, what string, got, want shape.Values) {
	t.Helper()
	for i := range got.H {
		w := shape.Widen(shape.Narrow(want.At(i)))
		if off := math.Abs(float64(got.At(i) - w)); off > math.Abs(float64(w))/127+1e-6 {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got.At(i), w)
		}
	}
}

// Passes over bfloat16 give what those over the same values in float32 do, rounded.
func TestHalfPasses(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 9))
		for _, c := range check.Widths {
			n := (1 + r.IntN(90)) * c
			values := func() shape.Values { return halfOf(normal(r, n)) }
			room := func() (half, full shape.Values) { return values(), shape.Floats(make([]float32, n)) }
			for opt := range 8 {
				a, b := shape.Source{X: values(), ReLU: opt&1 != 0}, shape.Source{X: values()}
				if opt&2 != 0 {
					a.Scale, a.Shift = check.Normal(r, c), check.Normal(r, c)
				}
				fa, fb := a, b
				fa.X, fb.X = fullOf(a.X), fullOf(b.X)
				got, want := room()
				Apply(got, a, c)
				Apply(want, fa, c)
				rounded(t, "Apply", got, want)
				AddReLU(got, a, b, c, opt&4 != 0)
				AddReLU(want, fa, fb, c, opt&4 != 0)
				rounded(t, "AddReLU", got, want)

				f := finishCase(r, n, c, opt)
				half := f
				half.Add, half.Mask.X, half.Dot = halfOf(f.Add), halfOf(f.Mask.X), halfOf(f.Dot)
				if f.Add.None() {
					half.Add = shape.Values{}
				}
				if f.Mask.X.None() {
					half.Mask.X = shape.Values{}
				}
				f.Add, f.Mask.X, f.Dot = fullOf(half.Add), fullOf(half.Mask.X), fullOf(half.Dot)
				if f.Sums != nil {
					half.Sums = shape.NewSums(c)
				}
				d := values()
				full := fullOf(d)
				FinishGrad(d, c, half)
				FinishGrad(full, c, f)
				rounded(t, "FinishGrad", d, full)
				if f.Sums != nil {
					check.CloseAbs64(t, "Σ d", half.Sums.A, f.Sums.A, 1e-2, 0.3)
					check.CloseAbs64(t, "Σ d·dot", half.Sums.B, f.Sums.B, 1e-2, 0.3)
				}
			}
			g := shape.Grad{D: values(), Y: values()}
			g.A, g.B, g.K = check.Normal(r, c), check.Normal(r, c), check.Normal(r, c)
			fg := g
			fg.D, fg.Y = fullOf(g.D), fullOf(g.Y)
			got, want := room()
			ApplyGrad(got, g, c)
			ApplyGrad(want, fg, c)
			rounded(t, "ApplyGrad", got, want)

			products, s := check.Normal(r, n), shape.NewSums(c)
			Store(got, products, c, s)
			rounded(t, "Store", got, shape.Floats(products))
			sums := shape.NewSums(c)
			Store(fullOf(got), fullOf(got).F, c, sums)
			check.CloseAbs64(t, "Σ y", s.A, sums.A, 1e-5, 1e-4)
			check.CloseAbs64(t, "Σ y²", s.B, sums.B, 1e-5, 1e-4)
		}
	})
}

func TestHalfPools(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(19, 9))
		for _, c := range []int{1, 16, 19, 48} {
			s := shape.Conv{N: 2, H: 9, W: 8, C: c, K: c, R: 3, S: 3, Stride: 2, Pad: 1}
			n := s.OutLen()
			src := shape.Source{X: halfOf(normal(r, s.InLen())), Scale: check.Normal(r, c), Shift: check.Normal(r, c)}
			full := src
			full.X = fullOf(src.X)
			got, want := halfOf(normal(r, n)), normal(r, n)
			arg, wantArg := make([]uint8, n), make([]uint8, n)
			MaxPool(got, arg, s, src)
			MaxPool(want, wantArg, s, full)
			rounded(t, "MaxPool", got, want)
			for i := range arg {
				if arg[i] != wantArg[i] {
					t.Fatalf("the greatest of output %d is at %d, want %d", i, arg[i], wantArg[i])
				}
			}
			d := halfOf(normal(r, n))
			dx, wantX := halfOf(normal(r, s.InLen())), normal(r, s.InLen())
			MaxPoolGrad(dx, d, arg, s, shape.Finish{})
			MaxPoolGrad(wantX, fullOf(d), arg, s, shape.Finish{})
			rounded(t, "MaxPoolGrad", dx, wantX)

			const images, pixels = 3, 24
			src.X = halfOf(normal(r, images*pixels*c))
			full.X = fullOf(src.X)
			for _, to := range []shape.Values{halfOf(normal(r, images*c)), normal(r, images*c)} {
				mean := normal(r, images*c)
				AvgPool(to, images, pixels, c, src)
				AvgPool(mean, images, pixels, c, full)
				rounded(t, "AvgPool", to, mean)
				dx, wantX := halfOf(src.X), fullOf(src.X)
				AvgPoolGrad(dx, to, images, pixels, c, shape.Finish{})
				AvgPoolGrad(wantX, fullOf(to), images, pixels, c, shape.Finish{})
				rounded(t, "AvgPoolGrad", dx, wantX)
			}
		}
	})
}
