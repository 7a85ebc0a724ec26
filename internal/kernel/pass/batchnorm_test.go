package pass

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// newNorm returns a normalisation with random parameters, with a bias or not.
func newNorm(r *rand.Rand, c int, bias bool) BatchNorm {
	n := BatchNorm{
		Gamma: check.Normal(r, c), Beta: check.Normal(r, c), RunMean: check.Normal(r, c),
		RunVar: check.Normal(r, c), Batches: []float32{3},
		Eps: 1e-5, Momentum: 0.1,
		Mean: make([]float64, c), Rstd: make([]float64, c), Scale: make([]float32, c), Shift: make([]float32, c),
	}
	for i, v := range n.RunVar {
		n.RunVar[i] = v * v
	}
	if bias {
		n.Bias = check.Normal(r, c)
	}
	return n
}

// within fails unless got is want, give or take tol.
func within(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// TestBatchNorm holds statistics, scale and gradients to their definitions over
// raw values.
func TestBatchNorm(t *testing.T) {
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(5, 6))
	const m = 40
	for i, c := range []int{1, 5, 700, 1100} {
		parallel.SetWorkers(1 + i%3)
		for _, bias := range []bool{false, true} {
			n := newNorm(r, c, bias)
			y, d := check.Normal(r, m*c), check.Normal(r, m*c)
			runMean, runVar := append([]float32(nil), n.RunMean...), append([]float32(nil), n.RunVar...)
			forward, backward := shape.NewSums(c), shape.NewSums(c)
			for i := range y {
				v, g := float64(y[i]), float64(d[i])
				forward.A[i%c] += v
				forward.B[i%c] += v * v
				backward.A[i%c] += g
				backward.B[i%c] += g * v
			}
			BatchStatistics(n, forward, m)
			g := BatchNormGrad{DGamma: make([]float32, c), DBeta: make([]float32, c), A: make([]float32, c),
				B: make([]float32, c), K: make([]float32, c)}
			BatchNormBackward(g, n, backward, m)
			if n.Batches[0] != 4 {
				t.Fatalf("%v batches", n.Batches[0])
			}
			for j := range c {
				mean := forward.A[j] / m
				var square, dGamma float64
				for i := range m {
					square += (float64(y[i*c+j]) - mean) * (float64(y[i*c+j]) - mean)
				}
				rstd := 1 / math.Sqrt(square/m+n.Eps)
				within(t, "mean", n.Mean[j], mean, 1e-12)
				within(t, "rstd", n.Rstd[j], rstd, 1e-9*rstd)
				shown := mean
				if bias {
					shown += float64(n.Bias[j])
				}
				within(t, "running mean", float64(n.RunMean[j]), 0.9*float64(runMean[j])+0.1*shown, 1e-6)
				within(t, "running variance", float64(n.RunVar[j]), 0.9*float64(runVar[j])+0.1*square/(m-1), 1e-5)
				for i := range m {
					dGamma += float64(d[i*c+j]) * (float64(y[i*c+j]) - mean) * rstd
				}
				within(t, "dβ", float64(g.DBeta[j]), backward.A[j], 1e-5)
				within(t, "dγ", float64(g.DGamma[j]), dGamma, 1e-4)
				for i := range m {
					hat := (float64(y[i*c+j]) - mean) * rstd
					at := float64(y[i*c+j])*float64(n.Scale[j]) + float64(n.Shift[j])
					within(t, "y", at, float64(n.Gamma[j])*hat+float64(n.Beta[j]), 1e-4)
					dy := float64(n.Gamma[j]) * rstd * (float64(d[i*c+j]) - backward.A[j]/m - hat*dGamma/m)
					got := float64(g.A[j])*float64(d[i*c+j]) + float64(g.B[j])*float64(y[i*c+j]) + float64(g.K[j])
					within(t, "dy", got, dy, 1e-4)
				}
			}

			RunningStatistics(n)
			for j := range c {
				mean := float64(n.RunMean[j])
				if bias {
					mean -= float64(n.Bias[j])
				}
				within(t, "mean of inference", n.Mean[j], mean, 0)
				within(t, "rstd of inference", n.Rstd[j], 1/math.Sqrt(float64(n.RunVar[j])+n.Eps), 0)
			}
		}
	}
}

func TestNormaliseColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, d := range []int{1, 31, 70} {
		const n = 20
		x, y := check.Normal(r, n*d), make([]float32, n*d)
		for i := range n {
			x[i*d] = 3 // no variance
		}
		NormaliseColumns(y, x, n, d, 1e-5)
		for j := range d {
			var sum, square float64
			for i := range n {
				sum += float64(y[i*d+j])
				square += float64(y[i*d+j]) * float64(y[i*d+j])
			}
			within(t, "mean", sum/n, 0, 1e-6)
			if want := 1.0; j > 0 {
				within(t, "variance", square/n, want, 1e-3)
			} else {
				within(t, "variance of a constant", square, 0, 0)
			}
		}
	}
}
