package vicreg

import (
	"context"
	"fmt"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/pretrained"
	"vicreg/internal/show"
)

// MultilabelScores say how well a linear support vector machine a class tells whether an
// image has the class.
type MultilabelScores struct {
	Dataset         string           // name of the data
	Train, Test     int              // images that were fitted and scored on
	MAP             float64          // mean of ByClass.AP, from 0 to 1
	MAP11           float64          // mean of ByClass.AP11
	RandomInitMAP   float64          // of the untrained encoder
	RandomInitMAP11 float64          // of the untrained encoder
	ByClass         []ClassPrecision // of those that can be scored
	LeftOut         []string         // classes that cannot be, each with the reason
	Bad             []string         // images that could not be used, each with its reason
	Notes           []string         // what of the data was left out or guessed, a sentence each
}

// ClassPrecision is how well images are ranked by whether they have a class.
type ClassPrecision struct {
	Name         string  // of the class
	AP           float64 // area under the curve of precision over recall, precision as at the best higher recall
	AP11         float64 // mean precision of that curve at the recalls 0, 0.1 … 1, as in VOC 2007
	RandomInitAP float64 // AP of the untrained encoder
	Cost         float64 // C, chosen by cross-validation
	Train        int     // images fitted on that have the class
	Test         int     // images scored on that have it
	Scored       int     // images scored on
	Settled      bool    // the machine's minimum was found
}

// EvaluateMultilabel scores the frozen encoder on images of which each may be of several
// classes, as d.Labels, a file, tells, and the same encoder untrained: a linear support
// vector machine a class, as VISSL fits them on VOC 2007. Of o only Limit, Workers, Device
// and Progress count. When ctx ends it returns ctx's error.
func (m *Model) EvaluateMultilabel(ctx context.Context, d Data, o EvalOptions) (*MultilabelScores, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	train, test, err := dataset.Open(d.Source, dataset.Options{Labels: d.Labels, Holdout: d.Holdout, Several: true})
	if err != nil {
		return nil, err
	}
	if test == nil {
		return nil, dataset.Because(fmt.Errorf("%s has no images to score on: write train or test into a column split of %s, or hold out a "+
			"share (--holdout)", d.Source, d.Labels), train.Notes)
	}
	fit, held, bad, err := m.sources(ctx, train, test, d, &o)
	if err != nil {
		return nil, err
	}
	e, untrained, err := m.both(o)
	if err != nil {
		return nil, err
	}
	phase, tell := "", counted(o.Progress)
	e.Progress = func(done, total int) { tell(phase, done, total) }
	classes := len(train.Classes)
	s, err := e.Machines(ctx, untrained, marked(e, fit, train), marked(e, held, train), classes,
		eval.Options{Progress: tell}, func(what string) {
			phase = what
			o.Progress(what)
		})
	if err != nil {
		return nil, err
	}
	out := &MultilabelScores{Dataset: train.Name, Train: len(fit.Data().Items), Test: len(held.Data().Items),
		MAP: s[0].MAP, MAP11: s[0].MAP11, RandomInitMAP: s[1].MAP, RandomInitMAP11: s[1].MAP11,
		Bad: bad, Notes: m.notes(train.Notes)}
	for i, c := range s[0].Classes {
		out.ByClass = append(out.ByClass, ClassPrecision{Name: train.Classes[c.Class], AP: c.AP, AP11: c.AP11,
			RandomInitAP: s[1].Classes[i].AP, Cost: c.Cost, Train: c.Train, Test: c.Test, Scored: c.Scored,
			Settled: c.Settled})
	}
	for _, c := range s[0].Left {
		out.LeftOut = append(out.LeftOut, fmt.Sprintf("%s: %s", show.Name(train.Classes[c.Class]), c.Why))
	}
	return out, nil
}

// sources makes sources of the images to fit and to score on, those that are wanted and
// can be read.
func (m *Model) sources(ctx context.Context, train, test *dataset.Dataset, d Data, o *EvalOptions) (
	fit, held *batch.Source, bad []string, err error) {
	train.KeepLabelled()
	train.Limit(d.Limit)
	train.Limit(o.Limit)
	test.Limit(o.Limit)
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.Progress("looking at the images")
	all := &batch.Tally{Total: len(train.Items) + len(test.Items), Most: d.MaxBad}
	fit, bad, err = m.source(ctx, train, d, o.Workers, all, "images to fit on")
	if err != nil {
		return nil, nil, nil, err
	}
	held, more, err := m.source(ctx, test, d, o.Workers, all, "images to score on")
	return fit, held, append(bad, more...), err
}

// marked are the images of a source with their marks, which a data set has.
func marked(e *pretrained.Embedder, s *batch.Source, d *dataset.Dataset) pretrained.Marked {
	in := pretrained.Marked{Input: e.Images(s, nil)}
	for _, item := range s.Data().Items {
		in.Marks = append(in.Marks, d.Marks[item.Name]...)
	}
	return in
}
