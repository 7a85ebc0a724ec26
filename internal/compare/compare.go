// Package compare puts runs side by side: a table ([Markdown]) and a picture
// ([Plot]), from what the run folders say.
package compare

import (
	"fmt"
	"io"
	"strings"

	"vicreg/internal/runlog"
)

// Run is one of the runs that are compared.
type Run struct {
	Name    string
	Uses    []string // machinery beside the gradient: negatives, a momentum encoder, …
	Summary runlog.Summary
	Epochs  []runlog.Epoch
}

// Read reads a run that has ended from its folder.
func Read(name, folder string) (Run, error) {
	s, err := runlog.ReadSummary(folder)
	if err != nil {
		return Run{}, fmt.Errorf("%s cannot be compared: its run has not ended, or it is no run folder: %w", folder, err)
	}
	m, err := runlog.ReadMetrics(folder)
	if err != nil {
		return Run{}, err
	}
	return Run{Name: name, Summary: *s, Epochs: m.Epochs}, nil
}

// Markdown writes a table of runs on the same data, first the encoder before any
// training. Scores are in percent.
func Markdown(w io.Writer, runs []Run) error {
	var b strings.Builder
	b.WriteString("| run | kNN | linear probe | std | correlation | rank | collapsed | seconds | images/s | peak memory | beside the gradient |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	if len(runs) > 0 {
		s := runs[0].Summary.Scores
		fmt.Fprintf(&b, "| untrained | %s | %s | | | | | | | | |\n", percent(s.RandomInitKNN), percent(s.RandomInitLinear))
	}
	for _, r := range runs {
		s := r.Summary
		collapsed := "no"
		if s.Collapsed {
			collapsed = "**yes**"
		}
		uses := strings.Join(r.Uses, ", ")
		if uses == "" {
			uses = "nothing"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.3f | %.3f | %.1f | %s | %.0f | %.0f | %.0f MiB | %s |\n", r.Name, percent(s.KNN), percent(s.Linear),
			s.EmbeddingStd, s.Correlation, s.Rank, collapsed, s.TrainSeconds, s.ImagesPerSecond, s.PeakRSSMiB, uses)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func percent(share *float64) string {
	if share == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", 100**share)
}
