package kernel

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/parallel"
)

// widths are numbers of channels around the lengths of vectors and groups.
var widths = []int{1, 3, 7, 8, 10, 15, 16, 17, 31, 33, 48, 64, 65, 70, 128, 131}

func TestApply(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, c := range widths {
			n := (1 + r.IntN(90)) * c
			for opt := range 4 {
				src := Source{X: normal(r, n), ReLU: opt&1 != 0}
				if opt&2 != 0 {
					src.Scale, src.Shift = normal(r, c), normal(r, c)
				}
				got, want := make([]float32, n), make([]float32, n)
				for i := range want {
					want[i] = src.At(i, i%c)
				}
				Apply(got, src, c)
				check.Close(t, "Apply", got, want, 1e-6)
			}
			g := Grad{normal(r, n), normal(r, n), normal(r, c), normal(r, c), normal(r, c)}
			got, want := make([]float32, n), make([]float32, n)
			for i := range want {
				want[i] = g.At(i, i%c)
			}
			ApplyGrad(got, g, c)
			check.Close(t, "ApplyGrad", got, want, 1e-6)
		}
	})
}

func TestAddReLU(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		for _, c := range widths {
			n := (1 + r.IntN(40)) * c
			source := func(opt int) Source {
				s := Source{X: normal(r, n), ReLU: opt&1 != 0}
				if opt&2 != 0 {
					s.Scale, s.Shift = normal(r, c), normal(r, c)
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
				for _, large := range []int{streamFloats, 0} {
					keep := streamFloats
					streamFloats = large
					AddReLU(got, a, b, c, opt&16 != 0)
					streamFloats = keep
					check.Close(t, "AddReLU", got, want, 1e-6)
					clear(got)
				}
			}
		}
	})
}

func TestFinishGrad(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, c := range widths {
			rows := 1 + r.IntN(200)
			n := rows * c
			for opt := range 16 {
				var f, w Finish
				if opt&1 != 0 {
					f.Add = normal(r, n)
				}
				if opt&2 != 0 {
					f.Mask.X = normal(r, n)
				}
				if opt&4 != 0 {
					f.Mask.Scale, f.Mask.Shift = normal(r, c), normal(r, c)
				}
				if opt&8 != 0 {
					f.Dot, f.Sums = normal(r, n), NewSums(c)
				}
				w = f
				if f.Sums != nil {
					w.Sums = NewSums(c)
				}
				got, want := normal(r, n), make([]float32, n)
				acc := make([]float64, n)
				for i, v := range got {
					acc[i] = float64(v)
				}
				plainFinish(want, acc, c, w)
				FinishGrad(got, c, f)
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
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		const c, rows, mean = 20, 50000, 10
		y := normal(r, rows*c)
		var want float64
		for i := range y {
			y[i] += mean
			if i%c == 3 {
				want += math.Pow(float64(y[i])-mean, 2)
			}
		}
		s := NewSums(c)
		sumPass(s, y, c)
		m := s.A[3] / rows
		got := s.B[3]/rows - m*m
		check.Scalar(t, "variance", got, want/rows-math.Pow(m-mean, 2), 1e-5)
	})
}

func TestVectors(t *testing.T) {
	defer parallel.SetWorkers(0)
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for _, n := range []int{0, 1, 5, 16, 63, 64, 65, 200, 4096, 32768, 100003} {
			x, y := normal(r, n), normal(r, n)
			want := make([]float32, n)
			var dot float64
			for i := range want {
				want[i] = y[i] + 0.3*x[i]
				dot += float64(x[i]) * float64(y[i])
			}
			parallel.SetWorkers(1)
			one := Dot(x, y)
			parallel.SetWorkers(3)
			if got := Dot(x, y); got != one {
				t.Errorf("n=%d: Dot is %v with three workers, %v with one", n, got, one)
			}
			check.CloseAbs64(t, "Dot", []float64{one}, []float64{dot}, 0, 1e-6*math.Sqrt(float64(n)))
			check.Scalar(t, "SumSquares", SumSquares(x), square(x), 1e-6)
			Axpy(y, 0.3, x)
			check.Close(t, "Axpy", y, want, 1e-7)
			Scale(y, -2)
			for i := range want {
				want[i] *= -2
			}
			check.Close(t, "Scale", y, want, 1e-7)
		}
	})
}

func square(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func TestSteps(t *testing.T) {
	eachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, n := range []int{1, 16, 37, 40000} {
			w, m, v, g := normal(r, n), normal(r, n), normal(r, n), normal(r, n)
			w64, m64, v64 := make([]float64, n), make([]float64, n), make([]float64, n)
			for i := range w {
				v[i] *= v[i]
				w64[i], m64[i], v64[i] = float64(w[i]), float64(m[i]), float64(v[i])
			}
			MomentumStep(w, m, g, 0.1, 0.9, 1e-2, 0.5)
			for i := range w {
				m64[i] = 0.9*m64[i] + 0.5*(float64(g[i])+1e-2*w64[i])
				w64[i] -= 0.1 * m64[i]
			}
			near(t, "momentum w", w, w64)
			near(t, "momentum m", m, m64)

			const lr, beta1, beta2, eps, decay, step = 0.1, 0.9, 0.99, 1e-8, 0.05, 3
			AdamStep(w, m, v, g, step, lr, beta1, beta2, eps, decay)
			for i := range w {
				m64[i] = beta1*m64[i] + (1-beta1)*float64(g[i])
				v64[i] = beta2*v64[i] + (1-beta2)*float64(g[i])*float64(g[i])
				mHat, vHat := m64[i]/(1-math.Pow(beta1, step)), v64[i]/(1-math.Pow(beta2, step))
				w64[i] -= lr * decay * w64[i]
				w64[i] -= lr * mHat / (math.Sqrt(vHat) + eps)
			}
			near(t, "adam w", w, w64)
			near(t, "adam m", m, m64)
			near(t, "adam v", v, v64)
		}
	})
}

func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	got64 := make([]float64, len(got))
	for i, v := range got {
		got64[i] = float64(v)
	}
	check.Close64(t, what, got64, want, 1e-6)
}
