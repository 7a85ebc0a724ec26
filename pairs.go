package vicreg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"vicreg/internal/pairs"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// PairData says which rows of which manifest to take. What is left empty is as
// in the run.
type PairData struct {
	Manifest  string   // CSV, TSV or JSON, with the columns that the run's had; empty: the run's
	Label     string   // column of classes, which scoring needs
	Split     string   // column that says train, test or val
	Holdout   *float64 // share kept for scoring where there is no split column, from 0 to below 1
	Limit     int      // take this many training rows, spread evenly; 0: as the run, or all
	MaxPixels float64  // most pixels of an image, in millions; 0: as the run, or 100
	MaxBad    *float64 // share of rows that may be unusable, from 0 to below 1; nil: as the run, or 0.1
}

// Retrieved is how well pairs find each other, and which were not asked.
type Retrieved struct {
	Retrieval          // both ways
	Bad       []string // rows that could not be used
	Notes     []string // what of the data is not used, and what was guessed of it, a sentence each
}

// Paired reports whether the model reads a side of pairs instead of images, and
// which, as type=column. Such a model has EmbedPairs and EvaluatePairs; others have Embed,
// EmbedData, EmbedFiles and Evaluate.
func (m *Model) Paired() (side string, ok bool) {
	if m.file.Side == nil {
		return "", false
	}
	return m.file.Side.String(), true
}

// errImages says that a model is not one of images.
func (m *Model) errImages() error {
	if side, ok := m.Paired(); ok {
		return fmt.Errorf("%s was trained on pairs and reads %s, not images; name a manifest (--pairs)", m.file.Path, side)
	}
	return nil
}

// rows are what a model's side is taken of.
type rows struct {
	train, test *pairs.Source // test is nil if nothing is held out
	side        int           // the model's
	name        string
	bad, notes  []string
}

// purpose is what rows are for.
type purpose int

const (
	toEmbed    purpose = iota // the model's side of all
	toScore                   // the model's side of those trained on and of those held out
	toRetrieve                // both sides of those held out
)

// sameFile reports whether two paths are one or lead to one file.
func sameFile(a, b string) bool {
	is, err := os.Stat(a)
	other, err2 := os.Stat(b)
	return a == b || err == nil && err2 == nil && os.SameFile(is, other)
}

// open reads the rows that d names. What the run held out of its own manifest is
// held out again.
func (m *Model) open(ctx context.Context, d PairData, to purpose, workers int) (*rows, error) {
	if m.file.Side == nil {
		return nil, fmt.Errorf("%s was trained on images, not on pairs", m.file.Path)
	}
	o := pairs.Options{Label: d.Label, Split: d.Split, Limit: d.Limit}
	sides, r := []pairs.Side{*m.file.Side}, &rows{}
	c, err := recipe.ReadFile(filepath.Join(filepath.Dir(m.file.Path), runlog.ConfigFile))
	switch {
	case err == nil && c.Pairs != nil:
		d.Manifest = cmp.Or(d.Manifest, c.Data.Source)
		d.MaxPixels, d.MaxBad = cmp.Or(d.MaxPixels, c.Data.MaxPixels), cmp.Or(d.MaxBad, c.Data.MaxBad)
		own := sameFile(d.Manifest, c.Data.Source)
		if own {
			o.Label, o.Split = cmp.Or(d.Label, c.Pairs.Label), cmp.Or(d.Split, c.Pairs.Split)
			o.Holdout, o.Limit = c.Data.Holdout, cmp.Or(d.Limit, c.Data.Limit)
		} else if to == toScore {
			o.Holdout = c.Data.Holdout
		}
		if to == toRetrieve || to == toScore && own { // rows of the same file are held out together
			sides, r.side = c.Sides(), m.file.Branch
		}
	case to == toRetrieve || d.Manifest == "":
		if err == nil || errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%s lies in no folder of a run on pairs, so the other side and the manifest are not known",
				m.file.Path)
		}
		return nil, err
	}
	if d.Holdout != nil {
		o.Holdout = *d.Holdout
	}
	if to == toEmbed {
		o.Split, o.Holdout, o.Limit, o.All = "", 0, d.Limit, true
	}
	o.Images, o.Most = Data{MaxPixels: d.MaxPixels, Bands: m.file.Bands}.limits(), d.MaxBad
	train, test, err := pairs.Open(d.Manifest, sides, o)
	if err != nil {
		return nil, err
	}
	r.name, r.notes = train.Name, train.Notes
	parts := pairs.NewParts(train, test)
	for _, part := range []struct {
		name string
		data *pairs.Data
		to   **pairs.Source
	}{{"rows to train on", train, &r.train}, {"rows to score on", test, &r.test}} {
		if part.data == nil {
			continue
		}
		if test == nil {
			part.name = ""
		}
		s := pairs.NewSource(part.data, sides, 0)
		found, err := s.Scan(ctx, pairs.ScanOptions{Workers: workers, Parts: parts, Part: part.name})
		if err != nil {
			return nil, err
		}
		r.notes = append(r.notes, found.Notes...)
		for _, b := range found.Bad {
			r.bad = append(r.bad, b.Err.Error())
		}
		*part.to = s
	}
	return r, nil
}

// EmbedPairs embeds the model's side of every row, in the manifest's order, without the
// rows that cannot be used, which Embeddings.Bad names. A model of images, an unknown layer
// or precision, and more bad rows than may be are errors.
func (m *Model) EmbedPairs(ctx context.Context, d PairData, o EmbedOptions) (*Embeddings, error) {
	e, err := m.embedder(o)
	if err != nil {
		return nil, err
	}
	r, err := m.open(ctx, d, toEmbed, o.Workers)
	if err != nil {
		return nil, err
	}
	in := e.Pairs(r.train, r.side, nil)
	x, err := e.Embed(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &Embeddings{
		Features: split(x, e.Dim()), Labels: in.Labels, Classes: r.train.Data().Classes, Bad: r.bad,
		Notes: m.notes(r.notes),
	}
	for i := range in.Items {
		out.Names = append(out.Names, r.train.Data().ItemName(i, r.side))
	}
	return out, nil
}

// EvaluatePairs is [Model.Evaluate] on the model's side of labelled rows: fitted on the
// rows that the run trained on and scored on those it held out, or on the parts of another
// manifest. Rows without labels, and none to score on, are errors.
func (m *Model) EvaluatePairs(ctx context.Context, d PairData, o EvalOptions) (*Scores, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.Progress("looking at the pairs")
	r, err := m.open(ctx, d, toScore, o.Workers)
	switch {
	case err != nil:
		return nil, err
	case r.train.Data().Classes == nil:
		return nil, fmt.Errorf("%s: %w: name the column of classes (--label)", r.name, ErrNoLabels)
	case r.test == nil:
		return nil, fmt.Errorf("%s has no rows to score on: name a column that says train or test (--split), "+
			"or hold out a share (--holdout)", r.name)
	}
	e, untrained, err := m.both(o)
	if err != nil {
		return nil, err
	}
	fit, held := e.Pairs(r.train, r.side, some(r.train, o.Limit)), e.Pairs(r.test, r.side, some(r.test, o.Limit))
	s, err := score(ctx, e, untrained, r.name, fit, held, o, r.bad, m.notes(r.notes))
	return s, m.judge(s, r.train.Data().Classes, fit.Labels, held.Labels, err)
}

// some returns the indices of at most so many rows of a source, spread evenly;
// of 0, of all.
func some(s *pairs.Source, most int) []int {
	n := len(s.Data().Rows)
	if most <= 0 || most >= n {
		return nil
	}
	items := make([]int, most)
	for i := range items {
		items[i] = i * n / most
	}
	return items
}

// Retrieve tells how well the rows held out of a run on pairs, the one in folder, find
// their partners by the cosine of embeddings; of a manifest of which none are held out, all
// rows. Of o only Workers, Device and Progress count.
func Retrieve(ctx context.Context, folder string, d PairData, o EvalOptions) (*Retrieved, error) {
	a, err := Open(folder)
	if err != nil {
		return nil, err
	}
	own := filepath.Dir(a.file.Path)
	b, err := OpenBranch(own, "b")
	if _, missing := os.Stat(filepath.Join(own, runlog.ModelFiles[1])); errors.Is(missing, os.ErrNotExist) {
		b, err = a, nil // both sides went through the same weights
	}
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.Progress("looking at the pairs")
	r, err := a.open(ctx, d, toRetrieve, o.Workers)
	if err != nil {
		return nil, err
	}
	source := r.test
	if source == nil {
		source = r.train
	}
	items := make([]int, len(source.Data().Rows))
	for i := range items {
		items[i] = i
	}
	var sides [2]*pretrained.Embedder
	for i, m := range []*Model{a, b} {
		if err := m.errEmbedding(); err != nil {
			return nil, err
		}
		on, err := m.On(o.Device)
		if err != nil {
			return nil, err
		}
		sides[i] = on.file.Embedder(0, o.Workers)
		sides[i].Expander = on.file.Expander
	}
	o.Progress("retrieval")
	found, err := pretrained.Retrieve(ctx, sides, source, items)
	if err != nil {
		return nil, err
	}
	return &Retrieved{Retrieval: outer[Retrieval](*found), Bad: r.bad, Notes: r.notes}, nil
}
