package compare

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"

	"vicreg/internal/runlog"
)

// Seeds of one run are one row and one line, with mean and deviation.
func TestSeedsAreOneGroup(t *testing.T) {
	var runs []Run
	for i, knn := range []float64{0.70, 0.72, 0.74} {
		r := Run{Name: "vicreg", Summary: runlog.Summary{Scores: runlog.Scores{KNN: share(knn),
			RandomInitKNN: share(0.6)}, Collapsed: i == 2}}
		for epoch := range 2 {
			r.Epochs = append(r.Epochs, runlog.Epoch{Epoch: epoch + 1, KNN: share(knn - 0.1*float64(1-epoch))})
		}
		runs = append(runs, r)
	}
	runs[1].Epochs = runs[1].Epochs[:1] // one that was not scored to the end
	groups := Groups(append(runs, Run{Name: "byol"}))
	if len(groups) != 2 || len(groups[0].Runs) != 3 || groups[1].Name != "byol" {
		t.Fatalf("%+v", groups)
	}
	if s := groups[0].KNN; math.Abs(s.Mean-72) > 1e-9 || math.Abs(s.Deviation-2) > 1e-9 || s.N != 3 {
		t.Errorf("%+v", s)
	}
	if s := groups[1].KNN; s.N != 0 || s.String() != "–" {
		t.Errorf("%+v", s)
	}
	curve, spread := groups[0].knn()
	if len(curve) != 3 || curve[0].Y != 60 || math.Abs(curve[1].Y-62) > 1e-9 || math.Abs(spread[1]-2) > 1e-9 ||
		math.Abs(curve[2].Y-72) > 1e-9 {
		t.Errorf("%v %v", curve, spread)
	}
	var b bytes.Buffer
	if err := Markdown(&b, runs); err != nil || !strings.Contains(b.String(), "| vicreg (3 seeds) | 72.00 ± 2.00 | – |") || !strings.Contains(b.String(), "**1 of 3**") {
		t.Errorf("%v\n%s", err, b.String())
	}
	if err := Plot(filepath.Join(t.TempDir(), "a.svg"), append(runs, Run{Name: "byol"})); err != nil {
		t.Error(err)
	}
}

// A run of one epoch has axes around its one value, none of them through 0, and one that was
// taught classes has its classifier's figure in place of those of embeddings.
func TestCurvesOfLittle(t *testing.T) {
	p := panel("loss", nil, plotter.XYs{{X: 0.5, Y: 0.15}})
	roomy(p)
	if p.Y.Min <= 0 || p.Y.Max <= 0.15 || p.Y.Max > 0.2 {
		t.Errorf("from %v to %v", p.Y.Min, p.Y.Max)
	}
	top := runlog.Classified{Top1: 0.5}
	r := Run{Name: "tuned", Epochs: []runlog.Epoch{{Epoch: 1, Step: 2, Loss: 1, Classified: &top}},
		Summary: runlog.Summary{Classifier: &runlog.Classifier{Classified: top}}}
	path := filepath.Join(t.TempDir(), "a.svg")
	if err := Curves(path, r); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(raw, []byte("top-1")) || bytes.Contains(raw, []byte("embedding")) {
		t.Errorf("%v\n%s", err, raw)
	}
	if err := Plot(path, []Run{r, {Name: "unlabelled"}}); err != nil {
		t.Fatal(err)
	}
	if raw, err = os.ReadFile(path); err != nil || !bytes.Contains(raw, []byte("its classifier: 50.00%")) ||
		!bytes.Contains(raw, []byte("not scored, for want of labels")) {
		t.Errorf("%v\n%s", err, raw)
	}
	var b bytes.Buffer
	if err := Markdown(&b, []Run{r}); err != nil || !strings.Contains(b.String(), "| tuned | – | – | – | – | – | – |") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		want   string
	}{
		{65.2, 81, "70 75 80"}, {-0.01, 0.011, "-0.01 -0.005 0 0.005 0.01"}, {3, 3, "3"}, {0, 1e-30, "0 2e-31 4e-31 6e-31 8e-31 1e-30"},
	} {
		var got []string
		for _, tick := range few(c.lo, c.hi) {
			got = append(got, tick.Label)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("from %v to %v: %s, want %s", c.lo, c.hi, s, c.want)
		}
	}
	if n := len(few(0, math.Inf(1))); n > 100 {
		t.Errorf("%d ticks without an end", n)
	}
}

func TestCurves(t *testing.T) {
	dir := t.TempDir()
	r := example()[2]
	if err := Curves(filepath.Join(dir, "none.png"), Run{Name: "x"}); err == nil || !strings.Contains(err.Error(), "no epoch") {
		t.Errorf("of a run without epochs: %v", err)
	}
	for i := range r.Epochs {
		e := &r.Epochs[i]
		e.Rank = 20
		e.Step, e.Loss, e.Terms, e.Collapsed = 10*(i+1), 20-float64(i),
			runlog.Terms{{Name: "invariance", Value: 0.3}, {Name: "variance", Value: 0.5 / float64(i+1)}}, i == 3
		r.Steps = append(r.Steps, runlog.Step{Step: 10 * (i + 1), Loss: e.Loss, Terms: e.Terms})
	}
	path := filepath.Join(dir, "curves.svg")
	if err := Curves(path, r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"curves.svg", "curves.png"} {
		own, other := filepath.Join(dir, name), filepath.Join(dir, "x"+name)
		if err := Curves(own, r); err != nil || !IsPicture(own) {
			t.Errorf("%s is not told from others: %v", name, err)
		}
		raw, err := os.ReadFile(own)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(other, bytes.ReplaceAll(raw, []byte("vicreg"), []byte("lenses")), 0o644); err != nil ||
			IsPicture(other) {
			t.Errorf("another's %s is taken for one of vicreg: %v", name, err)
		}
		if m, err := png.Decode(bytes.NewReader(raw)); strings.HasSuffix(name, ".png") &&
			(err != nil || m.Bounds().Dx() < 500) {
			t.Error(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"loss", "invariance", "variance", "effective rank", "kNN", "collapsed", "untrained"} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("the picture does not say %q", want)
		}
	}
}
