package eval

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	checks "vicreg/internal/check"
	"vicreg/internal/runlog"
)

// golden is a case of testdata/measures.json, which testdata/measures.py made.
type golden struct {
	Name         string
	N, Q, D      int
	Mixed, Shift float32
	Still        int
	Want         runlog.Measures
}

// jitter is that of testdata/measures.py.
func jitter(k, seed int) float32 {
	v := uint64(k+seed*1000003) * 2654435761 & 0xFFFFFFFF
	v = (v ^ v>>15) * 2246822519 & 0xFFFFFFFF
	return float32(v>>16)/65536 - 0.5
}

// features are those of testdata/measures.py.
func (g golden) features() []float32 {
	x := make([]float32, g.Q*g.N*g.D)
	for i := range x {
		j := i % g.D
		mixed := g.Mixed * jitter(i, 2)
		x[i] = (jitter(i%(g.N*g.D), 1) + mixed) / float32(1+j)
		if x[i] += g.Shift; j < g.Still {
			x[i] = 0.75
		}
	}
	return x
}

// The figures are those of numpy in float64. Uniformity and correlation come of products
// in float32.
func TestMeasure(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "measures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []golden
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		x := g.features()
		got, err := Measure(x, g.N, g.D)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		for _, f := range []struct {
			what           string
			got, want, tol float64
		}{
			{"std", got.Std, g.Want.Std, 1e-12}, {"correlation", got.Correlation, g.Want.Correlation, 1e-6},
			{"RankMe", got.RankMe, g.Want.RankMe, 1e-9}, {"LiDAR", got.LiDAR, g.Want.LiDAR, 1e-8},
			{"alignment", got.Alignment, g.Want.Alignment, 1e-12}, {"uniformity", got.Uniformity, g.Want.Uniformity, 1e-6},
		} {
			if d := math.Abs(f.got - f.want); !(d <= f.tol*(1+math.Abs(f.want))) {
				t.Errorf("%s: %s %v, want %v", g.Name, f.what, f.got, f.want)
			}
		}
		switch a, b := got.AlphaReQ, g.Want.AlphaReQ; {
		case (a == nil) != (b == nil):
			t.Errorf("%s: α-ReQ %v, want %v", g.Name, a, b)
		case a != nil && math.Abs(*a-*b) > 1e-8:
			t.Errorf("%s: α-ReQ %v, want %v", g.Name, *a, *b)
		}
	}
}

// A spectrum that is a power law has its exponent.
func TestAlphaOfAPowerLaw(t *testing.T) {
	const d = 128 // columns of ±1 that are at right angles to each other and to 1, scaled
	for _, alpha := range []float64{0.5, 1, 2} {
		const n = 2 * d
		x := make([]float32, n*d)
		for i := range n {
			for j := range d {
				sign := 1.0
				for bits := i & (j + 1); bits > 0; bits &= bits - 1 {
					sign = -sign
				}
				x[i*d+j] = float32(sign * math.Pow(float64(j+1), -alpha/2))
			}
		}
		if got, ok := AlphaReQ(x, d); !ok || math.Abs(got-alpha) > 1e-5 {
			t.Errorf("α %v: %v, %v", alpha, got, ok)
		}
	}
}

// Features of the widest embedding take seconds, and memory that is bounded.
func TestMeasureWide(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n, d = 128, 8192
	x := make([]float32, 2*n*d)
	for i := range x {
		x[i] = jitter(i%(n*d), 1) + 0.1*jitter(i, 2)
	}
	began := time.Now()
	checks.Bounded(t, 200, time.Minute, func() {
		m, err := Measure(x, n, d)
		if err != nil || m.RankMe < n/2 || m.LiDAR < n/2 {
			t.Errorf("%+v, %v", m, err)
		}
	})
	t.Log(time.Since(began))
}
