package eval

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// kept returns a set with its features in a store.
func kept(t *testing.T, s Set) Set {
	t.Helper()
	store, err := NewStore(len(s.Labels), s.D)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	for lo := 0; lo < len(s.Labels); lo += 700 {
		if err := store.Add(s.X[lo*s.D : min(lo+700, len(s.Labels))*s.D]); err != nil {
			t.Fatal(err)
		}
	}
	return Set{D: s.D, Labels: s.Labels, Stored: store}
}

// From a file all scores are the same to the bit, whatever is fitted.
func TestStoredFeaturesScoreAlike(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	train, test := mixed(5000, 60, 8, 1), mixed(700, 60, 8, 2)
	for _, c := range []struct {
		what              string
		features, weights int
		train             Set
	}{
		{"logistic regression", mostFeatures, mostWeights, train},
		{"discriminant analysis", mostFeatures, 100, train},
		{"projection", 32, mostWeights, train},
		{"span", 50, mostWeights, Set{X: train.X[:45*60], D: 60, Labels: train.Labels[:45]}},
	} {
		func() {
			defer func(f, w int) { mostFeatures, mostWeights = f, w }(mostFeatures, mostWeights)
			mostFeatures, mostWeights = c.features, c.weights
			o := Options{K: 5, Others: []int{50}, Iterations: 12}
			want, err := Evaluate(t.Context(), c.train, test, o)
			if err != nil {
				t.Fatal(c.what, err)
			}
			got, err := Evaluate(t.Context(), kept(t, c.train), test, o)
			if err != nil {
				t.Fatal(c.what, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: stored %+v, in memory %+v", c.what, got, want)
			}
			held, err := Linear(t.Context(), c.train, test, o)
			stored, err2 := Linear(t.Context(), kept(t, c.train), test, o)
			if err != nil || err2 != nil || !reflect.DeepEqual(held, stored) {
				t.Errorf("%s: stored %+v (%v), in memory %+v (%v)", c.what, stored, err2, held, err)
			}
		}()
	}
}

// A store leaves nothing behind, and a folder that is not there is told.
func TestStoreLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s, err := NewStore(10, 4)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	t.Setenv("TMPDIR", dir+"/none")
	if _, err := NewStore(10, 4); err == nil || !strings.Contains(err.Error(), "set TMPDIR to a folder with room") {
		t.Error(err)
	}
}

// A file that cannot be read ends the work with an error that says so, not with scores.
func TestStoreThatFails(t *testing.T) {
	train, test := mixed(5000, 60, 8, 1), mixed(200, 60, 8, 2)
	broken := kept(t, train)
	if err := broken.Stored.file.Truncate(4 * 60 * 4500); err != nil {
		t.Fatal(err)
	}
	for what, run := range map[string]func() error{
		"KNN":    func() error { _, err := KNN(t.Context(), broken, test, Options{}); return err },
		"Linear": func() error { _, err := Linear(t.Context(), broken, test, Options{}); return err },
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "temporary file of features") {
			t.Errorf("%s: %v", what, err)
		}
	}
	calls := 0 // it breaks while the probe is fitted
	again := kept(t, train)
	o := Options{Progress: func(what string, _, _ int) {
		if strings.HasPrefix(what, "linear probe: iteration") {
			if calls++; calls == 3 {
				again.Stored.file.Truncate(100)
			}
		}
	}}
	if p, err := Linear(t.Context(), again, test, o); err == nil || !strings.Contains(err.Error(), "cannot be read: something cut it short") {
		t.Errorf("%+v, %v", p, err)
	}
}
