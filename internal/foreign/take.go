package foreign

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/show"
)

// Result says what was taken of a file.
type Result struct {
	Path   string   // of the model that was written
	Layout string   // whose names the file's arrays have
	Prefix string   // before those of the encoder
	Arrays int      // taken
	Left   []Left   // what was not
	Notes  []string // what was guessed and what is passed over, a sentence each
}

// Taken is an encoder that was taken out of a file.
type Taken struct {
	Result
	Meta     pretrained.Meta
	Encoder  model.Encoder
	Expander *model.Expander // nil: there is none
}

// mostSize is how wide an input may be asked for.
const mostSize = 1 << 14

// Validate returns an error about options that suit no encoder.
func (o *Options) Validate() error {
	switch {
	case o.Size < 0 || o.Size > mostSize:
		return fmt.Errorf("size is %d, but must be between 1 and %d, or 0", o.Size, mostSize)
	case o.Heads < 0:
		return fmt.Errorf("heads is %d, but must be at least 1, or 0", o.Heads)
	case o.Stem != "" && o.Stem != "small" && o.Stem != "padded" && o.Stem != "linear":
		return fmt.Errorf("stem %q is unknown; known: small, padded, linear", o.Stem)
	}
	for _, v := range o.Mean {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("mean has %v, but must have finite numbers", v)
		}
	}
	for _, v := range o.Std {
		if !(v > 0) || math.IsInf(v, 0) {
			return fmt.Errorf("std has %v, but must have finite numbers above 0", v)
		}
	}
	return nil
}

// set reports whether any option says something of the encoder.
func (o *Options) set() bool {
	return o.Prefix != "" || o.Heads > 0 || o.Stem != "" || o.Size > 0 || o.Mean != nil || o.Std != nil
}

// ErrOurs is the error of options for a model that vicreg wrote.
var ErrOurs = errors.New("a model that vicreg wrote, which says itself what it is")

// Take writes the encoder in f to path, as a model of vicreg's.
func Take(ctx context.Context, f *File, path string, o Options) (*Taken, error) {
	if strings.HasPrefix(f.Said["format"], "vicreg model") {
		return again(f.path, path, o)
	}
	x, err := Look(f, o)
	if err != nil {
		return nil, err
	}
	sum, err := Sum(f.path)
	if err != nil {
		return nil, err
	}
	t := new(Taken)
	if t.Encoder, t.Expander, err = x.Load(ctx, f, o.Progress); err != nil {
		return nil, err
	}
	t.Result = Result{path, x.Layout, x.Prefix, x.Taken, append([]Left{}, x.Left...),
		append(append([]string{}, f.Notes...), x.Guessed...)}
	t.Meta = pretrained.Meta{Method: x.Method, Encoder: x.Encoder, Expander: x.Expander,
		Size: x.Size, Mean: x.Mean, Std: x.Std, Raw: x.Raw,
		Source: &pretrained.Source{File: filepath.Base(f.path), Sum: sum, Layout: "layout of " + x.Layout}}
	return t, t.write()
}

// again takes a model that vicreg wrote.
func again(file, path string, o Options) (*Taken, error) {
	if o.set() {
		return nil, fmt.Errorf("%s is %w", show.Name(file), ErrOurs)
	}
	m, err := pretrained.Open(file, 0)
	if err != nil {
		return nil, err
	}
	sum, err := Sum(file)
	if err != nil {
		return nil, err
	}
	t := &Taken{Meta: m.Meta, Encoder: m.Encoder, Expander: m.Expander}
	t.Meta.Source = &pretrained.Source{File: filepath.Base(file), Sum: sum, Layout: "a model of vicreg"}
	if m.Source != nil {
		t.Meta.Source.Layout += ", which was taken from " + m.Source.String()
	}
	t.Result = Result{Path: path, Layout: "a model of vicreg", Arrays: len(slices.Concat(m.Encoder.Params(), m.Encoder.Buffers())),
		Left: []Left{}, Notes: append([]string{}, m.Notes...)}
	if m.Expander != nil {
		t.Arrays += len(slices.Concat(m.Expander.Params(), m.Expander.Buffers()))
	}
	return t, t.write()
}

func (t *Taken) write() error {
	if err := pretrained.Save(t.Path, t.Meta, t.Encoder, t.Expander); err != nil {
		return fmt.Errorf("cannot write %s: %w", t.Path, durable.Reason(err))
	}
	return nil
}
