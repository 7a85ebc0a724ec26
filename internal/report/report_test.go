package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"vicreg/internal/atlas"
	"vicreg/internal/runlog"
)

// long is a run of many steps with everything a page can show.
func long(epochs, steps int) *Run {
	r := &Run{Name: "a <b>run</b> & \x1b[31m", Folder: "runs/a", Config: []byte("method: vicreg\nepochs: 3\n"),
		Recipe: "quick", Plain: []byte("method: vicreg\nepochs: 6\n"), Made: "Written by a test.",
		Facts: Facts{Method: "vicreg", Network: "resnet18", Epochs: epochs, K: 20, Target: 1}}
	share := 0.5
	for e := 1; e <= epochs; e++ {
		for range steps {
			n := len(r.Metrics.Steps) + 1
			r.Metrics.Steps = append(r.Metrics.Steps, runlog.Step{Epoch: e, Step: n, Loss: 20 + math.Sin(float64(n)),
				Terms: runlog.Terms{{Name: "invariance", Value: 1}}, LR: 0.1, Images: 100})
		}
		r.Metrics.Epochs = append(r.Metrics.Epochs, runlog.Epoch{Epoch: e, Step: e * steps, Loss: 20,
			Terms: runlog.Terms{{Name: "invariance", Value: 1}}, EmbeddingStd: 0.5, Rank: 30, KNN: &share,
			Views: &runlog.Sight{R1: 0.2}, Collapsed: e == 2,
			Spectrum: runlog.NewSpectrum([]float64{3, 2, 0.5, 0})})
	}
	for i := range 300 {
		r.Metrics.Warnings = append(r.Metrics.Warnings, runlog.Warning{Message: fmt.Sprintf("<script>%d</script>", i)})
	}
	better := 0.6
	r.Summary = &runlog.Summary{Method: "vicreg", Dataset: "<i>d</i>", Images: 1000, Epochs: epochs,
		Scores: runlog.Scores{KNN: &better, Linear: &better, RandomInitKNN: &share, RandomInitLinear: &share,
			Scored: 1000},
		Verdict:    &runlog.Verdict{Is: runlog.Learned, Text: "It learned: kNN 60%.", Next: "Next: go on with --resume RUN --epochs 9.", Untrained: &runlog.Sight{R1: 0.1}, Items: 100},
		Unlabelled: &runlog.Unlabelled{Images: 256, Views: 2}}
	return r
}

func write(t *testing.T, r *Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageStandsAlone(t *testing.T) {
	page := write(t, long(300, 100))
	if len(page) > 1<<20 {
		t.Errorf("300 epochs of 100 steps take %d bytes", len(page))
	}
	for _, not := range []string{"<script", "http:", "https:", "url(", "src=", "@import", "<link", "<b>run", "\x1b", "<i>d", "NaN"} {
		if strings.Contains(page, not) {
			t.Errorf("the page has %q", not)
		}
	}
	for _, want := range []string{Mark, "It learned.", "--resume runs/a --epochs 9", "60.0%", "± 1.5", "&#43;10.0", "better than untrained",
		"collapsed</text>", "epoch 300</text>", "and 200 more in metrics.jsonl", "All 2 settings", "&lt;script&gt;0"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestPageOfWhatThereIs(t *testing.T) {
	going := long(2, 4)
	going.Summary, going.State = nil, "3 of 9 epochs are done."
	begun := long(0, 0)
	begun.Summary = nil
	first := long(1, 6)
	first.Metrics.Epochs, first.Summary = nil, nil
	tuned := long(2, 2)
	tuned.Facts.Tuned = true
	tuned.Summary.Verdict, tuned.Summary.KNN, tuned.Summary.Linear = nil, nil, nil
	tuned.Summary.Classifier = &runlog.Classifier{Classified: runlog.Classified{Top1: 0.7, Scored: 50},
		Classes: []runlog.ClassScore{{Items: 20}, {Items: 20}, {Items: 10}}}
	tuned.Facts.From = "runs/a/model.safetensors"
	guess := long(2, 2)
	guess.Facts.Tuned = true
	guess.Summary.Verdict = nil
	guess.Summary.Classifier = &runlog.Classifier{Classified: runlog.Classified{Top1: 0.42, Scored: 50},
		Classes: tuned.Summary.Classifier.Classes}
	paired := long(2, 2)
	paired.Facts.Pairs = true
	paired.Summary.Retrieval = &runlog.Retrieval{
		AToB: runlog.Recall{R1: 0.3, Queries: 100, Gallery: 100, Chance1: 0.01}}
	for name, c := range map[string]struct {
		run  *Run
		want []string
		not  string
	}{
		"going on": {going, []string{"It has collapsed.", "3 of 9 epochs are done.", "<svg"}, "Scores</h2>"},
		"begun":    {begun, []string{"It has not ended."}, "<svg"},
		"first":    {first, []string{"It has not ended.", "<svg"}, "Has anything collapsed"},
		"classifier": {tuned, []string{"names the class of 70.0% of the images.", "with their labels",
			"verdict learned\"", "the weights of “runs/a/model.safetensors”", "commonest class would be right for 40.0%"}, "Has anything collapsed"},
		"guess": {guess, []string{"which is what chance gives", "verdict learned-little", "random weights"}, "verdict learned\""},
		"pairs": {paired, []string{"two sides of a pair", "First side finds second", "30.0%", "by chance 1.0%"}, "crops"},
		"model": {&Run{Name: "m", Model: []Setting{{"encoder", "resnet50"}}}, []string{"A model without a run.", "resnet50"}, "How it went"},
	} {
		page := write(t, c.run)
		for _, want := range c.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		if strings.Contains(page, c.not) {
			t.Errorf("%s: the page has %q", name, c.not)
		}
	}
}

func TestMap(t *testing.T) {
	r := long(2, 2)
	r.AddMap("../atlas/testdata/map", weigh(""))
	page := write(t, r)
	for _, want := range []string{"What it sees", "data:image/jpeg;base64,", "Groups that it found", "Map of 240 images"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	const old = "This is what it saw after epoch 20, and the run has come to epoch 2 since; vicreg map runs/a draws it anew."
	if r.Stale != old || !strings.Contains(page, old) {
		t.Errorf("an old map: %q", r.Stale)
	}
	m := &atlas.Map{Weights: "1", Epochs: 2}
	for weights, want := range map[string]string{"": "", "1": "",
		"2": "This is what an encoder of other weights saw than the run has now; vicreg map runs/a draws it anew."} {
		if got := r.outdated(m, weigh(weights)); got != want {
			t.Errorf("a map of weights 1 of a run of weights %q: %q", weights, got)
		}
	}
	r.Summary = nil // it goes on
	if got := r.outdated(m, weigh("")); got != "" {
		t.Errorf("of the last epoch so far: %q", got)
	}
	none := long(2, 2)
	none.AddMap(t.TempDir(), weigh(""))
	if page := write(t, none); strings.Contains(page, "What it sees") || len(none.Notes) > 0 {
		t.Errorf("a map that is not there is told of: %q", none.Notes)
	}
	broken, folder := long(2, 2), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "map.json"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	broken.AddMap(folder, weigh(""))
	if page := write(t, broken); !strings.Contains(page, "is left out: ") {
		t.Error("a damaged map is not told of")
	}
}

func TestNoise(t *testing.T) {
	for _, c := range []struct {
		trained, untrained float64
		n                  int
		want               string
	}{
		{0.6, 0.5, 1000, "better than untrained"}, // 0.1 against 2·√(0.24+0.25)/√1000 = 0.044
		{0.54, 0.5, 1000, "within the noise"},
		{0.5, 0.54, 1000, "within the noise"},
		{0.5, 0.6, 1000, "worse than untrained"},
		{0.6, 0.5, 100, "within the noise"},
		{0.6, 0.5, 0, ""},
	} {
		if got := said(c.trained, c.untrained, c.n); got != c.want {
			t.Errorf("%v and %v of %d: %q, want %q", c.trained, c.untrained, c.n, got, c.want)
		}
	}
	if got := noise(0.5, 100); got != 0.05 {
		t.Errorf("noise of 50%% of 100 is %v", got)
	}
}

func TestDifferences(t *testing.T) {
	a := Settings([]byte("out: x\nbatch: 8\nviews:\n  - flip: 0.5\n  - flip: 1\nlist: [1, 2]\nnormalize:\n  mean: [0.1]\nnew: 1\n"))
	b := Settings([]byte("batch: 9\nviews:\n  - flip: 0.5\n  - flip: 0\nlist: [1, 2]\nnormalize:\n  mean: []\nold: 3\n"))
	got := Differences(a, b)
	want := []Change{{"batch", "8", "9"}, {"views.2.flip", "1", "0"}, {"new", "1", ""}, {"old", "", "3"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("differences are %v, want %v", got, want)
	}
}

func TestChart(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	dots := func(y ...float64) []Line {
		return []Line{{X: []float64{1, 10, 100}[:len(y)], Y: y, Class: "line", Dots: true, Label: "<1>"}}
	}
	for name, c := range map[string]struct {
		chart Chart
		want  int // circles
	}{
		"gap":   {Chart{Lines: dots(1, nan, inf)}, 1},
		"level": {Chart{Lines: dots(5, 5)}, 2},
		"log":   {Chart{Log: true, Lines: dots(1, 0.1, 0)}, 2},
		"huge":  {Chart{Lines: dots(-1e300, 1e300)}, 2},
	} {
		svg := string(c.chart.SVG())
		if got := strings.Count(svg, "<circle"); got != c.want {
			t.Errorf("%s: %d points, want %d", name, got, c.want)
		}
		if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: %s", name, svg)
		}
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if svg := (&Chart{Lines: []Line{{X: []float64{1}, Y: []float64{nan}}}}).SVG(); svg != "" {
		t.Errorf("no point gives %s", svg)
	}
}

// Names of moments stand above the plot, none over another, and all charts of a run have an
// epoch at the same place.
func TestMomentsAndAxes(t *testing.T) {
	r := long(5, 6)
	for e := 2; e < 5; e++ {
		r.Metrics.Replans = append(r.Metrics.Replans, runlog.Replan{Epoch: e, To: e + 1})
	}
	c := Chart{Marks: r.replans(), Lines: []Line{{X: []float64{0, 5}, Y: []float64{1, 2}}}}
	names, rows := c.named(scale{lo: 0, hi: 5, from: left, to: 280})
	if len(names) != 3 || rows < 2 {
		t.Fatalf("%+v in %d rows", names, rows)
	}
	for i, a := range names {
		for _, b := range names[:i] {
			if a.row == b.row && a.from < b.from+letter*float64(len(b.Name)) {
				t.Errorf("%+v lies over %+v", a, b)
			}
		}
	}
	ticks := map[string]bool{}
	for _, p := range r.panels() {
		if at := regexp.MustCompile(`x="([0-9.]+)" y="[0-9.]+" text-anchor="middle">5<`).FindStringSubmatch(string(p.SVG)); at != nil {
			ticks[at[1]] = true
		}
	}
	if len(ticks) != 1 {
		t.Errorf("epoch 5 lies at %v", ticks)
	}
}

func TestThinnedKeepsPeaks(t *testing.T) {
	var l Line
	for i := range 10_000 {
		l.X, l.Y = append(l.X, float64(i)), append(l.Y, 1)
	}
	l.Y[1234], l.Y[7777] = 9, -9
	thin := l.thinned(500)
	low, high := 0.0, 0.0
	for _, v := range thin.Y {
		low, high = min(low, v), max(high, v)
	}
	if len(thin.X) > 500 || low != -9 || high != 9 {
		t.Errorf("%d points from %v to %v", len(thin.X), low, high)
	}
}

// weigh is a checksum of weights that is known.
func weigh(sum string) func() string { return func() string { return sum } }
