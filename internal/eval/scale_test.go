package eval

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"vicreg/internal/rng"
)

// Features of more numbers than there are images are fitted in the span of the
// images: to the same scores, and nearly the same loss.
func TestProbeOfManyFeatures(t *testing.T) {
	train, test := mixed(180, 600, 4, 1), mixed(300, 600, 4, 2)
	want, err := Linear(t.Context(), train, test, Options{C: 0.1})
	if err != nil || !want.Converged || want.Note != "" {
		t.Fatalf("%+v, %v", want, err)
	}
	defer func(most int) { mostFeatures = most }(mostFeatures)
	mostFeatures = 599
	got, err := Linear(t.Context(), train, test, Options{C: 0.1})
	if err != nil || !got.Converged || got.Note != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if math.Abs(got.Loss-want.Loss) > 1e-3*want.Loss || math.Abs(got.Accuracy-want.Accuracy) > 2.01/300 ||
		math.Abs(got.Train-want.Train) > 1.01/180 {
		t.Errorf("in the span of the images %+v, else %+v", got, want)
	}

	// More features and images than a matrix may have: a random projection.
	mostFeatures = 128
	got, err = Linear(t.Context(), train, test, Options{C: 0.1})
	if err != nil || !strings.Contains(got.Note, "600 features of 180 images are projected to 128 at random") {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Accuracy < want.Accuracy-0.1 {
		t.Errorf("projected: accuracy %.3f, else %.3f", got.Accuracy, want.Accuracy)
	}
}

// Products, and so distances, survive a projection about.
func TestProjectionKeepsProducts(t *testing.T) {
	const n, d, width = 20, 5000, 1024
	r := rng.New(3)
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
		if i%d > 0 {
			x[i] += 0.9 * x[i-1] // as neighbouring pixels
		}
	}
	p := NewProjection(d, width)
	y := p.Apply(nil, x)
	dot := func(x []float32, d, i, j int) (sum float64) {
		for k := range d {
			sum += float64(x[i*d+k]) * float64(x[j*d+k])
		}
		return sum
	}
	for i := range n {
		for j := range i + 1 {
			scale := math.Sqrt(dot(x, d, i, i) * dot(x, d, j, j))
			if diff := math.Abs(dot(y, width, i, j)-dot(x, d, i, j)) / scale; diff > 5/math.Sqrt(width) {
				t.Errorf("product of %d and %d is off by %.3f of the lengths", i, j, diff)
			}
		}
	}
	// Weights of the projection score the features themselves alike.
	w := make([]float32, width)
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	full := p.back(w)
	for i := range n {
		var a, b float64
		for k := range width {
			a += float64(w[k]) * float64(y[i*width+k])
		}
		for k := range d {
			b += float64(full[k]) * float64(x[i*d+k])
		}
		if math.Abs(a-b) > 1e-2*math.Abs(a)+1e-1 {
			t.Errorf("row %d: %v by the projection, %v by its weights", i, a, b)
		}
	}
}

// A discriminant analysis takes over where the weights are too many, and scores
// about as well where both can be fitted.
func TestProbeOfManyClasses(t *testing.T) {
	train, test := mixed(3000, 80, 20, 1), mixed(1000, 80, 20, 2)
	want, err := Linear(t.Context(), train, test, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func(most int) { mostWeights = most }(mostWeights)
	mostWeights = 1000
	got, err := Linear(t.Context(), train, test, Options{})
	if err != nil || !strings.Contains(got.Note, "20 classes of 80 features") || !strings.Contains(got.Note, "discriminant analysis") {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Accuracy < want.Accuracy-0.02 || got.Accuracy < 0.5 {
		t.Errorf("discriminant analysis %.3f, logistic regression %.3f", got.Accuracy, want.Accuracy)
	}

	// One image a class still has a direction.
	for i := range train.Labels {
		train.Labels[i] = i
	}
	got, err = Linear(t.Context(), train, train, Options{})
	if err != nil || got.Accuracy < 0.9 {
		t.Errorf("a class for each image: %+v, %v", got, err)
	}
}

// When ctx ends, so does the work, with ctx's error.
func TestScoringStops(t *testing.T) {
	train, test := mixed(4000, 256, 50, 1), mixed(2000, 256, 50, 2)
	for what, run := range map[string]func(context.Context, Options) error{
		"KNN":    func(ctx context.Context, o Options) error { _, err := KNN(ctx, train, test, o); return err },
		"Linear": func(ctx context.Context, o Options) error { _, err := Linear(ctx, train, test, o); return err },
		"Retrieval": func(ctx context.Context, o Options) error {
			_, _, err := Retrieval(ctx, Pairs{A: train.X, B: train.X, D: train.D})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		var stopped time.Time
		o := Options{Progress: func(string, int, int) {
			if calls++; calls == 2 {
				cancel()
				stopped = time.Now()
			}
		}}
		if what == "Retrieval" {
			cancel()
		}
		if err := run(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
		if took := time.Since(stopped); calls > 0 && took > time.Second {
			t.Errorf("%s: went on for %v", what, took)
		}
		cancel()
	}
}
