package loss

import (
	"math"
	"testing"

	"vicreg/internal/check"
)

// The deviation that is shown is that of the columns: ε, which stands under the root of
// the loss, is no part of it.
func TestShownDeviation(t *testing.T) {
	z := []float32{1, 0, 3, 0, 5, 3} // columns 1, 3, 5 and 0, 0, 3
	v := NewVICReg()
	v.Eps = 0.5
	got := v.Eval(new(Workspace), z, z, 3, 2, nil, nil)
	for i, b := range got.Branch {
		check.Scalar(t, "std", b.Std, (2+math.Sqrt(3))/2, 1e-6)
		check.Scalar(t, "variance", b.Variance, 0, 0)
		if i == 1 && got.Branch[0] != b {
			t.Errorf("branches of one embedding: %+v and %+v", got.Branch[0], b)
		}
	}
}

// Several iterations over the same sub-batches are as one.
func TestIterationsAreAveraged(t *testing.T) {
	const n, d = 12, 3
	z := [][]float32{check.Random(1, n*d), check.Random(2, n*d)}
	var totals [2]WMSETerms
	var grads [2][][]float32
	for i, iterations := range []int{1, 3} {
		grads[i] = [][]float32{make([]float32, n*d), make([]float32, n*d)}
		var err error
		if totals[i], err = (WMSE{Size: n, Iterations: iterations}).Eval(new(Workspace), nil, z, n, d,
			grads[i]); err != nil {
			t.Fatal(err)
		}
	}
	check.Scalar(t, "total", totals[1].Total, totals[0].Total, 1e-12)
	check.Scalar(t, "cosine", totals[1].Cosine, totals[0].Cosine, 1e-12)
	for v := range z {
		check.Close(t, "gradient", grads[1][v], grads[0][v], 1e-6)
	}
}

// The accuracy of DeepCluster is a share of all views in all heads that have a label.
func TestAccuracyOfHeads(t *testing.T) {
	scores := []float32{1, 0, 0, 1, 1, 0, 0, 1} // first prototypes 0, 1, 0, 1
	other := []float32{0, 1, 0, 1, 0, 1, 0, 1}  // 1, 1, 1, 1
	heads := []Head{
		{K: 2, Scores: [][]float32{scores, other}, Labels: []int32{0, 1, 1, -1}}, // 2 of 3 and 2 of 3
		{K: 2, Scores: [][]float32{other, other}, Labels: []int32{-1, 1, -1, 1}}, // 2 of 2 and 2 of 2
	}
	got := NewDeepCluster().Eval(new(Workspace), heads, 4)
	check.Scalar(t, "accuracy", got.Accuracy, (2.0/3+2.0/3+1+1)/4, 1e-12)
}
