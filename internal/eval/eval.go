// Package eval measures what frozen features are worth: [KNN] and [Linear]
// score them on labels, [Evaluate] does both, a [Tally] counts what is right, [Retrieval] scores pairs without
// labels, and a [Spectrum] tells whether they have collapsed.
package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/parallel"
)

// Set is the features of labelled images.
type Set struct {
	X      []float32 // n × D
	D      int
	Labels []int // n; -1: none, the image is left out

	// Stored holds the features in place of X where memory has no room for them. All its
	// images have labels.
	Stored *Store
}

// Close removes what the set keeps outside memory.
func (s Set) Close() {
	if s.Stored != nil {
		s.Stored.Close()
	}
}

// some returns at most n of the images that x has features of, spread evenly.
func (s Set) some(x features, n int) (Set, error) {
	all := len(s.Labels)
	n = min(n, all)
	out := Set{X: make([]float32, 0, n*s.D), D: s.D}
	for i := range n {
		at := i * all / n
		row, err := x.block(at, at+1)
		if err != nil {
			return out, err
		}
		out.X = append(out.X, row...)
		out.Labels = append(out.Labels, s.Labels[at])
	}
	return out, nil
}

// LabelError says that labels are too few to score by.
type LabelError string

func (e LabelError) Error() string { return string(e) }

// Options say how to score. A zero field means the default.
type Options struct {
	K           int     // neighbours that vote: 20
	Others      []int   // other numbers of neighbours, scored beside
	Temperature float64 // of the votes: 0.07
	C           float64 // inverse strength of the linear probe's penalty: 1
	Iterations  int     // of the linear probe, at most: 300

	// Progress is told how far a part of the work is, of 0 parts if that is not
	// known; may be nil.
	Progress func(what string, done, total int)
}

func (o Options) filled() Options {
	if o.K == 0 {
		o.K = 20
	}
	if o.Temperature == 0 {
		o.Temperature = 0.07
	}
	if o.C == 0 {
		o.C = 1
	}
	if o.Iterations == 0 {
		o.Iterations = 300
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	return o
}

// Scores are shares of the test set that are right, from 0 to 1.
type Scores struct {
	KNN, Linear float64
	Train, Test int // images with a label
	Classes     int // in the training set
	Iterations  int // of the linear probe
	Converged   bool
	Note        string // on how the linear probe was fitted, if not as usual

	Votes  []Outcome // of the nearest neighbours, o.K of them and then o.Others
	Probed Outcome   // of the linear probe
}

// Evaluate scores features by k nearest neighbours and by a linear probe, both
// fitted on train and scored on test. When ctx ends it returns ctx's error within
// a second.
func Evaluate(ctx context.Context, train, test Set, o Options) (Scores, error) {
	o = o.filled()
	votes, err := Neighbours(ctx, train, test, o)
	if err != nil {
		return Scores{}, err
	}
	probe, err := Linear(ctx, train, test, o)
	if err != nil {
		return Scores{}, err
	}
	s := Scores{KNN: votes[0].Top1, Linear: probe.Accuracy, Iterations: probe.Iterations, Converged: probe.Converged,
		Note: probe.Note, Votes: votes, Probed: probe.Outcome}
	s.Train, s.Classes = count(train.Labels)
	s.Test, _ = count(test.Labels)
	return s, nil
}

// count returns the number of labels and of different ones.
func count(labels []int) (n, classes int) {
	seen := map[int]bool{}
	for _, l := range labels {
		if l >= 0 {
			n++
			seen[l] = true
		}
	}
	return n, len(seen)
}

// task is two sets without the unlabelled images; labels are numbered from 0
// in the order of the classes of the training set, and behind them those of the classes that
// only the test set has.
type task struct {
	train, test Set
	classes     int   // of the training set
	labels      []int // of each number
}

// outcome is what was counted, under the sets' own labels.
func (t *task) outcome(of *Tally) Outcome { return of.Outcome().renumbered(t.labels) }

func newTask(train, test Set) (task, error) {
	check("training", train)
	check("test", test)
	if train.D != test.D {
		panic(fmt.Sprintf("eval: %d features to train on, %d to test on", train.D, test.D))
	}
	t := task{}
	number := map[int]int{} // of each label
	for i, s := range []Set{train, test} {
		before := len(t.labels)
		for _, l := range s.Labels {
			if _, known := number[l]; l >= 0 && !known {
				number[l] = 0
				t.labels = append(t.labels, l)
			}
		}
		slices.Sort(t.labels[before:])
		if i == 0 {
			t.classes = len(t.labels)
		}
	}
	for i, l := range t.labels {
		number[l] = i
	}
	if t.classes < 2 {
		have := "no labels"
		if t.classes == 1 {
			have = "labels of 1 class"
		}
		return t, LabelError("the training images have " + have + ": scoring needs at least 2 classes")
	}
	for _, s := range []struct {
		from Set
		to   *Set
		what string
	}{{train, &t.train, "training"}, {test, &t.test, "test"}} {
		d := s.from.D
		s.to.D, s.to.Stored = d, s.from.Stored
		for i, l := range s.from.Labels {
			if l < 0 {
				continue
			}
			if s.from.Stored == nil {
				for _, v := range s.from.X[i*d : (i+1)*d] {
					if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
						return t, fmt.Errorf("the features of %s image %d are not finite: the encoder is broken", s.what, i)
					}
				}
			}
			s.to.Labels = append(s.to.Labels, number[l])
		}
		s.to.X = s.from.X
		if n := len(s.to.Labels); s.from.Stored == nil && n < len(s.from.Labels) {
			s.to.X = make([]float32, 0, n*d)
			for i, l := range s.from.Labels {
				if l >= 0 {
					s.to.X = append(s.to.X, s.from.X[i*d:(i+1)*d]...)
				}
			}
		}
	}
	if len(t.test.Labels) == 0 {
		return t, fmt.Errorf("no test image has a label: nothing to score")
	}
	return t, nil
}

func check(what string, s Set) {
	if s.Stored != nil {
		if s.Stored.d != s.D || s.Stored.n != len(s.Labels) || slices.Min(append(s.Labels, 0)) < 0 {
			panic(fmt.Sprintf("eval: %s set of %d labels, some may be none, %d × %d stored, %d features", what, len(s.Labels), s.Stored.n, s.Stored.d, s.D))
		}
		return
	}
	if s.D < 1 || len(s.X) != len(s.Labels)*s.D {
		panic(fmt.Sprintf("eval: %s set of %d labels, %d values, %d features", what, len(s.Labels), len(s.X), s.D))
	}
}

// rows runs body on pieces of n rows, in parallel.
func rows(n int, body func(lo, hi int)) {
	parallel.Range(n, 64, func(_, lo, hi int) { body(lo, hi) })
}
