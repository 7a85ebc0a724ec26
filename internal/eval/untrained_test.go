package eval

import (
	"strings"
	"testing"
)

func TestBelowUntrained(t *testing.T) {
	long := Training{Method: "vicreg", Images: 5000, Batch: 128, Steps: 20000, BaseRate: 0.2}
	with := func(change func(*Training)) Training {
		t := long
		change(&t)
		return t
	}
	untrained := Scores{KNN: 0.5, Linear: 0.6}
	for _, c := range []struct {
		knn, linear float64
		training    Training
		want        string
	}{
		{0.5, 0.6, long, ""},
		{0.7, 0.8, Training{}, ""},
		{0.49, 0.8, long, "kNN is below the untrained encoder's: it had 20000 steps, so likely the learning rate of 0.2 "},
		{0.7, 0.59, long, "the linear probe is below"},
		{0.4, 0.5, long, "kNN and linear probe are below"},
		{0.4, 0.5, with(func(t *Training) { t.Steps = 90 }), "likely it was trained too little, 90 steps"},
		{0.4, 0.5, with(func(t *Training) { t.Steps = 1 }), "too little, 1 step;"},
		{0.4, 0.5, with(func(t *Training) { t.Steps, t.Images = 200, 300 }), "likely the batch of 128 is too large for 300 images, which makes 2 steps an epoch and 200 in all"},
		{0.4, 0.5, with(func(t *Training) { t.Images = 300 }), "learning rate"},
		{0.4, 0.5, with(func(t *Training) { t.Batch = 8 }), "likely the batch of 8 is too small"},
		{0.4, 0.5, with(func(t *Training) { t.Batch, t.Steps = 8, 500 }), "too little, 500 steps"},
		{0.4, 0.5, with(func(t *Training) { t.Batch, t.Method = 8, "supervised" }), "learning rate"},
		{0.4, 0.5, with(func(t *Training) { t.Collapsed = true }), "the embeddings have collapsed"},
		{0.4, 0.5, Training{}, "likely it had too few steps, a batch too small or too large for its images, or"},
		{0.4, 0.5, Training{Taken: true}, "its weights are another project's, so likely they were trained on images quite unlike these"},
	} {
		got := BelowUntrained(Scores{KNN: c.knn, Linear: c.linear}, untrained, c.training)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.ContainsAny(got, "\n") {
			t.Errorf("%v, %v of %+v: %q; want ... %q", c.knn, c.linear, c.training, got, c.want)
		}
	}
}

// Two standard errors of 0.4 and 0.5 on n images are 2·√(0.49/n): 0.0998 on 197 and
// 0.1003 on 195.
func TestBelowUntrainedByMoreThanChance(t *testing.T) {
	for _, c := range []struct {
		trained, untrained [2]float64 // kNN, linear
		n                  int
		want               string
	}{
		{[2]float64{0.4, 0.9}, [2]float64{0.5, 0.8}, 197, "kNN is below"},
		{[2]float64{0.4, 0.9}, [2]float64{0.5, 0.8}, 195, ""},
		{[2]float64{0.4, 0.4}, [2]float64{0.5, 0.5}, 197, "kNN and linear probe are below"},
		{[2]float64{0.4, 0.4}, [2]float64{0.5, 0.5}, 195, "kNN and linear probe are no better than the untrained encoder's, as far as 195 images can tell: "},
		{[2]float64{0.5, 0.5}, [2]float64{0.5, 0.5}, 195, "no better"},
		{[2]float64{0.51, 0.5}, [2]float64{0.5, 0.5}, 195, ""},
		{[2]float64{0.9, 0.4}, [2]float64{0.5, 0.5}, 197, "the linear probe is below"},
		{[2]float64{1, 1}, [2]float64{1, 1}, 195, ""},
		{[2]float64{0, 0}, [2]float64{0, 0}, 1, "as far as 1 image can tell"},
		{[2]float64{0.4999, 0.5}, [2]float64{0.5, 0.5}, 0, "kNN is below"},
	} {
		got := BelowUntrained(Scores{KNN: c.trained[0], Linear: c.trained[1], Test: c.n},
			Scores{KNN: c.untrained[0], Linear: c.untrained[1], Test: c.n}, Training{})
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v beside %v on %d: %q, want %q", c.trained, c.untrained, c.n, got, c.want)
		}
	}
}
