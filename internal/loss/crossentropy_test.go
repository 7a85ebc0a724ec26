package loss

import (
	"math"
	"testing"

	"vicreg/internal/rng"
)

// The loss, its gradient and its accuracy against float64, by the definition and
// by differences; a row without a label counts for nothing.
func TestCrossEntropy(t *testing.T) {
	const n, k = 7, 5
	r := rng.New(1)
	z, dz := make([]float32, n*k), make([]float32, n*k)
	for i := range z {
		z[i] = float32(3 * r.NormFloat64())
	}
	labels := []int{0, 4, -1, 2, 2, -1, 3}
	value := func(z []float64) (loss float64, hits int) {
		for i, y := range labels {
			if y < 0 {
				continue
			}
			row := z[i*k : (i+1)*k]
			sum, best := 0.0, 0
			for j, v := range row {
				sum += math.Exp(v)
				if v > row[best] {
					best = j
				}
			}
			loss += (math.Log(sum) - row[y]) / 5
			if best == y {
				hits++
			}
		}
		return loss, hits
	}
	wide := make([]float64, n*k)
	for i, v := range z {
		wide[i] = float64(v)
	}
	want, hits := value(wide)
	var ws Workspace
	got := CrossEntropy{}.Eval(&ws, z, labels, n, k, dz)
	if math.Abs(got.Total-want) > 1e-6*want || got.Accuracy != float64(hits)/5 {
		t.Errorf("got %+v, want %v and %d of 5", got, want, hits)
	}
	for i := range wide {
		const eps = 1e-4
		at := wide[i]
		wide[i] = at + eps
		high, _ := value(wide)
		wide[i] = at - eps
		low, _ := value(wide)
		wide[i] = at
		if slope := (high - low) / (2 * eps); math.Abs(slope-float64(dz[i])) > 1e-6 {
			t.Errorf("gradient %d is %v, by differences %v", i, dz[i], slope)
		}
	}
	if again := (CrossEntropy{}).Eval(&ws, z, labels, n, k, nil); again != got {
		t.Errorf("without a gradient %+v, with one %+v", again, got)
	}
	none := CrossEntropy{}.Eval(&ws, z, []int{-1, -1, -1, -1, -1, -1, -1}, n, k, dz)
	if none != (CrossEntropyTerms{}) {
		t.Errorf("without labels %+v", none)
	}
	for _, g := range dz {
		if g != 0 {
			t.Fatal("without labels there is a gradient")
		}
	}
}
