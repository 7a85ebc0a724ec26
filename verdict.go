package vicreg

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// ErrNoLabels is matched by the error of Evaluate where the data has no labels. Judge
// needs none.
var ErrNoLabels = errors.New("scoring needs labels")

// unlabelled is an error that matches ErrNoLabels.
type unlabelled string

func (e unlabelled) Error() string        { return string(e) }
func (e unlabelled) Is(target error) bool { return target == ErrNoLabels }

// Judged is a verdict and what it rests on.
type Judged struct {
	Verdict          // on the encoder
	Dataset string   // name of the data
	Bad     []string // images that could not be read, each with its reason
	Notes   []string // what of the data was left out or guessed, a sentence each
}

// Judge says without labels what the encoder of a run's folder has learned: two views
// of each of some images are drawn as the run does, and the encoder, beside the same
// one untrained, is to find those that belong together. The images are those that d
// holds out to be scored on, or else some of those that it would have trained on. When
// ctx ends it returns ctx's error.
func (m *Model) Judge(ctx context.Context, d Data, o EvalOptions) (*Judged, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	folder := filepath.Dir(m.file.Path)
	c, err := recipe.ReadFile(filepath.Join(folder, runlog.ConfigFile))
	if err != nil {
		return nil, fmt.Errorf("%s lies in no folder of a run, so how to draw views is not known: %w", m.file.Path, err)
	}
	train, test, err := dataset.Open(d.Source, dataset.Options{Labels: d.Labels, Holdout: d.Holdout})
	if err != nil {
		return nil, err
	}
	j := eval.Judgement{Training: m.training(), Epochs: c.Epochs, HeldOut: test != nil}
	if c.Method == "vicreg" {
		j.Mu = c.Loss.Mu
	}
	seen := train
	seen.Limit(d.Limit)
	if test != nil {
		seen = test
	}
	seen.Limit(o.Limit)
	if len(seen.Items) > 10_000 { // to look at all for bad ones would take longer than to judge
		seen.Limit(pretrained.MostJudged)
	}
	progress := o.Progress
	if progress == nil {
		progress = func(string) {}
	}
	progress("looking at the images")
	source, bad, err := m.source(ctx, seen, d, o.Workers, &batch.Tally{Total: len(seen.Items), Most: d.MaxBad}, "images to judge by")
	if err != nil {
		return nil, err
	}
	v := pretrained.NewViews(source, nil, c.Crops(), c.Seed)
	untrained, err := m.file.Untrained()
	if err != nil {
		return nil, err
	}
	on, err := m.On(o.Device)
	if err != nil {
		return nil, err
	}
	e := on.file.Embedder(0, o.Workers)
	tell := counted(progress)
	e.Progress = func(done, total int) { tell("looking at views", done, total) }
	now, err := e.Sight(ctx, v)
	if err != nil {
		return nil, err
	}
	e, free, err := e.Of(untrained)
	if err != nil {
		return nil, err
	}
	defer free()
	before, err := e.Sight(ctx, v)
	if err != nil {
		return nil, err
	}
	j.Trained, j.Untrained, j.Chance, j.Items = now.Sight, &before.Sight, now.Chance, now.Items
	if metrics, err := runlog.ReadMetrics(folder); err == nil {
		for _, e := range metrics.Epochs {
			j.Collapsed = e.Collapsed // the last one counts
			if e.Views != nil {
				j.Trend = append(j.Trend, runlog.Seen{Epoch: e.Epoch, Step: e.Step, Sight: *e.Views})
			}
		}
	}
	return &Judged{Verdict: outer[Verdict](eval.Judge(j)), Dataset: seen.Name, Bad: bad, Notes: m.notes(seen.Notes)},
		nil
}
