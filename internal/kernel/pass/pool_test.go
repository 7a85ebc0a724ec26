package pass

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// finishCase returns a Finish with options by the bits of opt.
func finishCase(r *rand.Rand, n, c, opt int) shape.Finish {
	var f shape.Finish
	if opt&1 != 0 {
		f.Add = normal(r, n)
	}
	if opt&2 != 0 {
		f.Mask = shape.Source{X: normal(r, n), Scale: check.Normal(r, c), Shift: check.Normal(r, c)}
	}
	if opt&4 != 0 {
		f.Dot, f.Sums = normal(r, n), shape.NewSums(c)
	}
	return f
}

// closeFinished compares dx and the sums of f with what Finish means for want.
func closeFinished(t *testing.T, dx []float32, want []float64, c int, f shape.Finish) {
	t.Helper()
	own := f
	if f.Sums != nil {
		own.Sums = shape.NewSums(c)
	}
	wantDX := make([]float32, len(dx))
	plain.Finish(shape.Floats(wantDX), want, c, own)
	check.Close(t, "dx", dx, wantDX, 1e-6)
	if f.Sums != nil {
		check.Close64(t, "Σ d", f.Sums.A, own.Sums.A, 1e-5)
		check.Close64(t, "Σ d·dot", f.Sums.B, own.Sums.B, 1e-5)
	}
}

func TestMaxPool(t *testing.T) {
	shapes := []shape.Conv{
		{N: 2, H: 9, W: 8, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 1, H: 1, W: 5, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 3, H: 7, W: 7, R: 2, S: 2, Stride: 2},
		{N: 1, H: 6, W: 9, R: 3, S: 2, Stride: 1, Pad: 1},
		{N: 1, H: 11, W: 10, R: 2, S: 3, Stride: 4},
		{N: 1, H: 12, W: 12, R: 5, S: 5, Stride: 3, Pad: 2},
		{N: 2, H: 33, W: 1, R: 3, S: 1, Stride: 2, Pad: 1, Sequence: true},
		{N: 2, H: 34, W: 1, R: 4, S: 1, Stride: 4, Sequence: true},
	}
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(19, 20))
		for i, s := range shapes {
			for _, c := range []int{1, 16, 19, 48, 64, 147} {
				s.C, s.K = c, c
				src := shape.Source{X: normal(r, s.InLen()), ReLU: i%2 == 0}
				if c != 16 {
					src.Scale, src.Shift = check.Normal(r, c), check.Normal(r, c)
				}
				n := s.OutLen()
				out, want := make([]float32, n), make([]float32, n)
				arg, wantArg := make([]uint8, n), make([]uint8, n)
				grad := make([]float64, s.InLen())
				d := check.Normal(r, n)
				for o := range want {
					c, x, y, img := o%c, o/c%s.OutW(), o/c/s.OutW()%s.OutH(), o/c/s.OutW()/s.OutH()
					best, from := math.Inf(-1), 0
					plain.Taps(s, img, y, x, func(in, tap int) {
						if v := float64(src.At(in+c, c)); v > best {
							best, from = v, in+c
							wantArg[o] = uint8(tap / s.C)
						}
					})
					want[o] = float32(best)
					grad[from] += float64(d[o])
				}
				MaxPool(shape.Floats(out), arg, s, src)
				check.Close(t, fmt.Sprintf("%+v", s), out, want, 1e-6)
				for o := range arg {
					if arg[o] != wantArg[o] {
						t.Fatalf("%v: the greatest of output %d is at %d, want %d", s, o, arg[o], wantArg[o])
					}
				}
				f := finishCase(r, s.InLen(), c, r.IntN(8))
				dx := make([]float32, s.InLen())
				MaxPoolGrad(shape.Floats(dx), shape.Floats(d), arg, s, f)
				closeFinished(t, dx, grad, c, f)
			}
		}
	})
}

// A NaN anywhere in a window comes out.
func TestMaxPoolNaN(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		s := shape.Conv{N: 1, H: 3, W: 3, C: 82, K: 82, R: 3, S: 3, Stride: 1}
		for at := range 9 {
			x := make([]float32, s.InLen())
			for c := range 82 {
				x[at*82+c] = float32(math.NaN())
			}
			out, arg := make([]float32, 82), make([]uint8, 82)
			MaxPool(shape.Floats(out), arg, s, shape.Source{X: shape.Floats(x)})
			for c, v := range out {
				if !math.IsNaN(float64(v)) || int(arg[c]) != at {
					t.Errorf("NaN at %d, channel %d: got %v from %d", at, c, v, arg[c])
				}
			}
		}
	})
}

func TestAvgPool(t *testing.T) {
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, c := range []int{1, 10, 16, 70} {
			for _, pixels := range []int{1, 16, 49, 130} {
				const n = 5
				src := shape.Source{X: normal(r, n*pixels*c), Scale: check.Normal(r, c),
					Shift: check.Normal(r, c), ReLU: true}
				mean := make([]float64, n*c)
				for i := range src.X.Len() {
					mean[i/(pixels*c)*c+i%c] += float64(src.At(i, i%c)) / float64(pixels)
				}
				want := make([]float32, n*c)
				for i, v := range mean {
					want[i] = float32(v)
				}
				got := make([]float32, n*c)
				AvgPool(shape.Floats(got), n, pixels, c, src)
				check.Close(t, "AvgPool", got, want, 1e-6)

				d := check.Normal(r, n*c)
				grad := make([]float64, src.X.Len())
				for i := range grad {
					grad[i] = float64(d[i/(pixels*c)*c+i%c]) / float64(pixels)
				}
				for opt := range 8 {
					f := finishCase(r, len(grad), c, opt)
					dx := make([]float32, len(grad))
					parallel.SetWorkers(1 + opt%3)
					AvgPoolGrad(shape.Floats(dx), shape.Floats(d), n, pixels, c, f)
					closeFinished(t, dx, grad, c, f)
				}
			}
		}
	})
}
