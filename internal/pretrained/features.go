package pretrained

import (
	"context"
	"errors"
	"io"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/model"
	"vicreg/internal/nn"
)

// Embedder turns images into features, by running statistics.
type Embedder struct {
	Encoder  model.Encoder
	Expander *model.Expander // nil: representations, else embeddings

	Size      int // pixels, width and height of an input
	Mean, Std []float64
	Batch     int // images at once
	Workers   int // that decode; 0: as package batch chooses
	Progress  func(done, total int)

	arena *nn.Arena
}

// Dim returns the width of a feature vector.
func (e *Embedder) Dim() int {
	if e.Expander != nil {
		return e.Expander.Dim()
	}
	return e.Encoder.Dim()
}

// Embed returns the features of the images that items lists (nil: all of the
// source), len(items) × Dim.
func (e *Embedder) Embed(ctx context.Context, s *batch.Source, items []int) ([]float32, error) {
	n := len(items)
	if items == nil {
		n = len(s.Data().Items)
	}
	loader := s.Plain(batch.PlainConfig{Items: items, Size: e.Size, Batch: e.Batch, Mean: e.Mean, Std: e.Std, Workers: e.Workers})
	defer loader.Close()
	defer context.AfterFunc(ctx, loader.Close)()
	if e.arena == nil {
		e.arena = new(nn.Arena)
	}
	pass := nn.NewPass(e.arena, false)
	defer pass.Reset()
	features := make([]float32, 0, n*e.Dim())
	for {
		b, err := loader.Next()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			return features, nil
		}
		if err != nil {
			return nil, err
		}
		pass.Reset()
		y := e.Encoder.Forward(pass, b.Views[0])
		if e.Expander != nil {
			y = e.Expander.Forward(pass, y)
		}
		features = append(features, y.Data...)
		if e.Progress != nil {
			e.Progress(len(features)/e.Dim(), n)
		}
	}
}

// Set returns the features and labels of some images.
func (e *Embedder) Set(ctx context.Context, images Images) (eval.Set, error) {
	x, err := e.Embed(ctx, images.Source, images.Items)
	return eval.Set{X: x, D: e.Dim(), Labels: labels(images.Source.Data(), images.Items)}, err
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

// Scores are those of an encoder and of the same one untrained.
type Scores struct{ Trained, Untrained eval.Scores }

// Images are those of a source that Items lists (nil: all).
type Images struct {
	Source *batch.Source
	Items  []int
}

// Score evaluates an encoder and the same one untrained, fitted on train and
// scored on test. It calls phase before each part of the work.
func (e *Embedder) Score(ctx context.Context, untrained model.Encoder, train, test Images, o eval.Options, phase func(string)) (Scores, error) {
	var s Scores
	for _, part := range []struct {
		what    string
		encoder model.Encoder
		to      *eval.Scores
	}{{"trained", e.Encoder, &s.Trained}, {"untrained", untrained, &s.Untrained}} {
		phase("embedding with the " + part.what + " encoder")
		one := *e
		one.Encoder, one.Expander = part.encoder, nil
		fit, err := one.Set(ctx, train)
		if err != nil {
			return s, err
		}
		held, err := one.Set(ctx, test)
		if err != nil {
			return s, err
		}
		phase("scoring the " + part.what + " encoder")
		if *part.to, err = eval.Evaluate(fit, held, o); err != nil {
			return s, err
		}
		if err := ctx.Err(); err != nil {
			return s, err
		}
	}
	return s, nil
}
