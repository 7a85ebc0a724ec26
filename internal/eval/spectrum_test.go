package eval

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"vicreg/internal/rng"
)

func within(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s: %v, want %v ± %v", what, got, want, tol)
	}
}

// TestSpectrumBySVD compares with the definitions, on matrices wide and tall,
// with a large offset and columns of many scales.
func TestSpectrumBySVD(t *testing.T) {
	for _, s := range [][2]int{{20, 50}, {50, 20}, {2, 3}, {30, 30}} {
		n, d := s[0], s[1]
		r := rng.New(uint64(n), uint64(d))
		z, x := make([]float32, n*d), mat.NewDense(n, d, nil)
		for i := range n {
			shared := r.NormFloat64()
			for j := range d {
				z[i*d+j] = float32(100 + math.Pow(0.9, float64(j))*(r.NormFloat64()+shared))
				x.Set(i, j, float64(z[i*d+j]))
			}
		}
		var std, corr float64
		for j := range d {
			var m float64
			for i := range n {
				m += x.At(i, j) / float64(n)
			}
			for i := range n {
				x.Set(i, j, x.At(i, j)-m)
			}
		}
		dot := func(j, k int) float64 { return mat.Dot(x.ColView(j), x.ColView(k)) }
		for j := range d {
			std += math.Sqrt(dot(j, j)/float64(n-1)) / float64(d)
			for k := range j {
				corr += math.Abs(dot(j, k)) / math.Sqrt(dot(j, j)*dot(k, k)) / float64(d*(d-1)/2)
			}
		}
		var svd mat.SVD
		if !svd.Factorize(x, mat.SVDNone) {
			t.Fatal("no SVD")
		}
		var total, entropy float64
		for _, v := range svd.Values(nil) {
			total += v
		}
		for _, v := range svd.Values(nil) {
			if p := v / total; p > 1e-12 {
				entropy -= p * math.Log(p)
			}
		}
		got := NewSpectrum(z, n, d)
		within(t, "std", got.Std, std, 1e-6*std)
		within(t, "correlation", got.Correlation, corr, 1e-5)
		within(t, "rank", got.Rank, math.Exp(entropy), 1e-4)
		for i, v := range svd.Values(nil) {
			within(t, "eigenvalue", got.Eigenvalues[i], v*v/float64(n-1), 1e-5*v*v+1e-9)
		}
		if got.Rows != n || got.Limit != min(n-1, d) {
			t.Errorf("%d × %d: %+v", n, d, got)
		}
	}
}

func TestSpectrumKnown(t *testing.T) {
	// Orthogonal columns of equal size: full rank, no correlation.
	s := NewSpectrum([]float32{1, 1, 1, -1, -1, 1, -1, -1}, 4, 2)
	within(t, "rank", s.Rank, 2, 1e-9)
	within(t, "correlation", s.Correlation, 0, 1e-7)
	within(t, "std", s.Std, math.Sqrt(4.0/3), 1e-9)
	// The same column twice, once negated, and a constant one.
	s = NewSpectrum([]float32{1, -1, 7, 2, -2, 7, 4, -4, 7}, 3, 3)
	within(t, "rank", s.Rank, 1, 1e-6)
	within(t, "correlation", s.Correlation, 1, 1e-6)
}

func TestCollapsed(t *testing.T) {
	const n, d = 64, 32
	r := rng.New(3)
	fill := func(f func(i, j int) float64) Spectrum {
		z := make([]float32, n*d)
		for i := range n {
			for j := range d {
				z[i*d+j] = float32(f(i, j))
			}
		}
		return NewSpectrum(z, n, d)
	}
	for _, c := range []struct {
		name   string
		s      Spectrum
		target float64
		want   string // part of the reason, "" for healthy
	}{
		{"healthy", fill(func(i, j int) float64 { return r.NormFloat64() }), 1, ""},
		{"constant", fill(func(i, j int) float64 { return 0.1 * float64(j) }), 1, "mean std 0 (want near 1)"},
		{"constant, std not judged", fill(func(i, j int) float64 { return 0.1 * float64(j) }), 0, "effective rank 0.0 of at most 32"},
		{"rounding noise", fill(func(i, j int) float64 { return 1 + 1e-7*float64(i*j%3) }), 1, "mean std"},
		{"small", fill(func(i, j int) float64 { return 0.003 * r.NormFloat64() }), 1, "mean std 0.003 (want near 1)"},
		{"small by intent", fill(func(i, j int) float64 { return 0.003 * r.NormFloat64() }), 0.003, ""},
		{"one direction", fill(func(i, j int) float64 { return float64(i%7) * float64(j+1) }), 1, "correlation 1.00"},
		{"two rows", NewSpectrum([]float32{1, -2, 3, -1, 1, 0}, 2, 3), 1, ""},
		{"not finite", fill(func(i, j int) float64 { return math.Inf(1) }), 1, "not finite"},
	} {
		bad, reason := c.s.Collapsed(c.target)
		if bad != (c.want != "") || !strings.Contains(reason, c.want) {
			t.Errorf("%s: %v %q, want %q; %+v", c.name, bad, reason, c.want, c.s)
		}
	}
}

// Beyond the limits rows and columns are sampled; the figures stay near.
func TestSpectrumSamples(t *testing.T) {
	if testing.Short() {
		t.Skip("slow")
	}
	const n, d = 1100, 2100
	r := rng.New(5)
	z := make([]float32, n*d)
	for i := range z {
		z[i] = float32(r.NormFloat64())
	}
	s := NewSpectrum(z, n, d)
	if s.Rows != 1024 || s.Limit != 1023 {
		t.Errorf("%+v", s)
	}
	within(t, "std", s.Std, 1, 0.01)
	within(t, "correlation", s.Correlation, math.Sqrt(2/math.Pi/n), 0.001)
	if s.Rank < 900 || s.Rank > 1023 {
		t.Errorf("rank %v of 1024 random rows", s.Rank)
	}
}

// The rank of part of the rows is that of these rows alone, centred by their own mean,
// which may be far from the mean of all.
func TestRankOfPartIsCentredAnew(t *testing.T) {
	const rows, d = mostRows, 6
	r := rng.New(11)
	all, part := make([]float32, 2*rows*d), make([]float32, rows*d)
	for i := range 2 * rows {
		for j := range d {
			v := float32(r.NormFloat64())
			if i%2 == 0 { // these are taken
				v += 5
				part[i/2*d+j] = v
			}
			all[i*d+j] = v
		}
	}
	got, want := NewSpectrum(all, 2*rows, d), NewSpectrum(part, rows, d)
	if got.Rows != rows || want.Rows != rows {
		t.Fatalf("ranks of %d and %d rows", got.Rows, want.Rows)
	}
	within(t, "rank", got.Rank, want.Rank, 1e-6)
}
