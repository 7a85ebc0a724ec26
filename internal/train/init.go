package train

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/pairs"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// From returns c as a run that starts from the weights of another one, or of a
// model's file: with its networks, and with the size and the normalisation of what
// they read. The expander is only taken from a run of the same method.
func From(c recipe.Config, path string) (recipe.Config, error) {
	metas, err := describe(path)
	if err != nil {
		return c, err
	}
	if c.Pairs != nil && c.Pairs.A.Type != c.Pairs.B.Type && c.Separate() && len(metas) == 1 {
		return c, fewBranches(path, 1, c)
	}
	c.Init = &recipe.Init{Path: absolute(path)}
	for i, m := range metas {
		n := m.Encoder
		e := recipe.Encoder{Arch: n.Arch, Width: n.Width, Stem: n.Stem, Patch: n.Patch,
			Dim: n.Dim, Blocks: n.Blocks, Heads: n.Heads, Pool: n.Pool, Positions: n.Positions,
			ZeroInitResidual: n.ZeroInitResidual}
		if i == 0 {
			c.Encoder, c.EncoderB, c.Branches = e, nil, "shared"
		} else {
			c.Branches = "separate"
			if e != c.Encoder {
				c.EncoderB = &e
			}
		}
		if m.Method == c.Method && !m.Expander.None() {
			if i == 0 {
				c.Expander, c.ExpanderB = m.Expander.Widths, ""
			} else if m.Expander.Widths != c.Expander {
				c.ExpanderB = m.Expander.Widths
			}
		}
	}
	switch m := metas[0]; {
	case c.Pairs != nil:
		p := *c.Pairs
		for i, side := range []*pairs.Side{&p.A, &p.B} {
			if m := metas[min(i, len(metas)-1)]; m.Side != nil {
				side.ReadAs(*m.Side)
			}
		}
		c.Pairs = &p
	case m.Encoder.Input.Kind != model.Images || len(metas) > 1 && m.Side != nil:
		return c, fmt.Errorf("%s was trained on pairs, %s; for images, name the file of a branch that reads them, such as %s, or give --pairs", show.Name(path), m.Side, filepath.Join(path, runlog.ModelFile))
	default:
		c.Size, c.Channels, c.Normalize = m.Encoder.Input.Shape[0], m.Channels(),
			recipe.Normalize{Mean: m.Mean, Std: m.Std}
		if m.Raw || m.Side != nil && m.Side.Raw() {
			c.Data.Values = recipe.Raw
		}
		if c.Data.Bands == nil {
			c.Data.Bands = m.Bands
		}
		if m.Side != nil {
			c.Normalize = recipe.Normalize{Mean: m.Side.Mean, Std: m.Side.Std}
		}
	}
	return c, nil
}

// describe reads what the models at a path say of themselves, by branch.
func describe(path string) (metas []pretrained.Meta, err error) {
	for branch := range 2 {
		m, err := pretrained.Describe(path, branch)
		if branch == 1 && errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("no run can start from %s: %w", show.Name(path), err)
		}
		metas = append(metas, *m)
	}
	return metas, nil
}

// origin holds the weights that a new run starts from to its configuration, and
// writes into that which they are.
func (r *run) origin() error {
	in := r.config.Init
	if in == nil {
		return nil
	}
	metas, err := describe(in.Path)
	if err != nil {
		return err
	}
	if two := r.config.Separate(); two != (len(metas) == 2) {
		return fewBranches(in.Path, len(metas), r.config)
	}
	now := recipe.Init{Path: absolute(in.Path)}
	for i, m := range metas {
		want, has := method.EncoderConfig(r.config, i), m.Encoder
		for _, part := range []struct {
			what      string
			has, want any
		}{
			{"encoder", has.Arch, want.Arch}, {"width", has.Width, want.Width}, {"stem", has.Stem, want.Stem},
			{"patch", has.Patch, want.Patch}, {"dim", has.Dim, want.Dim}, {"number of blocks", has.Blocks, want.Blocks},
			{"number of heads", has.Heads, want.Heads}, {"pooling", has.Pool, want.Pool},
			{"kind of positions", has.Positions, want.Positions},
			{"kind of input", has.Input.Kind, want.Input.Kind},
		} {
			if part.has != part.want {
				return fmt.Errorf("the %s of %s is %v, and that of this run is %v; take weights of the same network, or leave the other out", part.what, show.Name(in.Path), part.has, part.want)
			}
		}
		sum, err := sumOf(pretrained.FileOf(in.Path, i))
		if err != nil {
			return err
		}
		at, old := []*string{&now.Sum, &now.SumB}[i], []string{in.Sum, in.SumB}[i]
		if *at = sum; old != "" && old != sum {
			return fmt.Errorf("%s is not the model that the run is to start from: its checksum is %s, not %s as in the configuration; put that one back, or name this one by --init", pretrained.FileOf(in.Path, i), sum, old)
		}
	}
	r.config.Init = &now
	return nil
}

func fewBranches(path string, has int, c recipe.Config) error {
	weights := "the weights of one branch"
	if has > 1 {
		weights = "weights for each of two branches"
	}
	return fmt.Errorf("%s has %s, and this run has %s branches", show.Name(path), weights, c.Branches)
}

// sumOf is the checksum of a file.
func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	_, err = io.Copy(sum, f)
	return fmt.Sprintf("%08x", sum.Sum32()), err
}

// adopt puts the weights that a run starts from into its networks, and scores them.
func (r *run) adopt(ctx context.Context) error {
	in := r.config.Init
	if in == nil {
		return nil
	}
	if err := r.origin(); err != nil {
		return err
	}
	var taken, started []string
	none := false // a model has no expander
	values := map[string]*nn.Param{}
	for i, b := range r.method.Branches() {
		m, err := pretrained.Open(in.Path, i)
		if err != nil {
			return fmt.Errorf("no run can start from %s: %w", show.Name(in.Path), err)
		}
		if err := take(b.Encoder, m.Encoder); err != nil {
			return fmt.Errorf("the encoder of %s does not fit: %w", show.Name(m.Path), err)
		}
		none = none || m.Expander == nil
		same := r.config.Tune == nil && m.Expander != nil && r.config.Projector(i) == m.Meta.Expander
		if same && take(b.Expander, m.Expander) == nil {
			taken = append(taken, "expander")
		}
		if m.Source != nil {
			started = append(started, fmt.Sprintf("%s, which was taken from %s", show.Name(m.Path), m.Source))
		} else {
			started = append(started, fmt.Sprintf("%s, step %d", show.Name(m.Path), m.Step))
		}
	}
	for _, p := range slices.Concat(r.method.Params(), r.method.Buffers()) {
		values[p.Name] = p
	}
	for _, p := range r.method.State() { // a momentum encoder begins as a copy
		if from := values[strings.TrimPrefix(p.Name, "momentum.")]; from != nil && from.Name != p.Name {
			p.Device().Copy(p.Value, from.Value)
		}
	}
	note := "starts from the encoder of " + strings.Join(started, " and of ")
	switch {
	case r.config.Tune != nil:
		r.beginning = note + "; the classifier starts with small random weights"
		return nil
	case len(taken) == len(started):
		note = strings.Replace(note, "the encoder", "the encoder and the expander", 1)
	case len(taken) == 0 && none:
		note += "; the expander starts untrained, as it has none"
	case len(taken) == 0:
		note += "; the expander, which is another, starts untrained"
	default:
		note += "; one of the expanders, which is another, starts untrained"
	}
	if r.corpus.scored() > 0 {
		knn, err := r.knn(ctx)
		if ctx.Err() != nil {
			return &Interrupted{Folder: r.folder, Epoch: 1, Device: r.flag()}
		}
		if failure(err) {
			return err
		}
		if err == nil {
			note += fmt.Sprintf("; kNN of these weights is %.2f%% here", 100*knn)
		}
	}
	r.beginning = note
	return nil
}

// network is what weights are taken into.
type network interface {
	Params() []*nn.Param
	Buffers() []*nn.Param
}

// take copies the weights of a network into another one.
func take(to, from network) error {
	all := slices.Concat(from.Params(), from.Buffers())
	for i, p := range slices.Concat(to.Params(), to.Buffers()) {
		if i >= len(all) || all[i].Name != p.Name || !slices.Equal(all[i].Shape, p.Shape) {
			has := "none"
			if i < len(all) {
				has = fmt.Sprint(all[i].Shape)
			}
			help := ""
			if p.Name == "pos_embed" {
				help = ": a vision transformer reads images of one size; leave --size out, or import its weights with the other size"
			}
			return fmt.Errorf("its %s is %s, and that of this run is %v%s", p.Name, has, p.Shape, help)
		}
	}
	for i, p := range slices.Concat(to.Params(), to.Buffers()) {
		p.Set(all[i].Read())
	}
	return nil
}
