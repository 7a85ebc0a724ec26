package export

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/audio"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/pairs"
	"vicreg/internal/pretrained"
	"vicreg/internal/rng"
)

// example is a model of one kind.
type example struct {
	name    string
	encoder model.Config
	side    *pairs.Side // nil: images
	head    model.Head
	method  string
	mean    []float64
	std     []float64
}

var colour, spread = []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}

// thousands and hundreds are what the values of thirteen channels may have.
var thousands, hundreds = slices.Repeat([]float64{1200}, 13), slices.Repeat([]float64{350}, 13)

// examples are models of every kind of encoder, input and head.
func examples() []example {
	mel := audio.DefaultMelConfig()
	sequence := func(t, c int) model.Input { return model.Input{Kind: model.Sequences, Shape: []int{t, c}} }
	row := func(n int) model.Input { return model.Input{Kind: model.Numbers, Shape: []int{n}} }
	one, two := []float64{0.1}, []float64{0.2}
	return []example{
		{name: "resnet10 small", encoder: model.Config{Arch: "resnet10", Width: 6, Stem: "small", Input: model.ImageInput(18, 3)},
			head: model.Head{Widths: "16-12", Last: model.Plain}},
		{name: "resnet18 imagenet", encoder: model.Config{Arch: "resnet18", Width: 8, Stem: "imagenet", Input: model.ImageInput(45, 3)},
			head: model.Head{Widths: "16-12-9", Last: model.Affine}},
		{name: "resnet50 grey", encoder: model.Config{Arch: "resnet50", Width: 4, Stem: "imagenet", Input: model.ImageInput(40, 1)},
			head: model.Head{Widths: "7-5", NoNorm: true, Last: model.Bias}, mean: one, std: two},
		{name: "resnet50x2", encoder: model.Config{Arch: "resnet50x2", Width: 4, Stem: "small", Input: model.ImageInput(12, 3)},
			head: model.Head{Widths: "8", Last: model.Norm}},
		{name: "vit-tiny", encoder: model.Config{Arch: "vit-tiny", Blocks: 3, Patch: 8, Input: model.ImageInput(32, 3)},
			head: model.Head{Widths: "16-12", Last: model.Plain}},
		{name: "vit", encoder: model.Config{Arch: "vit", Dim: 24, Blocks: 2, Heads: 3, Patch: 4, Positions: "sincos",
			Input: model.ImageInput(16, 3)}, head: model.Head{Widths: "7", Last: model.Bias}, method: "supervised"},
		{name: "vit mean", encoder: model.Config{Arch: "vit", Dim: 24, Blocks: 2, Heads: 4, Patch: 8, Pool: "mean",
			Input: model.ImageInput(24, 1)}, mean: one, std: two},
		{name: "padded stem", encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "padded", Input: model.ImageInput(15, 3)}},
		{name: "classifier", encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "imagenet", Input: model.ImageInput(36, 3)},
			head: model.Head{Widths: "5", Last: model.Bias}, method: "supervised"},
		{name: "no expander", encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "small", Input: model.ImageInput(9, 3)}},
		{name: "thirteen channels", encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "small", Input: model.ImageInput(11, 13)},
			mean: thousands, std: hundreds},
		{name: "vit of thirteen channels", encoder: model.Config{Arch: "vit", Dim: 24, Blocks: 2, Heads: 4, Patch: 8,
			Input: model.ImageInput(16, 13)}, mean: thousands, std: hundreds},
		{name: "waveform", encoder: model.Config{Arch: "resnet1d-10", Width: 4, Stem: "large", Input: sequence(403, 1)},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "waveform", Columns: []string{"sound"}, Rate: 8000, Length: 403, Mean: one, Std: two}},
		{name: "series imagenet", encoder: model.Config{Arch: "resnet1d-18", Width: 5, Stem: "imagenet", Input: sequence(61, 2)},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "series", Columns: []string{"file"}, Channels: 2, Length: 61,
				Mean: []float64{1, -3}, Std: []float64{2, 5}}},
		{name: "series small", encoder: model.Config{Arch: "resnet1d-10", Width: 5, Stem: "small", Input: sequence(20, 3)},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "series", Columns: []string{"file"}, Channels: 3, Length: 20,
				Mean: []float64{1, -3, 0}, Std: []float64{2, 5, 1}}},
		{name: "spectrogram", encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "small",
			Input: model.Input{Kind: model.Images, Shape: []int{64, 21, 1}}},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "spectrogram", Columns: []string{"sound"}, Rate: 8000, Length: 21, Mel: &mel,
				Mean: []float64{-6}, Std: []float64{4}}},
		{name: "numeric", encoder: model.Config{Arch: "mlp", Width: 16, Input: row(5)},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "numeric", Columns: []string{"a", "b", "c"}, Incomplete: []string{"a", "c"},
				Mean: []float64{10, -2, 0.5}, Std: []float64{3, 1, 100}}},
		{name: "embedding", encoder: model.Config{Arch: "mlp", Width: 16, Input: row(4)},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "embedding", File: "e.npy", Width: 4, Mean: []float64{1, 2, 3, 4}, Std: []float64{1, 2, 3, 4}}},
		{name: "text", encoder: model.Config{Arch: "text", Input: model.Input{Kind: model.Texts, Shape: []int{24}}},
			head: model.Head{Widths: "9-8"},
			side: &pairs.Side{Type: "text", Columns: []string{"title"}, Length: 24}},
	}
}

// open saves the model with parameters of all sizes, and opens it.
func (e *example) open(t testing.TB) *pretrained.Model {
	t.Helper()
	meta := pretrained.Meta{Method: "vicreg", Encoder: e.encoder, Expander: e.head, Size: 1, Dataset: "made up", Side: e.side}
	if e.method != "" {
		meta.Method = e.method
	}
	if e.side == nil {
		meta.Size, meta.Mean, meta.Std = e.encoder.Input.Shape[0], colour, spread
		if e.mean != nil {
			meta.Mean, meta.Std = e.mean, e.std
		}
		meta.Raw = len(meta.Mean) > 3
	}
	r := rng.New(7)
	encoder, err := model.New(e.encoder, r)
	if err != nil {
		t.Fatal(err)
	}
	params := slices.Concat(encoder.Params(), encoder.Buffers())
	var expander *model.Expander
	if e.head.Widths != "" {
		if expander, err = model.NewHead(encoder.Dim(), e.head, r); err != nil {
			t.Fatal(err)
		}
		params = slices.Concat(params, expander.Params(), expander.Buffers())
	}
	vary(params, r.NormFloat64)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := pretrained.Save(path, meta, encoder, expander); err != nil {
		t.Fatal(err)
	}
	m, err := pretrained.Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// vary gives values to what starts as 0 or 1.
func vary(params []*nn.Param, normal func() float64) {
	for _, p := range params {
		switch {
		case strings.HasSuffix(p.Name, "running_var"):
			p.Draw(func() float64 { return 0.3 + math.Abs(normal()) })
		case strings.HasSuffix(p.Name, "running_mean"), strings.HasSuffix(p.Name, "bias"):
			p.Draw(func() float64 { return 0.2 * normal() })
		case strings.HasSuffix(p.Name, "num_batches_tracked"):
			p.SetNumber(12)
		case len(p.Shape) == 1:
			p.Draw(func() float64 { return 1 + 0.3*normal() })
		case p.Name == "cls_token":
			p.Draw(normal)
		}
	}
}
