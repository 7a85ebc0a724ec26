package vector

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/parallel"
)

func TestVectors(t *testing.T) {
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(15, 16))
		for _, n := range []int{0, 1, 5, 16, 63, 64, 65, 200, 4096, 32768, 100003} {
			x, y := check.Normal(r, n), check.Normal(r, n)
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
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for _, n := range []int{1, 16, 37, 40000} {
			w, m, v, g := check.Normal(r, n), check.Normal(r, n), check.Normal(r, n), check.Normal(r, n)
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

func TestNorms(t *testing.T) {
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(55, 56))
		for _, n := range []int{0, 1, 31, 33, 4097, 100_003} {
			w, g := check.Normal(r, n), check.Normal(r, n)
			var want [3]float64
			for i, x := range w {
				x, y := float64(x), float64(g[i])
				want[0] += x * x
				want[1] += y * y
				want[2] += x * y
			}
			var first [3]float64
			for workers := 1; workers <= 3; workers++ {
				parallel.SetWorkers(workers)
				var got [3]float64
				got[0], got[1], got[2] = Norms(w, g)
				check.CloseAbs64(t, "Norms", got[:], want[:], 1e-6, 1e-6*math.Sqrt(float64(n)))
				if workers == 1 {
					first = got
				} else if got != first {
					t.Errorf("%d elements: %d workers give other bits than 1", n, workers)
				}
			}
		}
	})
}

// norms reads its vectors and nothing beside them.
func TestNormsInside(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(51, 52))
		for _, n := range []int{1, 16, 31, 32, 33, 64, 100, 515} {
			for _, low := range []bool{false, true} {
				a, b := check.Guarded(t, n, low), check.Guarded(t, n, low)
				copy(a, check.Normal(r, n))
				copy(b, check.Normal(r, n))
				ww, gg, wg := norms(a, b)
				wantWW, wantGG, wantWG := normsPlain(a, b)
				check.CloseAbs64(t, "norms", []float64{ww, gg, wg}, []float64{wantWW, wantGG, wantWG}, 1e-6, 1e-6)
			}
		}
	})
}
