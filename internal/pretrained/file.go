// Package pretrained reads and writes model.safetensors, what is left of a run
// for use: the encoder under torchvision's names and in its layout, the expander
// under expander.*, and in the metadata all that is needed to feed images to it.
package pretrained

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/pairs"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// Meta is what a model's file says beside its arrays.
type Meta struct {
	Method    string
	Encoder   model.Config
	Branch    int // 0, or 1 for the second of two
	Expander  model.Head
	Size      int // pixels, width and height of an input
	Mean, Std []float64
	Side      *pairs.Side // what it reads of pairs; nil of images
	Dataset   string
	Images    int // trained on
	Epochs    int
	Seed      uint64
}

// Model is an encoder and its expander, ready for inference.
type Model struct {
	Meta
	Path     string
	Encoder  model.Encoder
	Expander *model.Expander
}

const (
	format         = "vicreg model 2"
	firstFormat    = "vicreg model 1" // images only, one branch
	expanderPrefix = "expander."
	tracked        = "num_batches_tracked"
)

// Save writes a model durably.
func Save(path string, meta Meta, encoder model.Encoder, expander *model.Expander) error {
	var tensors []safetensors.Tensor
	add := func(prefix string, ps []*nn.Param) {
		for _, p := range ps {
			t := safetensors.Tensor{Name: prefix + p.Name, Shape: p.Shape}
			if strings.HasSuffix(p.Name, tracked) {
				t.Data = []int64{int64(p.Value[0])}
			} else {
				t.Data = p.Torch()
			}
			tensors = append(tensors, t)
		}
	}
	add("", encoder.Params())
	add("", encoder.Buffers())
	add(expanderPrefix, expander.Params())
	add(expanderPrefix, expander.Buffers())
	return safetensors.WriteFile(path, tensors, meta.encode())
}

// Open reads the model of branch 0 or 1 of a run's folder, or that of a file.
func Open(path string, branch int) (*Model, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the model: %w", err)
	}
	if st.IsDir() {
		file := filepath.Join(path, runlog.ModelFiles[branch])
		if _, err := os.Stat(file); err != nil {
			if _, first := os.Stat(filepath.Join(path, runlog.ModelFile)); first == nil {
				return nil, fmt.Errorf("%s has no branch b: its views went through the same weights, those of branch a", path)
			}
			return nil, fmt.Errorf("%s has no %s: either it is no run folder, or its run has not ended (--resume %s goes on with it)", path, runlog.ModelFile, path)
		}
		path = file
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &Model{Path: path}
	if err := m.Meta.decode(f.Metadata); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Encoder, err = model.New(m.Meta.Encoder, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Expander, err = model.NewHead(m.Encoder.Dim(), m.Meta.Expander, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, part := range []struct {
		prefix string
		params []*nn.Param
	}{
		{"", m.Encoder.Params()}, {"", m.Encoder.Buffers()},
		{expanderPrefix, m.Expander.Params()}, {expanderPrefix, m.Expander.Buffers()},
	} {
		for _, p := range part.params {
			if err := load(f, path, part.prefix+p.Name, p); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func load(f *safetensors.File, path, name string, p *nn.Param) error {
	info, ok := f.Info(name)
	if !ok {
		return fmt.Errorf("%s has no %s, which its encoder needs", path, name)
	}
	if !slices.Equal(info.Shape, p.Shape) {
		return fmt.Errorf("%s: %s is %v, but %v in the encoder it names", path, name, info.Shape, p.Shape)
	}
	v, err := f.Float32(name)
	if err != nil {
		return err
	}
	p.SetTorch(v)
	return nil
}

// Untrained returns the encoder as it was before the first step.
func (m *Meta) Untrained() (model.Encoder, error) {
	return method.NewEncoder(m.Encoder, m.Seed, m.Branch)
}

// Channels returns those of the images that the encoder reads, 0 if it reads
// something else.
func (m *Meta) Channels() int {
	if m.Encoder.Input.Kind != model.Images {
		return 0
	}
	return m.Encoder.Input.Shape[2]
}

// encode spells the metadata so that a reader in any language can use it.
func (m *Meta) encode() map[string]string {
	list := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("pretrained: %v", err))
		}
		return string(raw)
	}
	e := m.Encoder
	side := ""
	if m.Side != nil {
		raw, err := yaml.Marshal(m.Side)
		if err != nil {
			panic(fmt.Sprintf("pretrained: %v", err))
		}
		side = string(raw)
	}
	return map[string]string{
		"side":   side, // YAML, as in a run's configuration; empty of images
		"format": format, "method": m.Method,
		"arch": e.Arch, "width": strconv.Itoa(e.Width), "stem": e.Stem, "patch": strconv.Itoa(e.Patch), "input": list(e.Input),
		"branch":             strconv.Itoa(m.Branch),
		"zero_init_residual": strconv.FormatBool(e.ZeroInitResidual), "expander": m.Expander.Widths,
		"expander_norm": strconv.FormatBool(!m.Expander.NoNorm), "expander_last": m.Expander.Last,
		"size": strconv.Itoa(m.Size), "mean": list(append([]float64{}, m.Mean...)), "std": list(append([]float64{}, m.Std...)), // [] of pairs, not null
		"dataset": m.Dataset, "images": strconv.Itoa(m.Images), "epochs": strconv.Itoa(m.Epochs),
		"seed": strconv.FormatUint(m.Seed, 10),
	}
}

func (m *Meta) decode(meta map[string]string) (err error) {
	switch meta["format"] {
	case format:
	case firstFormat:
		meta["patch"], meta["branch"] = "0", "0"
		meta["input"] = fmt.Sprintf(`{"kind":"images","shape":[%s,%s,%s]}`, meta["size"], meta["size"], meta["channels"])
	default:
		return fmt.Errorf("it is not a model that vicreg wrote: its metadata has format %q, not %q", meta["format"], format)
	}
	parse := func(key string, set func(string) error) {
		if e := set(meta[key]); e != nil && err == nil {
			err = fmt.Errorf("its metadata has %s %q: %w", key, meta[key], e)
		}
	}
	number := func(key string, to *int) {
		parse(key, func(s string) (e error) { *to, e = strconv.Atoi(s); return e })
	}
	list := func(key string, to *[]float64) {
		parse(key, func(s string) error { return json.Unmarshal([]byte(s), to) })
	}
	if meta["expander_norm"] == "" { // when there was one kind of expanders
		meta["expander_norm"], meta["expander_last"] = "true", model.Plain
	}
	m.Method, m.Dataset = meta["method"], meta["dataset"]
	m.Expander.Widths, m.Expander.Last = meta["expander"], meta["expander_last"]
	parse("expander_norm", func(s string) error {
		norm, e := strconv.ParseBool(s)
		m.Expander.NoNorm = !norm
		return e
	})
	m.Encoder.Arch, m.Encoder.Stem = meta["arch"], meta["stem"]
	number("width", &m.Encoder.Width)
	number("patch", &m.Encoder.Patch)
	number("branch", &m.Branch)
	parse("input", func(s string) error { return json.Unmarshal([]byte(s), &m.Encoder.Input) })
	number("size", &m.Size)
	number("images", &m.Images)
	number("epochs", &m.Epochs)
	parse("zero_init_residual", func(s string) (e error) { m.Encoder.ZeroInitResidual, e = strconv.ParseBool(s); return e })
	parse("seed", func(s string) (e error) { m.Seed, e = strconv.ParseUint(s, 10, 64); return e })
	list("mean", &m.Mean)
	list("std", &m.Std)
	if err != nil {
		return err
	}
	if meta["side"] != "" {
		return m.decodeSide(meta["side"])
	}
	if in := m.Encoder.Input.Shape; len(in) != 3 || in[0] != m.Size || in[1] != m.Size || in[2] != 1 && in[2] != 3 || len(m.Mean) != in[2] || len(m.Std) != in[2] {
		return fmt.Errorf("its metadata is contradictory: input %v, mean %v, std %v, size %d", in, m.Mean, m.Std, m.Size)
	}
	return nil
}

// decodeSide reads the side of pairs that a model is for.
func (m *Meta) decodeSide(text string) error {
	m.Side = new(pairs.Side)
	if err := yaml.Unmarshal([]byte(text), m.Side); err != nil {
		return fmt.Errorf("its metadata has side %q: %w", text, err)
	}
	if err := m.Side.Check(); err != nil {
		return fmt.Errorf("its metadata is contradictory: %w", err)
	}
	if !m.Side.Resolved() || !slices.Equal(m.Side.Shape(), m.Encoder.Input.Shape) {
		return fmt.Errorf("its metadata is contradictory: input %v of %s", m.Encoder.Input.Shape, m.Side)
	}
	return nil
}
