package vicreg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// Scores are shares of a scoring set that are right, from 0 to 1.
type Scores struct {
	Dataset          string       // name of the data
	Train, Test      int          // images, or rows, that were fitted and scored on
	Classes          int          // in the part it was fitted on
	ByClass          []ClassCount // how many of each, as far as there are any
	KNN              float64      // by a vote of the nearest neighbours, by cosine
	Linear           float64      // by a linear probe
	RandomInitKNN    float64      // of the untrained encoder
	RandomInitLinear float64      // of the untrained encoder
	Neighbours       []KScores    // by each of EvalOptions.Ks; the first has KNN
	Probe            Outcome      // of the linear probe
	RandomInitProbe  Outcome      // of the untrained encoder's
	Raw              *RawScores   // if they were asked for
	Below            string       // that the untrained encoder is better, and the likely reason; empty if it is not
	Bad              []string     // images, or rows, that could not be used, each with its reason
	Notes            []string     // what of the data was left out or guessed, a sentence each
}

// ClassCount says how many images, or rows of pairs, of a class were fitted on and
// scored.
type ClassCount struct {
	Name  string // of the class
	Train int    // fitted on
	Test  int    // scored on
}

// KScores are what a number of neighbours get right, see [Outcome].
type KScores struct {
	K         int     // neighbours that vote
	Trained   Outcome // of the encoder's features
	Untrained Outcome // of those of the untrained encoder
}

// RawScores are those of the values that the encoder reads, without an encoder.
type RawScores struct {
	KNN    float64   // by a vote of the nearest neighbours, by cosine
	Linear float64   // by a linear probe
	Votes  []Outcome // of each of EvalOptions.Ks; the first has KNN
	Probe  Outcome   // of the linear probe
}

// Outcome is what a classifier got right.
type Outcome struct {
	Items   int            // that have a label
	Top1    float64        // share whose class is ranked first
	Top5    *float64       // share whose class is among the first five; nil with 5 classes or fewer
	Outside int            // items of classes without a number that it was not fitted on; all wrong
	Classes []ClassOutcome // that it was fitted on, or that have items, in order

	// Confusion counts items by class and predicted class, in order, without pairs that
	// did not occur.
	Confusion []Confused
}

// ClassOutcome is what a classifier got right of a class.
type ClassOutcome struct {
	Class  int    // its number, which Confusion has too
	Name   string // of the class
	Items  int    // that were scored
	Right  int    // items whose class is ranked first
	Right5 int    // items whose class is among the first five
	Fitted bool   // the classifier was fitted on images of the class
}

// Confused counts items of a class that a classifier took for a class.
type Confused struct {
	Class     int // of the items; -2: one without a number
	Predicted int // the class that they were taken for
	Items     int // how many
}

// EvalOptions say how Evaluate and EvaluatePairs score. The zero value is what is usual.
type EvalOptions struct {
	Raw         bool    // score the values that the encoder reads, too
	K           int     // neighbours that vote; 0: 20
	Ks          []int   // several numbers of neighbours, each scored; empty: K alone
	Temperature float64 // of their votes; 0: 0.07
	Limit       int     // images of each part at most, spread evenly; 0: all
	Workers     int     // goroutines that decode; 0: one for each processor
	Images      int     // of Judge: images that are measured, spread evenly; 0: 256
	Views       int     // of Judge: views of each that are measured, an even number; 0: 2, and more of few images
	Device      string  // what the networks are computed on, as in WithDevice; empty: where the model is

	// Progress is told what goes on, and how far it is; may be nil.
	Progress func(what string)
}

// Evaluate scores the frozen encoder on labelled images, and the same encoder
// untrained: k nearest neighbours and a linear probe, fitted on the train part
// of d and scored on its test part or on a share held out (Data.Holdout). Data without
// labels is an error that matches ErrNoLabels, and so is data with nothing to score on
// another. When ctx ends it returns ctx's error.
func (m *Model) Evaluate(ctx context.Context, d Data, o EvalOptions) (*Scores, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	train, test, err := dataset.Open(d.Source, dataset.Options{Labels: d.Labels, Holdout: d.Holdout})
	if err != nil {
		return nil, err
	}
	if test == nil {
		if d.Labels == "none" {
			return nil, fmt.Errorf("%w, but labels is none", ErrNoLabels)
		}
		if train.Classes != nil && train.Parted {
			return nil, dataset.Because(fmt.Errorf("%s has nothing to score on: write test into some rows of column split, or leave that out", d.Source), train.Notes)
		}
		if train.Classes != nil && d.Holdout > 0 {
			return nil, fmt.Errorf("%s has no test set, and every class has one image, so none can be held out to score on; "+
				"scoring needs two or more of a class", d.Source)
		}
		if train.Classes != nil {
			return nil, fmt.Errorf("%s has no test set and holdout is 0, so nothing is left to score on", d.Source)
		}
		return nil, dataset.Because(unlabelled(fmt.Sprintf("%s has no labels, which scoring needs: put the images of each class into a folder "+
			"of its own, or name a file of paths and labels (--labels labels.csv)", d.Source)), train.Notes)
	}
	fit, held, bad, err := m.sources(ctx, train, test, d, &o)
	if err != nil {
		return nil, err
	}
	e, untrained, err := m.both(o)
	if err != nil {
		return nil, err
	}
	s, err := score(ctx, e, untrained, train.Name, e.Images(fit, nil), e.Images(held, nil), o, bad,
		m.notes(train.Notes))
	return s, m.judge(s, train.Classes, fit.Data().Labels(), held.Data().Labels(), err)
}

// both are the encoder at work on its device, and the same one untrained.
func (m *Model) both(o EvalOptions) (e *pretrained.Embedder, untrained model.Encoder, err error) {
	if untrained, err = m.file.Untrained(); err != nil {
		return nil, nil, err
	}
	on, err := m.On(o.Device)
	if err != nil {
		return nil, nil, err
	}
	return on.file.Embedder(0, o.Workers), untrained, nil
}

// judge adds to scores how many there are of each class, and what to think of
// them. It returns err.
func (m *Model) judge(s *Scores, classes []string, fit, held []int, err error) error {
	if err != nil {
		return err
	}
	for i := range s.Neighbours {
		s.Neighbours[i].Trained.name(classes)
		s.Neighbours[i].Untrained.name(classes)
	}
	s.Probe.name(classes)
	s.RandomInitProbe.name(classes)
	if s.Raw != nil {
		for i := range s.Raw.Votes {
			s.Raw.Votes[i].name(classes)
		}
		s.Raw.Probe.name(classes)
	}
	s.ByClass = make([]ClassCount, len(classes))
	for i, name := range classes {
		s.ByClass[i].Name = name
	}
	for _, l := range fit {
		if l >= 0 {
			s.ByClass[l].Train++
		}
	}
	for _, l := range held {
		if l >= 0 {
			s.ByClass[l].Test++
		}
	}
	s.ByClass = slices.DeleteFunc(s.ByClass, func(c ClassCount) bool { return c.Train+c.Test == 0 })
	trained := eval.Scores{KNN: s.KNN, Linear: s.Linear, Test: s.Test}
	untrained := eval.Scores{KNN: s.RandomInitKNN, Linear: s.RandomInitLinear}
	s.Below = eval.BelowUntrained(trained, untrained, m.training())
	return nil
}

// name writes the names of the classes into o.
func (o *Outcome) name(classes []string) {
	for i := range o.Classes {
		o.Classes[i].Name = classes[o.Classes[i].Class]
	}
}

// training is how the model came to be, as far as its file and its run's folder
// tell.
func (m *Model) training() eval.Training {
	f := m.file
	t := eval.Training{Method: f.Method, Images: f.Images, Steps: f.Steps, Taken: f.Source != nil && f.Steps == 0}
	if f.Step > 0 {
		t.Steps = f.Step
	}
	folder := filepath.Dir(f.Path)
	if c, err := recipe.ReadFile(filepath.Join(folder, runlog.ConfigFile)); err == nil {
		t.Batch, t.BaseRate = c.Batch, c.Optimizer.BaseLR
	}
	if s, err := runlog.ReadSummary(folder); err == nil {
		t.Collapsed, t.Steps = s.Collapsed, s.Steps
	}
	return t
}

// score evaluates an encoder, the same one untrained, and what they read if that
// is asked for.
func score(ctx context.Context, e *pretrained.Embedder, untrained model.Encoder, name string,
	fit, held pretrained.Input, o EvalOptions, bad, notes []string) (*Scores, error) {
	phase, tell := "", counted(o.Progress)
	e.Progress = func(done, total int) { tell(phase, done, total) }
	how := eval.Options{K: o.K, Temperature: o.Temperature, Progress: tell}
	if len(o.Ks) > 0 {
		how.K, how.Others = o.Ks[0], o.Ks[1:]
	}
	s, err := e.Score(ctx, untrained, fit, held, how, func(what string) {
		phase = what
		o.Progress(what)
	})
	if errors.As(err, new(eval.LabelError)) {
		err = dataset.Because(err, notes)
	}
	if err != nil {
		return nil, err
	}
	if s.Trained.Note != "" { // the untrained encoder is scored in the same way
		notes = append(notes, s.Trained.Note)
	}
	all := &Scores{Dataset: name, Train: s.Trained.Train, Test: s.Trained.Test, Classes: s.Trained.Classes,
		KNN: s.Trained.KNN, Linear: s.Trained.Linear, RandomInitKNN: s.Untrained.KNN,
		RandomInitLinear: s.Untrained.Linear,
		Bad:              bad, Notes: notes}
	all.Probe, all.RandomInitProbe = outer[Outcome](s.Trained.Probed), outer[Outcome](s.Untrained.Probed)
	for i, votes := range s.Trained.Votes {
		k := cmp.Or(how.K, 20)
		if i > 0 {
			k = how.Others[i-1]
		}
		all.Neighbours = append(all.Neighbours, KScores{k, outer[Outcome](votes), outer[Outcome](s.Untrained.Votes[i])})
	}
	if o.Raw {
		o.Progress("scoring the input values")
		raw, err := pretrained.Raw(ctx, fit, held, how)
		if err != nil {
			return nil, err
		}
		all.Raw = &RawScores{raw.KNN, raw.Linear, outer[[]Outcome](raw.Votes), outer[Outcome](raw.Probed)}
		if raw.Note != "" {
			all.Notes = append(all.Notes, "input values: "+raw.Note)
		}
	}
	return all, nil
}

// counted returns a function that tells progress, now and then, how far a part of
// the work is.
func counted(progress func(what string)) func(what string, done, total int) {
	var last time.Time
	return func(what string, done, total int) {
		if now := time.Now(); now.Sub(last) >= 100*time.Millisecond {
			last = now
			if total > 0 {
				what = fmt.Sprintf("%s: %d of %d", what, done, total)
			}
			progress(what)
		}
	}
}
