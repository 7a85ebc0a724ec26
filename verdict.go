package vicreg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
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
	Verdict               // on the encoder; Is, Text, Spread and Next are empty of a model that lies in no folder of a run
	Unlabelled Unlabelled // measures of the encoder and of the same one untrained
	Dataset    string     // name of the data
	Bad        []string   // images that could not be read, each with its reason
	Notes      []string   // what of the data was left out or guessed, a sentence each
}

// Judge says without labels what the encoder of a run's folder has learned: two views
// of each of some images are drawn as the run does, and the encoder, beside the same
// one untrained, is to find those that belong together; and its features are measured. The
// images are those that d holds out to be scored on, or else some of those that it would
// have trained on. Of a model that lies in no folder of a run, views are drawn as the
// recipe photos does. When ctx ends it returns ctx's error.
func (m *Model) Judge(ctx context.Context, d Data, o EvalOptions) (*Judged, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	folder := filepath.Dir(m.file.Path)
	c, err := recipe.ReadFile(filepath.Join(folder, runlog.ConfigFile))
	var notes []string
	alone := errors.Is(err, fs.ErrNotExist)
	if alone {
		if c, err = recipe.Load("photos"); err != nil {
			return nil, err
		}
		c.Size, c.Method = m.file.Size, ""
		notes = append(notes, fmt.Sprintf("%s lies in no folder of a run: views are drawn as the recipe photos does",
			show.Name(m.file.Path)))
	}
	if err != nil {
		return nil, err
	}
	if d.Source != c.Data.Source {
		d.Holdout = 0 // nothing is fitted to other images, so all of them are there to judge by
	}
	train, test, err := dataset.Open(d.Source, dataset.Options{Labels: d.Labels, Holdout: d.Holdout})
	if err != nil {
		return nil, err
	}
	j := eval.Judgement{Training: m.training(), Epochs: c.Epochs, HeldOut: test != nil}
	if c.Method == "vicreg" {
		j.Mu = c.Loss.Mu
	}
	images := train
	images.Limit(d.Limit)
	if test != nil {
		images = test
	}
	images.Limit(o.Limit)
	if len(images.Items) > 10_000 { // to look at all for bad ones would take longer than to judge
		images.Limit(max(o.Images, pretrained.MostJudged))
	}
	progress := o.Progress
	if progress == nil {
		progress = func(string) {}
	}
	progress("looking at the images")
	source, bad, err := m.source(ctx, images, d, o.Workers, &batch.Tally{Total: len(images.Items), Most: d.MaxBad}, "images to judge by")
	if err != nil {
		return nil, err
	}
	v := pretrained.NewViews(source, nil, c.Crops(), c.Seed)
	if n := len(v.Items); n < 2 {
		return nil, fmt.Errorf("%s has %s, but two or more are needed to tell images apart", d.Source, show.Count(n, "image"))
	}
	more := v
	if o.Images > 0 || o.Views > 0 {
		more = pretrained.NewViewsOf(source, nil, c.Crops(), c.Seed, cmp.Or(o.Images, pretrained.MostJudged))
		more.Rounds = cmp.Or((o.Views+1)/2, v.Rounds)
	}
	untrained, err := m.file.Untrained()
	if err != nil {
		return nil, err
	}
	head, err := m.file.UntrainedExpander(untrained)
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
	e.Head = on.file.Head()
	now, err := seen(ctx, e, v, more)
	if err != nil {
		return nil, err
	}
	e, free, err := e.With(untrained, head)
	if err != nil {
		return nil, err
	}
	defer free()
	before, err := seen(ctx, e, v, more)
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
	verdict := eval.Judge(j)
	if alone {
		verdict.Is, verdict.Text, verdict.Spread, verdict.Next = "", "", "", ""
	}
	return &Judged{Verdict: outer[Verdict](verdict), Unlabelled: Unlabelled{Trained: outer[Layers](*now.Layers),
		Untrained: outer[Layers](*before.Layers), Images: len(more.Items), Views: now.Views, HeldOut: test != nil},
		Dataset: images.Name, Bad: bad, Notes: append(m.notes(images.Notes), notes...)}, nil
}

// seen is how an encoder sees views, and the measures of others.
func seen(ctx context.Context, e *pretrained.Embedder, v, measured pretrained.Views) (s pretrained.Sighting,
	err error) {
	same := len(v.Items) == len(measured.Items) && v.Rounds == measured.Rounds
	e.Measure = same
	if s, err = e.Sight(ctx, v); err != nil || same {
		return s, err
	}
	e.Measure = true
	m, err := e.Sight(ctx, measured)
	s.Layers, s.Views = m.Layers, m.Views
	return s, err
}
