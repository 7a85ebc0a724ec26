package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/method"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// TuneFrom returns c, which has a [recipe.Tune], for the encoder of a branch of a run's
// folder, or of a model's file: with its network, and with the size and the normalisation of
// what it reads. Its weights are left out if c starts from scratch.
func TuneFrom(c recipe.Config, path string, branch int) (recipe.Config, error) {
	if _, err := pretrained.Describe(path, branch); err != nil {
		return c, fmt.Errorf("no encoder can be taken from %s: %w", show.Name(path), err)
	}
	c, err := From(c, pretrained.FileOf(path, branch))
	if err != nil {
		return c, err
	}
	c.Expander, c.ExpanderB = "2", "" // as many as there are classes, once these are known
	if c.Tune.Scratch {
		c.Init = nil
	}
	return c, nil
}

// choose leaves the images that an encoder is to be taught by.
func (s *images) choose(c recipe.Config) error {
	t := c.Tune
	if t == nil || s.trainData.Classes == nil {
		return nil
	}
	note := func(format string, args ...any) {
		s.trainData.Notes = append(s.trainData.Notes, fmt.Sprintf(format, args...))
	}
	all := len(s.trainData.Items)
	switch {
	case t.Subset != "":
		notes, err := s.trainData.Subset(t.Subset, c.Data.Source, s.testData)
		if err != nil {
			return err
		}
		s.trainData.Notes = append(s.trainData.Notes, notes...)
	case t.Fraction > 0 && t.Fraction < 1:
		s.trainData.Share(t.Fraction, c.Seed)
		note("%d of %d labelled images are trained on, %g%% of each class and at least one, as seed %d chooses", len(s.trainData.Items), all, 100*t.Fraction, c.Seed)
	}
	if s.testData != nil && strings.HasSuffix(s.trainData.About, dataset.HeldOut) {
		note("the data has no test set, so %d of its images, spread evenly over each class, are not trained on and score (--holdout)", len(s.testData.Items))
	}
	if lost := s.unseen(); len(lost) > 0 {
		note("%s no image to train on: %s", show.Plural(len(lost), "class has", "classes have"), show.Some(lost, 5))
	}
	return nil
}

// unseen lists the classes that have no image to train on.
func (s *images) unseen() (lost []string) {
	has := make([]bool, len(s.trainData.Classes))
	for _, item := range s.trainData.Items {
		if item.Label >= 0 {
			has[item.Label] = true
		}
	}
	for i, name := range s.trainData.Classes {
		if !has[i] {
			lost = append(lost, name)
		}
	}
	return lost
}

// suit gives a run that teaches classes as many as there are, and makes its batch as small
// as its images are few: a share of the labels is often smaller than a batch.
func (r *run) suit() {
	c, n := &r.config, r.corpus.len()
	if _, classes := r.corpus.labels(); c.Tune != nil && classes > 1 {
		method.Complete(c, r.data())
	}
	if c.Tune == nil || n < 2 || c.Batch <= n {
		return
	}
	r.shrunk = fmt.Sprintf("there are only %d images to train on, so the batch is %d instead of %d, and the rates are smaller by as much", n, n, c.Batch)
	c.Batch = n
}

// Teaching says for people what a run that teaches classes does.
func Teaching(c recipe.Config) string {
	t := c.Tune
	peak := c.PeakLR()
	what := fmt.Sprintf("the classifier at rate %.3g", peak)
	switch {
	case t.Frozen():
		what += ", on an encoder that stays as it is"
	default:
		what += fmt.Sprintf(", the encoder at %.3g", peak*c.EncoderShare())
		if t.Scratch {
			what += ", from random weights"
		}
		if len(t.Freeze) > 0 {
			what += "; " + strings.Join(t.Freeze, ", ") + " stay as they are"
		}
	}
	how := "a cosine to 0 by epochs"
	if len(t.Drops) > 0 {
		how = "divided by 10 after epochs " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(t.Drops)), ", "), "[]")
	}
	if t.Protocol != "" {
		what = t.Protocol + ", " + what
	}
	return what + "; " + how
}

// classify counts what the classifier gets right of at most so many images to score on (0:
// all), spread evenly. One batch of them is held at a time.
func (r *run) classify(ctx context.Context, most int) (eval.Outcome, error) {
	what := "scoring the classifier"
	r.report.Phase(what)
	branch := r.method.Branches()[0]
	e := *r.embedders[0]
	e.Expander, e.Progress = branch.Expander, r.progress(what)
	_, in := r.corpus.inputs(&e, 0, most, r.at.BadLate)
	k := e.Dim()
	tally := eval.NewTally(k)
	err := e.Stream(ctx, in, func(first int, scores []float32) {
		tally.Add(scores, in.Labels[first:first+len(scores)/k])
	})
	return tally.Outcome(), err
}

// classified is an outcome in short.
func classified(o eval.Outcome) *runlog.Classified {
	return &runlog.Classified{Top1: o.Top1, Top5: o.Top5, Scored: o.Items}
}

// better returns the epoch whose classifier was best so far, e included; of equals the
// earlier one.
func (r *run) better(e *runlog.Epoch) *runlog.Epoch {
	if best := r.at.Best; e.Classified == nil || best != nil && best.Classified.Top1 >= e.Classified.Top1 {
		return best
	}
	return e
}

// grade fills in what the classifier gets right at the end.
func (r *run) grade(ctx context.Context, s *runlog.Summary) error {
	o, err := r.classify(ctx, 0)
	if err != nil {
		return err
	}
	s.Classifier = &runlog.Classifier{Classified: *classified(o)}
	if best := r.at.Best; best != nil {
		s.Classifier.Best, s.Classifier.BestEpoch = *best.Classified, best.Epoch
	}
	names := r.corpus.(*images).trainData.Classes
	for _, c := range o.Classes {
		s.Classifier.Classes = append(s.Classifier.Classes,
			runlog.ClassScore{Name: show.Valid(names[c.Class]), Items: c.Items, Right: c.Right, Right5: c.Right5})
	}
	for _, c := range o.Confusion {
		s.Classifier.Confusion = append(s.Classifier.Confusion, [3]int{c.Class, c.Predicted, c.Items})
	}
	return nil
}

// Tuned reports whether the run in a folder teaches an encoder classes.
func Tuned(folder string) (bool, error) {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("there is no run folder %s", show.Name(folder))
	}
	if err := runlog.CheckFolder(folder); err != nil {
		return false, err
	}
	c, err := recipe.ReadFile(filepath.Join(folder, runlog.ConfigFile))
	return c.Tune != nil, err
}

// Begun reports whether the folder that c names holds the run that c describes, to be gone
// on with. If it holds another run that is an error.
func Begun(c recipe.Config) (bool, error) {
	path := filepath.Join(c.Out, runlog.ConfigFile)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil // what else is there is found when the run begins
	}
	if err := runlog.CheckFolder(c.Out); err != nil {
		return false, err
	}
	there, err := recipe.ReadFile(path)
	if err != nil {
		return false, err
	}
	other := func(what string, has, asked any) error {
		return fmt.Errorf("%s holds a run of another %s, %v instead of %v; name another folder by --out, or move that one away", show.Name(c.Out), what, has, asked)
	}
	if there.Tune == nil {
		return false, fmt.Errorf("%s holds a run that teaches no classes; name another folder by --out", show.Name(c.Out))
	}
	if c.Init != nil {
		sum, err := sumOf(c.Init.Path)
		switch {
		case err != nil:
			return false, err
		case there.Init == nil:
			return false, other("beginning", "random weights", show.Name(c.Init.Path))
		case there.Init.Sum != "" && sum != there.Init.Sum:
			return false, other("encoder", "checksum "+there.Init.Sum, "the "+sum+" of "+show.Name(c.Init.Path))
		}
	}
	c.Data.Source = absolute(c.Data.Source)
	if file := dataset.LabelFile(c.Data.Labels); file != "" {
		c.Data.Labels = absolute(file)
	}
	for _, part := range []struct {
		what       string
		has, asked any
	}{
		{"data", show.Name(there.Data.Source), show.Name(c.Data.Source)},
		{"kind of labels", show.Name(there.Data.Labels), show.Name(c.Data.Labels)},
		{"limit", there.Data.Limit, c.Data.Limit}, {"holdout", there.Data.Holdout, c.Data.Holdout},
		{"protocol", there.Tune.Protocol, c.Tune.Protocol}, {"number of epochs", there.Epochs, c.Epochs},
		{"rate", there.Optimizer.BaseLR, c.Optimizer.BaseLR}, {"seed", there.Seed, c.Seed},
	} {
		if part.has != part.asked {
			return false, other(part.what, part.has, part.asked)
		}
	}
	return true, nil
}
