package pretrained

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/device"
	"vicreg/internal/eval"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/show"
)

// Embedder turns images into features, by running statistics. One goroutine uses it
// at a time; a [Model] gives any number of goroutines one each.
type Embedder struct {
	Encoder  model.Encoder
	Expander *model.Expander // nil: representations, else embeddings

	Size      int // pixels, width and height of an input
	Mean, Std []float64
	Resize    bool // images of that size are resized and cut like others
	Batch     int  // images at once
	Workers   int  // that decode; 0: as package batch chooses
	Progress  func(done, total int)

	// Measure makes Sight measure what it sees, and what Head makes of it: the expander of an
	// Embedder that has none, or nil.
	Measure bool
	Head    *model.Expander

	// Precision is the kind of numbers that products multiply. For an Embedder that no
	// Model made, the encoder's own counts.
	Precision shape.Precision

	// Arena lends the memory of activations to an Embedder that no Model made; nil: one of
	// its own.
	Arena *nn.Arena

	engine *engine    // the model's, or nil: the weights may change from call to call
	model  *Model     // or nil: its memory has been seen to
	heads  *[]float32 // what Head makes of features is appended to it; nil: nothing is made
}

// Dim returns the width of a feature vector.
func (e *Embedder) Dim() int {
	if e.Expander != nil {
		return e.Expander.Dim()
	}
	return e.Encoder.Dim()
}

// Input is what to embed: some items of a data set, as evaluation sees them.
type Input struct {
	Load   func(m batch.Memory) *batch.Loader // of one view; made anew each time they are embedded
	Items  int
	Labels []int // of each; -1: none
	Name   func(i int) string
}

// Images returns the images of a source that items lists (nil: all).
func (e *Embedder) Images(s *batch.Source, items []int) Input {
	in := Input{Labels: labels(s.Data(), items)}
	in.Items = len(in.Labels)
	in.Name = func(i int) string {
		if items != nil {
			i = items[i]
		}
		return s.Data().Items[i].Name
	}
	in.Load = func(m batch.Memory) *batch.Loader {
		return s.Plain(batch.PlainConfig{Items: items, Size: e.Size, Batch: e.Batch, Mean: e.Mean, Std: e.Std,
			Workers: e.Workers, Memory: m, Resize: e.Resize})
	}
	return in
}

// Embed returns the features of all items, Items × Dim. They are computed where the
// encoder is; a device that fails is an error.
func (e *Embedder) Embed(ctx context.Context, in Input) ([]float32, error) {
	features := make([]float32, 0, in.Items*e.Dim())
	err := e.each(ctx, in, func(x []float32) ([]float32, error) {
		features = x
		return features, nil
	}, features)
	if err != nil {
		return nil, err
	}
	return features, nil
}

// Stream is Embed batch by batch: it calls take with the features of the items from first
// on, which are take's until it returns.
func (e *Embedder) Stream(ctx context.Context, in Input, take func(first int, features []float32)) error {
	first := 0
	return e.each(ctx, in, func(x []float32) ([]float32, error) {
		take(first, x)
		first += len(x) / e.Dim()
		return x[:0], nil
	}, nil)
}

// each has take called after each batch with the features since the last call, appended to
// what that returned, at first to room.
func (e *Embedder) each(ctx context.Context, in Input, take func(features []float32) ([]float32, error),
	room []float32) (err error) {
	defer device.Catch(&err)
	if n := min(e.Batch, in.Items); e.model != nil && n > 0 {
		if err := e.model.fitsMemory(n); err != nil {
			return err
		}
	}
	memory, _ := model.DeviceOf(e.Encoder).(batch.Memory)
	loader := in.Load(memory)
	defer loader.Done()
	defer context.AfterFunc(ctx, loader.Close)()
	engine := e.engine
	if engine == nil {
		if d := model.DeviceOf(e.Encoder); e.Arena == nil || e.Arena.Device() != d {
			e.Arena = nn.NewArena(d)
		}
		engine = newEngine(e.Arena)
		defer engine.pass.Close()
	}
	for done := 0; ; {
		b, err := loader.Next()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		before := len(room)
		if room, err = engine.features(ctx, e, room, b.Views[0]); err != nil {
			return err
		}
		fresh := room[before:]
		if i, ok := notFinite(fresh); ok {
			return errNotFinite(in.Name(done+i/e.Dim()), i%e.Dim(), fresh[i])
		}
		done += len(fresh) / e.Dim()
		if room, err = take(room); err != nil {
			return err
		}
		if e.Progress != nil {
			e.Progress(done, in.Items)
		}
	}
}

// errNotFinite says that a feature of an item, counted from 0, is not a number.
func errNotFinite(item string, feature int, v float32) error {
	return fmt.Errorf("the features of %s are not finite (number %d is %v): its values are far outside those that "+
		"the encoder was trained on, or the encoder's weights are damaged", show.Name(item), feature+1, v)
}

// notFinite returns the place of the first value that is infinite or not a number.
func notFinite(x []float32) (int, bool) {
	for i, v := range x {
		if v-v != 0 {
			return i, true
		}
	}
	return 0, false
}

// Set returns the features and labels of all items.
func (e *Embedder) Set(ctx context.Context, in Input) (eval.Set, error) {
	x, err := e.Embed(ctx, in)
	return eval.Set{X: x, D: e.Dim(), Labels: in.Labels}, err
}

// stored is Set with the features in a file, and without items that have no label. The set
// is to be closed.
func (e *Embedder) stored(ctx context.Context, in Input) (eval.Set, error) {
	d := e.Dim()
	set := eval.Set{D: d}
	for _, l := range in.Labels {
		if l >= 0 {
			set.Labels = append(set.Labels, l)
		}
	}
	var err error
	if set.Stored, err = eval.NewStore(len(set.Labels), d); err != nil {
		return set, err
	}
	done := 0
	err = e.each(ctx, in, func(x []float32) ([]float32, error) {
		all := x[:0]
		for i := 0; i < len(x); i += d {
			if in.Labels[done] >= 0 {
				all = append(all, x[i:i+d]...)
			}
			done++
		}
		return x[:0], set.Stored.Add(all)
	}, nil)
	if err != nil {
		set.Close()
	}
	return set, err
}

func labels(d *dataset.Dataset, items []int) []int {
	if items == nil {
		return d.Labels()
	}
	l := make([]int, len(items))
	for i, item := range items {
		l[i] = d.Items[item].Label
	}
	return l
}

// Scores are the scores of an encoder and of the same one untrained.
type Scores struct{ Trained, Untrained eval.Scores }

// Score evaluates an encoder and the same one untrained, fitted on train and
// scored on test. It calls phase before each part of the work. On another device than the
// processor the untrained one is gone afterwards.
func (e *Embedder) Score(ctx context.Context, untrained model.Encoder, train, test Input, o eval.Options,
	phase func(string)) (Scores, error) {
	var s Scores
	other, free, err := e.Of(untrained)
	if err != nil {
		return s, err
	}
	defer free()
	store, note, err := e.keeps(train, test, o)
	if err != nil {
		return s, err
	}
	for _, part := range []struct {
		what string
		Embedder
		to *eval.Scores
	}{{"trained", *e, &s.Trained}, {"untrained", *other, &s.Untrained}} {
		phase("embedding with the " + part.what + " encoder")
		one := part.Embedder
		one.Expander = nil
		*part.to, err = one.score(ctx, store, train, test, o, func() { phase("scoring the " + part.what + " encoder") })
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return s, err
		}
		if note != "" {
			part.to.Note = strings.TrimPrefix(part.to.Note+"; "+note, "; ")
		}
	}
	return s, nil
}

// score evaluates the encoder, with the features that are fitted on in a file or not. It
// calls embedded before the scores.
func (e *Embedder) score(ctx context.Context, store bool, train, test Input, o eval.Options,
	embedded func()) (eval.Scores, error) {
	take := e.Set
	if store {
		take = e.stored
	}
	fit, err := take(ctx, train)
	if err != nil {
		return eval.Scores{}, err
	}
	defer fit.Close()
	held, err := e.Set(ctx, test)
	if err != nil {
		return eval.Scores{}, err
	}
	embedded()
	return eval.Evaluate(ctx, fit, held, o)
}

// Raw evaluates the values that an encoder reads, without one: pixels, samples, whatever
// evaluation makes of an item. If there are too many to keep, they are projected to
// fewer at random, and the scores' note says so.
func Raw(ctx context.Context, train, test Input, o eval.Options) (eval.Scores, error) {
	most := max(train.Items, test.Items)
	fit, note, err := train.values(ctx, most, o.Progress)
	if err != nil {
		return eval.Scores{}, err
	}
	held, _, err := test.values(ctx, most, o.Progress)
	if err != nil {
		return eval.Scores{}, err
	}
	s, err := eval.Evaluate(ctx, fit, held, o)
	if note != "" && s.Note != "" {
		note += "; "
	}
	s.Note = note + s.Note
	return s, err
}

// mostRaw is how many values Raw keeps of a part as they are: 512 MiB of them.
// Tests make it small.
var mostRaw = 1 << 27

// values returns what is read, Items × values of one item. If those of most items are
// too many to keep, they are projected, and a note says so.
func (in Input) values(ctx context.Context, most int, progress func(what string, done, total int)) (set eval.Set,
	note string, err error) {
	loader := in.Load(nil)
	defer loader.Close()
	defer context.AfterFunc(ctx, loader.Close)()
	set.Labels = in.Labels
	var projection *eval.Projection
	for {
		b, err := loader.Next()
		if ctx.Err() != nil {
			return set, "", ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return set, note, nil
		}
		if err != nil {
			return set, "", err
		}
		x := b.Views[0]
		if set.X == nil {
			set.D = len(x.Data) / x.Shape[0]
			if width := max(64, min(4096, 2*mostRaw/most)); most > mostRaw/set.D && width < set.D {
				note = fmt.Sprintf("%d values of each of %d items are projected to %d at random", set.D, most, width)
				projection = eval.NewProjection(set.D, width)
				set.D = width
			}
			set.X = make([]float32, 0, in.Items*set.D)
		}
		if i, ok := notFinite(x.Data); ok {
			width := len(x.Data) / x.Shape[0]
			return set, "", fmt.Errorf("the values of %s are not finite (number %d is %v)", show.Name(in.Name(len(set.X)/set.D+i/width)), i%width+1, x.Data[i])
		}
		if projection != nil {
			set.X = projection.Apply(set.X, x.Data)
		} else {
			set.X = append(set.X, x.Data...)
		}
		if progress != nil {
			progress("reading the input values", len(set.X)/set.D, in.Items)
		}
	}
}
