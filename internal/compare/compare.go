// Package compare puts runs side by side: a table ([Markdown]) and a picture
// ([Plot]), from what the run folders say.
package compare

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/eval"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Run is one of the runs that are compared.
type Run struct {
	Name    string
	Folder  string
	Uses    []string // machinery beside the gradient: negatives, a momentum encoder, …
	Summary runlog.Summary
	Trained eval.Training // what the run was, for a judgement of its scores
	Epochs  []runlog.Epoch
	Steps   []runlog.Step
}

// Read reads a run from its folder. For a run that has not ended, the summary has the
// figures of its last epoch, and the name says which epoch that is.
func Read(name, folder string) (Run, error) {
	if st, err := os.Stat(folder); err == nil && !st.IsDir() {
		return Run{}, fmt.Errorf("%s is %s, not a run folder", folder, durable.Kind(st.Mode()))
	}
	m, err := runlog.ReadMetrics(folder)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			return Run{}, fmt.Errorf("there is no run folder %s", folder)
		}
		return Run{}, fmt.Errorf("%s has no %s: it is no run folder, or its run has not begun to train", folder, runlog.MetricsFile)
	}
	if err != nil {
		return Run{}, err
	}
	r := Run{Name: name, Folder: folder, Epochs: m.Epochs, Steps: m.Steps}
	s, err := runlog.ReadSummary(folder)
	switch {
	case err == nil && slices.Contains(s.Changed, runlog.MetricsFile):
		return r, fmt.Errorf("%s: what it tells would be wrong; put it back as it was", runlog.Altered(folder, runlog.MetricsFile))
	case err == nil:
		r.Summary = *s
	case !errors.Is(err, fs.ErrNotExist):
		return r, err
	case len(m.Epochs) == 0:
		return r, fmt.Errorf("%s has no epoch yet that tells anything", folder)
	default:
		e := m.Epochs[len(m.Epochs)-1]
		r.Name = fmt.Sprintf("%s, epoch %d", name, e.Epoch)
		r.Summary = runlog.Summary{Loss: e.Loss, Terms: e.Terms, EmbeddingStd: e.EmbeddingStd,
			Correlation: e.Correlation, Rank: e.Rank, Collapsed: e.Collapsed,
			Scores: runlog.Scores{KNN: e.KNN}, TrainSeconds: e.Seconds, ImagesPerSecond: e.Images}
	}
	return r, nil
}

// Markdown writes a table of runs on the same data, first the encoder before any
// training. Scores are in percent. Runs of one name, which differ in their seed,
// are one row with means; scores have their standard deviation. Where no run has scores,
// the rows are in the order of their places without labels.
func Markdown(w io.Writer, runs []Run) error {
	var b strings.Builder
	b.WriteString("| run | kNN | linear probe | std | correlation | rank | collapsed | seconds | images/s | peak memory | beside the gradient |" + bareHead + "\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	groups := ranked(Groups(runs))
	if len(groups) > 0 {
		g := groups[0]
		fmt.Fprintf(&b, "| untrained | %s | %s | | | | | | | | |%s\n", g.UntrainedKNN, g.UntrainedLinear,
			g.bareUntrained())
	}
	place, unlike := places(groups)
	for i, g := range groups {
		mean := func(of func(runlog.Summary) float64) float64 {
			var values []float64
			for _, r := range g.Runs {
				values = append(values, of(r.Summary))
			}
			return NewStat(values).Mean
		}
		collapses := 0
		for _, r := range g.Runs {
			if r.Summary.Collapsed {
				collapses++
			}
		}
		collapsed := "no"
		switch {
		case collapses == len(g.Runs):
			collapsed = "**yes**"
		case collapses > 0:
			collapsed = fmt.Sprintf("**%d of %d**", collapses, len(g.Runs))
		}
		name := strings.ReplaceAll(show.Line(g.Name), "|", `\|`)
		if n := len(g.Runs); n > 1 {
			name += fmt.Sprintf(" (%d seeds)", n)
		}
		uses := strings.Join(g.Runs[0].Uses, ", ")
		if uses == "" {
			uses = "nothing"
		}
		embedding := fmt.Sprintf("%.3f | %.3f | %.1f | %s",
			mean(func(s runlog.Summary) float64 { return s.EmbeddingStd }),
			mean(func(s runlog.Summary) float64 { return s.Correlation }),
			mean(func(s runlog.Summary) float64 { return s.Rank }), collapsed)
		if !g.Embedded() {
			embedding = "– | – | – | –"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.0f | %.0f | %.0f MiB | %s |%s\n", name, g.KNN, g.Linear, embedding,
			mean(func(s runlog.Summary) float64 { return s.TrainSeconds }),
			mean(func(s runlog.Summary) float64 { return s.ImagesPerSecond }),
			mean(func(s runlog.Summary) float64 { return s.PeakRSSMiB }), uses,
			bareCells(g.bare(), place[i]))
	}
	if unlike != "" {
		fmt.Fprintf(&b, "\nThere is no order without labels, as views were not looked for among the same images: %s.\n",
			strings.ReplaceAll(unlike, "|", `\|`))
	}
	for _, g := range groups {
		if below := g.Below(); below != "" {
			fmt.Fprintf(&b, "\n%s: %s.\n", strings.ReplaceAll(show.Line(g.Name), "|", `\|`), below)
		}
	}
	for _, g := range groups { // what has no scores has a verdict
		for _, r := range g.Runs {
			if v := r.Summary.Verdict; v != nil && g.KNN.N == 0 {
				text := v.Text
				if v.Spread != "" {
					text += " " + v.Spread
				}
				fmt.Fprintf(&b, "\n%s: %s %s\n", strings.ReplaceAll(show.Line(r.Name), "|", `\|`), show.Line(text), v.Advice(r.Folder))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Below says that a group scores below the untrained encoder, and the likely
// reason; empty if it does not.
func (g *Group) Below() string {
	if g.KNN.N == 0 || g.Linear.N == 0 || g.UntrainedKNN.N == 0 || g.UntrainedLinear.N == 0 {
		return ""
	}
	t := g.Runs[0].Trained
	t.Steps, t.Images, t.Method = g.Runs[0].Summary.Steps, g.Runs[0].Summary.Images, g.Runs[0].Summary.Method
	for _, r := range g.Runs {
		t.Collapsed = t.Collapsed || r.Summary.Collapsed
	}
	share := func(knn, linear Stat) eval.Scores {
		return eval.Scores{KNN: knn.Mean / 100, Linear: linear.Mean / 100, Test: g.Runs[0].Summary.Scored}
	}
	return eval.BelowUntrained(share(g.KNN, g.Linear), share(g.UntrainedKNN, g.UntrainedLinear), t)
}

// String is the mean, with ± and the deviation if there are several.
func (s Stat) String() string {
	switch {
	case s.N == 0:
		return "–"
	case s.N == 1:
		return fmt.Sprintf("%.2f", s.Mean)
	}
	return fmt.Sprintf("%.2f ± %.2f", s.Mean, s.Deviation)
}
