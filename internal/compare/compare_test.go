package compare

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/runlog"
)

func share(v float64) *float64 { return &v }

func example() []Run {
	scores := runlog.Scores{KNN: share(0.78), Linear: share(0.835), RandomInitKNN: share(0.741),
		RandomInitLinear: share(0.7405)}
	var runs []Run
	for i, name := range []string{"vicreg", "byol", "simsiam"} {
		r := Run{Name: name, Summary: runlog.Summary{Scores: scores, TrainSeconds: 60, ImagesPerSecond: 900,
			PeakRSSMiB: 300, EmbeddingStd: 0.4, Rank: 71.3}}
		if name == "simsiam" {
			r.Summary.Collapsed, r.Uses = true, []string{"stop-gradient", "predictor"}
		}
		for epoch := range 5 {
			r.Epochs = append(r.Epochs, runlog.Epoch{Epoch: epoch + 1, KNN: share(0.74 + 0.01*float64(epoch+i))})
		}
		runs = append(runs, r)
	}
	return runs
}

func TestMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := Markdown(&b, example()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, want := range map[int]string{
		2: "| untrained | 74.10 | 74.05 |",
		3: "| vicreg | 78.00 | 83.50 | 0.400 | 0.000 | 71.3 | no | 60 | 900 | 300 MiB | nothing |",
		5: "| simsiam | 78.00 | 83.50 | 0.400 | 0.000 | 71.3 | **yes** | 60 | 900 | 300 MiB | stop-gradient, predictor |",
	} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %s\nwant %s", i, lines[i], want)
		}
	}
	columns := strings.Count(lines[0], "|")
	for _, line := range lines {
		if strings.Count(line, "|") != columns {
			t.Errorf("a row of another width: %s", line)
		}
	}
	b.Reset()
	runs := example()
	runs[0].Summary.Scores = runlog.Scores{}
	if err := Markdown(&b, runs); err != nil || !strings.Contains(b.String(), "| vicreg | – | – |") {
		t.Errorf("without labels: %v\n%s", err, b.String())
	}
}

// Without scores the rows are in the order of what shows without labels.
func TestPlaces(t *testing.T) {
	runs := example()
	for i, r1 := range []float64{0.1, 0.3, 0.2} {
		runs[i].Summary.Verdict = &runlog.Verdict{Trained: runlog.Sight{R1: r1}, Untrained: &runlog.Sight{R1: 0.05}}
		runs[i].Summary.Unlabelled = &runlog.Unlabelled{
			Trained:   runlog.Layers{Representation: runlog.Measures{RankMe: 10 + float64(i), LiDAR: 20}},
			Untrained: runlog.Layers{Representation: runlog.Measures{RankMe: 5, LiDAR: 6}}}
	}
	table := func() (lines []string) {
		var b bytes.Buffer
		if err := Markdown(&b, runs); err != nil {
			t.Fatal(err)
		}
		return strings.Split(b.String(), "\n")
	}
	lines := table() // with scores: as given
	for i, want := range map[int]string{2: "| 5.0 | 5.0 | 6.0 | – |", 3: "| 10.0 | 10.0 | 20.0 | 3 |",
		4: "| 30.0 | 11.0 | 20.0 | 1 |", 5: "| 20.0 | 12.0 | 20.0 | 2 |"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d is %s\nwant %s", i, lines[i], want)
		}
	}
	for i := range runs {
		runs[i].Summary.Scores = runlog.Scores{}
	}
	runs = append(runs, Run{Name: "old"}, runs[1]) // one of an earlier version, and a second seed
	runs[4].Summary.Verdict = &runlog.Verdict{Trained: runlog.Sight{R1: 0.1}}
	lines = table()
	for i, want := range map[int]string{3: "| byol (2 seeds) ", 4: "| simsiam ", 5: "| vicreg ", 6: "| old "} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %s\nwant %s", i, lines[i], want)
		}
	}
	if !strings.HasSuffix(lines[4], " 1 |") || !strings.HasSuffix(lines[3], "| 20.0 | 11.0 | 20.0 | 1 |") ||
		!strings.HasSuffix(lines[6], "| – | – | – | – |") {
		t.Errorf("places: %s", strings.Join(lines, "\n"))
	}

	// Measured on other images, they have no places. Advice names the run's folder.
	for i := range runs {
		if v := runs[i].Summary.Verdict; v != nil {
			v.Items, v.Next, runs[i].Folder = 80+i%2, "Next: go on with --resume RUN --epochs 9.", fmt.Sprint("runs/", i)
		}
	}
	text := strings.Join(table(), "\n")
	for _, want := range []string{"views were not looked for among the same images: vicreg 80, byol 81, byol 80, simsiam 80.",
		"| 20.0 | 12.0 | 20.0 | – |", "--resume runs/2 --epochs 9"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nwant %s", text, want)
		}
	}
}

func TestPlot(t *testing.T) {
	dir := t.TempDir()
	for _, runs := range [][]Run{example(), example()[:1],
		append(append(append(append(example(), example()...), example()...), example()...), example()...)} {
		path := filepath.Join(dir, "a.png")
		if err := Plot(path, runs); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := png.Decode(bytes.NewReader(raw))
		if err != nil || m.Bounds().Dx() < 500 {
			t.Fatalf("%d runs: %v", len(runs), err)
		}
	}
	if err := Plot(filepath.Join(dir, "b.png"), nil); err == nil {
		t.Error("a picture of nothing was drawn")
	}
	svg := filepath.Join(dir, "a.svg")
	if err := Plot(svg, example()); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(svg); err != nil || !bytes.Contains(raw, []byte("simsiam")) {
		t.Errorf("the picture does not name its runs: %v", err)
	}
	if err := Plot(filepath.Join(dir, "a.txt"), example()); err == nil || !strings.Contains(err.Error(), "a.txt") {
		t.Errorf("a picture in a .txt: %v", err)
	}
}

// A run that has not ended is told by its last epoch, and its name says so.
func TestReadUnfinished(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read("x", dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("an empty folder: %v", err)
	}
	log, _, err := runlog.Open(dir, runlog.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := Read("x", dir); err == nil || !strings.Contains(err.Error(), "no epoch yet") {
		t.Errorf("before the first epoch: %v", err)
	}
	for epoch := range 2 {
		if err := log.Write(runlog.Epoch{Event: "epoch", Epoch: epoch + 1, Rank: 3 + float64(epoch),
			KNN: share(0.5)}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Read("x", dir)
	if err != nil || r.Name != "x, epoch 2" || r.Summary.Rank != 4 || *r.Summary.KNN != 0.5 || r.Summary.Linear != nil {
		t.Errorf("%+v, %v", r, err)
	}
}
