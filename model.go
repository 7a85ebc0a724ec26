package vicreg

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/imagefile"
	"vicreg/internal/kernel"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// Model is a trained encoder with its expander, one branch of a run. Any number of
// goroutines may use it at once, as the handlers of a server do, and each gets the bits
// that it would get alone: images are decoded and resized side by side, and go through the
// network one batch at a time, each batch on all processors (see [SetThreads]). The model
// keeps its weights as products read them, and the memory of the largest batch so far.
type Model struct{ file *pretrained.Model }

// Info describes a model.
type Info struct {
	Path       string // of its file
	Method     string
	Arch       string
	Width      int
	Stem       string
	Channels   int // 1 grey, 3 colour; 0 of what is no image
	Size       int // pixels, width and height of an input
	Features   int // width of a representation
	Embedding  int // width of an embedding
	Expander   string
	Parameters int // of the encoder
	Mean, Std  []float64
	Dataset    string
	Images     int // trained on
	Epochs     int
	Seed       uint64
}

// Open loads the model of a run's folder or a model.safetensors file.
func Open(path string) (*Model, error) { return OpenBranch(path, "a") }

// OpenBranch is Open for branch "a" or "b" of a run whose branches have weights
// of their own.
func OpenBranch(path, branch string) (*Model, error) {
	i := slices.Index([]string{"a", "b"}, branch)
	if i < 0 {
		return nil, fmt.Errorf("unknown branch %q; known: a, b", branch)
	}
	file, err := pretrained.Open(path, i)
	if err != nil {
		return nil, err
	}
	return &Model{file}, nil
}

// Info describes the model.
func (m *Model) Info() Info {
	f := m.file
	e := f.Meta.Encoder
	return Info{Path: f.Path, Method: f.Method, Arch: e.Arch, Width: e.Width, Stem: e.Stem, Channels: f.Channels(), Size: f.Size,
		Features: f.Encoder.Dim(), Embedding: f.Expander.Dim(), Expander: f.Meta.Expander.Widths, Parameters: model.Count(f.Encoder.Params()),
		Mean: f.Mean, Std: f.Std, Dataset: f.Dataset, Images: f.Images, Epochs: f.Epochs, Seed: f.Seed}
}

// notes are those of the model and of the data it works on.
func (m *Model) notes(data []string) []string { return slices.Concat(m.file.Notes, data) }

// source returns a data set's images as the model takes them, without those
// that cannot be read, and what is wrong with these; all counts the bad of all
// parts.
func (m *Model) source(ctx context.Context, d *dataset.Dataset, limits Data, workers int, all *batch.Tally, part string) (*batch.Source, []string, error) {
	s := batch.NewSource(d, batch.SourceOptions{Channels: m.file.Channels(), Limits: imagefile.Limits{Pixels: limits.Pixels()}, Most: limits.MaxBad})
	found, err := s.Scan(ctx, batch.ScanOptions{Workers: workers, Tally: all, Part: part})
	if err != nil {
		return nil, nil, err
	}
	var bad []string
	for _, b := range found.Bad {
		bad = append(bad, b.Err.Error())
	}
	return s, bad, nil
}

// Embed returns the representation of each image, Info.Features values, resized and
// centre-cropped as the model expects. Images of any size and colour will do; an empty
// one is an error, as is a model of pairs (see [Model.EmbedPairs]).
//
// An image alone gives the same bits at every call. In company the last bits may differ,
// as products sum in another order. When ctx ends, Embed returns its error, after the
// batch under way at the latest.
func (m *Model) Embed(ctx context.Context, images ...image.Image) ([][]float32, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	d := &dataset.Dataset{Name: "images"}
	for i, im := range images {
		if im.Bounds().Empty() {
			return nil, fmt.Errorf("image %d is empty", i)
		}
		d.Items = append(d.Items, dataset.Item{Name: fmt.Sprint(i), Label: -1, Image: imagefile.From(im)})
	}
	switch len(images) {
	case 0:
		return nil, nil
	case 1:
		x, err := m.file.Image(ctx, d.Items[0].Image)
		if err != nil {
			return nil, err
		}
		return [][]float32{x}, nil
	}
	s := batch.NewSource(d, batch.SourceOptions{Channels: m.file.Channels()})
	e := m.file.Embedder(0, 0)
	x, err := e.Embed(ctx, e.Images(s, nil))
	if err != nil {
		return nil, err
	}
	return split(x, e.Dim()), nil
}

// split cuts n × d values into rows.
func split(x []float32, d int) [][]float32 {
	out := make([][]float32, len(x)/d)
	for i := range out {
		out[i] = x[i*d : (i+1)*d : (i+1)*d]
	}
	return out
}

// Embeddings are the features of a data set's images, without the bad ones.
type Embeddings struct {
	Features [][]float32 // image × feature
	Names    []string
	Labels   []int // -1: none
	Classes  []string
	Bad      []string // images that could not be read, each with its reason
	Notes    []string // what of the data was left out or guessed, a sentence each
}

// EmbedOptions say what EmbedData computes and how.
type EmbedOptions struct {
	Layer     string // representation (the default) or embedding
	Batch     int    // images at once; 0: from 16 to 256, as their size is
	Precision string // of products in the encoder: float32 (the default) or bf16, see Config
	Workers   int    // goroutines that decode; 0: one for each processor
	Progress  func(done, total int)
}

// EmbedData embeds every image of a data set, labelled or not; of one with parts,
// those of the training part first.
func (m *Model) EmbedData(ctx context.Context, d Data, o EmbedOptions) (*Embeddings, error) {
	return m.embed(ctx, o, d, func() (*dataset.Dataset, error) {
		return dataset.OpenAll(d.Source, dataset.Options{Labels: d.Labels})
	})
}

// EmbedFiles embeds the images that paths name: files, and all images of folders.
// Of d they follow the limits.
func (m *Model) EmbedFiles(ctx context.Context, paths []string, d Data, o EmbedOptions) (*Embeddings, error) {
	return m.embed(ctx, o, d, func() (*dataset.Dataset, error) { return dataset.OpenPaths(paths) })
}

// embed embeds the images that open lists, within the limits of d.
func (m *Model) embed(ctx context.Context, o EmbedOptions, d Data, open func() (*dataset.Dataset, error)) (*Embeddings, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	e, err := m.embedder(o)
	if err != nil {
		return nil, err
	}
	all, err := open()
	if err != nil {
		return nil, err
	}
	all.Limit(d.Limit)
	s, bad, err := m.source(ctx, all, d, o.Workers, nil, "")
	if err != nil {
		return nil, err
	}
	x, err := e.Embed(ctx, e.Images(s, nil))
	if err != nil {
		return nil, err
	}
	out := &Embeddings{Features: split(x, e.Dim()), Labels: all.Labels(), Classes: all.Classes, Bad: bad, Notes: m.notes(all.Notes)}
	for _, item := range all.Items {
		out.Names = append(out.Names, item.Name)
	}
	return out, nil
}

// embedder returns the model at work as o says.
func (m *Model) embedder(o EmbedOptions) (*pretrained.Embedder, error) {
	e := m.file.Embedder(o.Batch, o.Workers)
	e.Progress = o.Progress
	switch o.Layer {
	case "", "representation":
	case "embedding":
		e.Expander = m.file.Expander
	default:
		return nil, fmt.Errorf("unknown layer %q; known: representation, embedding", o.Layer)
	}
	var err error
	e.Precision, err = kernel.ParsePrecision(o.Precision)
	return e, err
}

// Scores are shares of a scoring set that are right, from 0 to 1.
type Scores struct {
	Dataset          string
	Train, Test      int // images
	Classes          int // in the part it was fitted on
	ByClass          []ClassCount
	KNN              float64
	Linear           float64
	RandomInitKNN    float64
	RandomInitLinear float64
	Raw              *RawScores // if they were asked for
	Below            string     // that the untrained encoder is better, and the likely reason; empty if it is not
	Bad              []string
	Notes            []string // what of the data was left out or guessed, a sentence each
}

// ClassCount says how many images, or rows of pairs, of a class were fitted on and
// scored.
type ClassCount struct {
	Name        string
	Train, Test int
}

// RawScores are those of the values that the encoder reads, without an encoder.
type RawScores struct{ KNN, Linear float64 }

// EvalOptions say how Evaluate scores.
type EvalOptions struct {
	Raw         bool    // score the input values themselves, too
	K           int     // neighbours; 0: 20
	Temperature float64 // 0: 0.07
	Limit       int     // images of each part at most, spread evenly; 0: all
	Workers     int     // goroutines that decode; 0: one for each processor
	Progress    func(what string)
}

// Evaluate scores the frozen encoder on labelled images, and the same encoder
// untrained: k nearest neighbours and a linear probe, fitted on the train part
// of d and scored on its test part or on a share held out.
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
			return nil, errors.New("scoring needs labels, but labels is none")
		}
		if train.Classes != nil && d.Holdout > 0 {
			return nil, fmt.Errorf("%s has no test set, and every class has one image, so none can be held out to score on; scoring needs two or more of a class", d.Source)
		}
		if train.Classes != nil {
			return nil, fmt.Errorf("%s has no test set and holdout is 0, so nothing is left to score on", d.Source)
		}
		why := ""
		if len(train.Notes) > 0 {
			why = " (" + strings.Join(train.Notes, "; ") + ")"
		}
		return nil, fmt.Errorf("%s has no labels, which scoring needs: put the images of each class into a folder of its own, or name a file of paths and labels (--labels labels.csv)%s", d.Source, why)
	}
	train.KeepLabelled()
	train.Limit(d.Limit)
	train.Limit(o.Limit)
	test.Limit(o.Limit)
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	o.Progress("looking at the images")
	all := &batch.Tally{Total: len(train.Items) + len(test.Items), Most: d.MaxBad}
	fit, bad, err := m.source(ctx, train, d, o.Workers, all, "images to fit on")
	if err != nil {
		return nil, err
	}
	held, badTest, err := m.source(ctx, test, d, o.Workers, all, "images to score on")
	if err != nil {
		return nil, err
	}
	untrained, err := m.file.Untrained()
	if err != nil {
		return nil, err
	}
	e := m.file.Embedder(0, o.Workers)
	s, err := score(ctx, e, untrained, train.Name, e.Images(fit, nil), e.Images(held, nil), o, append(bad, badTest...), m.notes(train.Notes))
	return s, m.judge(s, train.Classes, fit.Data().Labels(), held.Data().Labels(), err)
}

// judge adds to scores how many there are of each class, and what to think of
// them. It returns err.
func (m *Model) judge(s *Scores, classes []string, fit, held []int, err error) error {
	if err != nil {
		return err
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
	s.Below = eval.BelowUntrained(eval.Scores{KNN: s.KNN, Linear: s.Linear}, eval.Scores{KNN: s.RandomInitKNN, Linear: s.RandomInitLinear}, m.training())
	return nil
}

// training is how the model came to be, as far as its file and its run's folder
// tell.
func (m *Model) training() eval.Training {
	f := m.file
	t := eval.Training{Method: f.Method, Images: f.Images, Steps: f.Steps}
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
func score(ctx context.Context, e *pretrained.Embedder, untrained model.Encoder, name string, fit, held pretrained.Input, o EvalOptions, bad, notes []string) (*Scores, error) {
	phase, tell := "", counted(o.Progress)
	e.Progress = func(done, total int) { tell(phase, done, total) }
	how := eval.Options{K: o.K, Temperature: o.Temperature, Progress: tell}
	s, err := e.Score(ctx, untrained, fit, held, how, func(what string) {
		phase = what
		o.Progress(what)
	})
	if err != nil {
		return nil, err
	}
	if s.Trained.Note != "" { // the untrained encoder is scored in the same way
		notes = append(notes, s.Trained.Note)
	}
	all := &Scores{Dataset: name, Train: s.Trained.Train, Test: s.Trained.Test, Classes: s.Trained.Classes,
		KNN: s.Trained.KNN, Linear: s.Trained.Linear, RandomInitKNN: s.Untrained.KNN, RandomInitLinear: s.Untrained.Linear, Bad: bad, Notes: notes}
	if o.Raw {
		o.Progress("scoring the input values")
		raw, err := pretrained.Raw(ctx, fit, held, how)
		if err != nil {
			return nil, err
		}
		all.Raw = &RawScores{raw.KNN, raw.Linear}
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
