package eval

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// made returns n features of d numbers whose k classes overlap; a small
// generator that any language can repeat makes them. The last is constant.
func made(n, d, k int, seed uint64) Set {
	s := Set{X: make([]float32, n*d), D: d, Labels: make([]int, n)}
	for i := range n {
		s.Labels[i] = i % k
		for j := range d {
			seed = seed*6364136223846793005 + 1442695040888963407
			v := float64(seed>>40) / (1 << 24) * float64(1+j)
			if j%k == i%k {
				v += 0.35 * float64(1+j)
			}
			s.X[i*d+j] = float32(v)
		}
		s.X[i*d+d-1] = 7
	}
	return s
}

// Minima and scores of scikit-learn 1.2.1: LogisticRegression(C=C, tol=1e-10,
// max_iter=10000) after StandardScaler, in float64.
func TestLinearMatchesScikitLearn(t *testing.T) {
	for _, c := range []struct {
		k                 int
		c                 float64
		loss, train, test float64
	}{
		{4, 1, 0.600719109, 460.0 / 600, 301.0 / 400},
		{4, 0.01, 0.940937942, 461.0 / 600, 302.0 / 400},
		{2, 1, 0.110823429, 574.0 / 600, 384.0 / 400},
		{2, 0.01, 0.347734199, 574.0 / 600, 383.0 / 400},
	} {
		p, err := Linear(t.Context(), made(600, 9, c.k, 1), made(400, 9, c.k, 2), Options{C: c.c})
		if err != nil {
			t.Fatal(err)
		}
		if !p.Converged || p.Iterations > 50 {
			t.Errorf("k=%d C=%v: converged %v after %d iterations", c.k, c.c, p.Converged, p.Iterations)
		}
		if math.Abs(p.Loss-c.loss) > 1e-6*c.loss {
			t.Errorf("k=%d C=%v: loss %.9f, want %.9f", c.k, c.c, p.Loss, c.loss)
		}
		if math.Abs(p.Train-c.train) > 1.01/600 || math.Abs(p.Accuracy-c.test) > 1.01/400 {
			t.Errorf("k=%d C=%v: accuracies %.4f and %.4f, want %.4f and %.4f", c.k, c.c, p.Train, p.Accuracy, c.train, c.test)
		}
	}
}

func TestLogisticGradient(t *testing.T) {
	s := made(70, 6, 3, 5)
	scale, err := newScaler(t.Context(), s, Options{}.filled().Progress)
	if err != nil {
		t.Fatal(err)
	}
	f := newLogistic(t.Context(), nil, s.features(scale), s.Labels, s.D, 3, 0.5)
	r := rng.New(1)
	w, g, scrap := make([]float64, f.params()), make([]float64, f.params()), make([]float64, f.params())
	for i := range w {
		w[i] = float64(float32(r.NormFloat64()))
	}
	f.evaluate(g, w)
	for i := range w {
		const h = 1.0 / 256
		old := w[i]
		w[i] = old + h
		up := f.evaluate(scrap, w)
		w[i] = old - h
		down := f.evaluate(scrap, w)
		w[i] = old
		if want := (up - down) / (2 * h); math.Abs(g[i]-want) > 1e-4 {
			t.Errorf("gradient %d is %v, differences give %v", i, g[i], want)
		}
	}
}

// The same labels under other numbers, with holes between, score alike.
func TestLabelsMayHaveHoles(t *testing.T) {
	train, test := made(300, 8, 3, 1), made(150, 8, 3, 2)
	want, err := Evaluate(t.Context(), train, test, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Set{&train, &test} {
		for i, l := range s.Labels {
			s.Labels[i] = 5 + 100*l
		}
	}
	got, err := Evaluate(t.Context(), train, test, Options{})
	for _, o := range []*Outcome{&want.Votes[0], &want.Probed} {
		*o = o.renumbered([]int{5, 105, 205})
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("scores %+v, error %v; want %+v", got, err, want)
	}
	if want.Train != 300 || want.Test != 150 || want.Classes != 3 || !(want.KNN > 0.5 && want.Linear > 0.5) {
		t.Errorf("scores %+v", want)
	}
}

func TestUnlabelledAreLeftOut(t *testing.T) {
	train, test := made(300, 8, 3, 1), made(150, 8, 3, 2)
	want, err := Evaluate(t.Context(), train, test, Options{K: 5})
	if err != nil {
		t.Fatal(err)
	}
	doubled := func(s Set) Set {
		out := Set{D: s.D}
		for i, l := range s.Labels {
			x := s.X[i*s.D : (i+1)*s.D]
			out.X = append(append(out.X, x...), x...)
			out.Labels = append(out.Labels, l, -1)
		}
		return out
	}
	got, err := Evaluate(t.Context(), doubled(train), doubled(test), Options{K: 5})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("scores %+v, error %v; want %+v", got, err, want)
	}
	// A class that is only in the test set counts as wrong.
	test.Labels[0], test.Labels[1] = 3, 77
	less, err := Evaluate(t.Context(), train, test, Options{K: 5})
	if err != nil || less.Test != 150 || less.KNN > want.KNN || less.Linear > want.Linear {
		t.Errorf("scores %+v, error %v", less, err)
	}
}

// knnOracle is the definition, in float64, for each of some options.
func knnOracle(train, test Set, options []Options) []float64 {
	dot := func(a, b []float32) (sum float64) {
		for i, v := range a {
			sum += float64(v) * float64(b[i])
		}
		return sum
	}
	d, n := train.D, len(train.Labels)
	hits := make([]float64, len(options))
	cos, order, norm := make([]float64, n), make([]int, n), make([]float64, n)
	for j := range n {
		x := train.X[j*d : (j+1)*d]
		norm[j] = math.Sqrt(dot(x, x))
	}
	for i, label := range test.Labels {
		x := test.X[i*d : (i+1)*d]
		length := math.Sqrt(dot(x, x))
		for j := range n {
			order[j] = j
			cos[j] = dot(x, train.X[j*d:(j+1)*d]) / length / norm[j]
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(cos[b], cos[a]) })
		for o, option := range options {
			votes := make([]float64, 10)
			for _, j := range order[:option.K] {
				votes[train.Labels[j]] += math.Exp((cos[j] - cos[order[0]]) / option.Temperature)
			}
			if slices.Index(votes, slices.Max(votes)) == label {
				hits[o] += 1 / float64(len(test.Labels))
			}
		}
	}
	return hits
}

func TestKNN(t *testing.T) {
	train, test := made(2500, 7, 5, 3), made(300, 7, 5, 4) // more than a block each
	options := []Options{{K: 1, Temperature: 0.07}, {K: 20, Temperature: 0.07}, {K: 200, Temperature: 1},
		{K: 500, Temperature: 0.001}}
	for i, want := range knnOracle(train, test, options) {
		got, err := KNN(t.Context(), train, test, options[i])
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got-want) > 1.01/300 {
			t.Errorf("%+v: %.4f, want %.4f", options[i], got, want)
		}
	}
	same, err := KNN(t.Context(), train, train, Options{K: 1})
	if err != nil || same != 1 {
		t.Errorf("images are not their own nearest neighbours: %v, %v", same, err)
	}
}

// Ties: the earlier image is nearer, the earlier class wins.
func TestKNNTies(t *testing.T) {
	train := Set{D: 2, X: []float32{1, 0, 2, 0, 3, 0, 0, 0}, Labels: []int{2, 1, 1, 0}}
	test := Set{D: 2, X: []float32{5, 0}, Labels: []int{2}}
	for k, want := range map[int]float64{1: 1, 2: 0, 3: 0} { // of 2: one vote each for 2 and 1
		if got, err := KNN(t.Context(), train, test, Options{K: k}); err != nil || got != want {
			t.Errorf("k=%d: %v, %v; want %v", k, got, err, want)
		}
	}
}

func TestAllVoteIfTheyAreFew(t *testing.T) {
	train, test := made(15, 7, 5, 3), made(100, 7, 5, 4)
	all, err := KNN(t.Context(), train, test, Options{K: 15})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := KNN(t.Context(), train, test, Options{}); err != nil || got != all {
		t.Errorf("20 neighbours of 15: %v, %v; want %v", got, err, all)
	}
}

func TestScoresDoNotDependOnWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	train, test := made(3000, 20, 5, 3), made(400, 20, 5, 4)
	var want Scores
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		got, err := Evaluate(t.Context(), train, test, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if workers == 1 {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers: %+v, one: %+v", workers, got, want)
		}
	}
}

func TestEvaluateErrors(t *testing.T) {
	good := func() (Set, Set) { return made(30, 4, 3, 1), made(10, 4, 3, 2) }
	for want, change := range map[string]func(train, test *Set){
		"have labels of 1 class: scoring": func(train, _ *Set) { clear(train.Labels) },
		"have no labels: scoring":         func(train, _ *Set) { *train = Set{D: 4} },
		"no test image":                   func(_, test *Set) { fill(test.Labels, -1) },
		"training image":                  func(train, _ *Set) { train.X[5*4+1] = float32(math.NaN()) },
		"test image 3":                    func(_, test *Set) { test.X[3*4] = float32(math.Inf(1)) },
	} {
		train, test := good()
		change(&train, &test)
		_, err := Evaluate(t.Context(), train, test, Options{K: 5})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func fill(labels []int, v int) {
	for i := range labels {
		labels[i] = v
	}
}

// Features that no float32 holds once they are standardised have no score, not a
// wrong one.
func TestFarFeatures(t *testing.T) {
	train, test := made(40, 5, 2, 1), made(20, 5, 2, 2)
	for i := range train.X {
		train.X[i] *= 1e-30
	}
	for i := range test.X {
		test.X[i] *= 1e-30
	}
	if _, err := Linear(t.Context(), train, test, Options{}); err != nil {
		t.Errorf("small features: %v", err)
	}
	test.X[7] = 1e38
	if p, err := Linear(t.Context(), train, test, Options{}); err == nil || !strings.Contains(err.Error(), "scores of image 2 of 20 are not finite") {
		t.Errorf("%+v, %v", p, err)
	}
}

// Collapsed features: nothing to learn, but no failure either.
func TestConstantFeatures(t *testing.T) {
	train, test := made(40, 4, 2, 1), made(20, 4, 2, 2)
	for _, s := range []Set{train, test} {
		for i := range s.X {
			s.X[i] = 0.3
		}
	}
	s, err := Evaluate(t.Context(), train, test, Options{})
	if err != nil || s.Linear != 0.5 || !s.Converged {
		t.Errorf("scores %+v, error %v", s, err)
	}
}

// mixed returns features of k classes that overlap in 64 hidden directions.
func mixed(n, d, k int, seed uint64) Set {
	shared, r := rng.New(0), rng.New(1, seed)
	mix, means := make([]float32, 64*d), make([]float32, 64*k)
	for i := range mix {
		mix[i] = float32(shared.NormFloat64()) / 8
	}
	for i := range means {
		means[i] = float32(shared.NormFloat64()) * 0.45
	}
	s := Set{X: make([]float32, n*d), D: d, Labels: make([]int, n)}
	for i := range n {
		c := r.IntN(k)
		s.Labels[i] = c
		x := s.X[i*d : (i+1)*d]
		for j := range 64 {
			v := means[c*64+j] + float32(r.NormFloat64())
			for q, m := range mix[j*d : (j+1)*d] {
				x[q] += v * m
			}
		}
	}
	return s
}

func BenchmarkKNN(b *testing.B) {
	train, test := mixed(60000, 512, 10, 1), mixed(1000, 512, 10, 2)
	for b.Loop() {
		if _, err := KNN(b.Context(), train, test, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLinear(b *testing.B) {
	for _, c := range []struct{ n, d int }{{20000, 128}, {60000, 512}} {
		b.Run(fmt.Sprintf("%dx%d", c.n, c.d), func(b *testing.B) {
			train, test := mixed(c.n, c.d, 10, 1), mixed(1000, c.d, 10, 2)
			for b.Loop() {
				p, err := Linear(b.Context(), train, test, Options{})
				if err != nil || !p.Converged {
					b.Fatal(p, err)
				}
				b.ReportMetric(float64(p.Iterations), "iterations")
			}
		})
	}
}
