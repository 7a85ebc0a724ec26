package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// pairs binds the flags of data whose two sides are of different kinds.
func (f *configFlags) pairs() {
	s := f.flags.String
	p := func(c *recipe.Config) *recipe.Pairs {
		if c.Pairs == nil {
			c.Pairs = new(recipe.Pairs)
		}
		return c.Pairs
	}
	bind(f, s, "pairs", "`manifest` of pairs instead of images: CSV, TSV or JSON lines, with a header", func(c *recipe.Config) *string { p(c); return &c.Data.Source })
	side := func(name, usage string, at func(*recipe.Pairs) *pairs.Side) {
		v := new(sideFlag)
		f.flags.Var(v, name, usage)
		f.set[name] = func(c *recipe.Config) {
			to := at(p(c))
			if to.Type != v.side.Type {
				*to = pairs.Side{} // a file's settings are of another type
			}
			to.Type, to.Columns, to.File = v.side.Type, v.side.Columns, v.side.File
		}
	}
	side("a", "first side of the pairs, as `type=column`: image, waveform, spectrogram, series, numeric (several columns), text or embedding", func(p *recipe.Pairs) *pairs.Side { return &p.A })
	side("b", "second side, likewise `type=column`", func(p *recipe.Pairs) *pairs.Side { return &p.B })
	bind(f, s, "label", "`column` of the pairs' classes, for scoring", func(c *recipe.Config) *string { return &p(c).Label })
	bind(f, s, "split", "`column` that says which pairs are to train on and which to test", func(c *recipe.Config) *string { return &p(c).Split })
}

// sideFlag is a side of pairs as a flag gives it.
type sideFlag struct{ side pairs.Side }

func (v *sideFlag) String() string {
	if v.side.Type == "" {
		return ""
	}
	return v.side.String()
}
func (v *sideFlag) Type() string { return "type=column" }
func (v *sideFlag) Set(spec string) (err error) {
	v.side, err = pairs.ParseSide(spec)
	return err
}

// suit fits a configuration to its pairs, if it has some: branches of their own
// for sides of different types, and encoders that can read them.
//
// recipes is the encoder that the recipe has: another was chosen.
func (f *configFlags) suit(c *recipe.Config, recipes recipe.Encoder) {
	if c.Pairs == nil || c.Pairs.A.Check() != nil || c.Pairs.B.Check() != nil {
		return // Validate tells
	}
	given := f.flags.Changed
	if c.Pairs.A.Type != c.Pairs.B.Type && !given("branches") {
		c.Branches = "separate"
	}
	chosen := [2]bool{
		given("encoder") || given("encoder-a") || c.Encoder.Arch != recipes.Arch,
		c.EncoderB != nil && c.EncoderB.Arch != "",
	}
	c.Suit(chosen, given("stem") || c.Encoder.Stem != recipes.Stem)
}

// pairFlags are those of a command that looks at pairs with encoders it has.
type pairFlags struct {
	flags *pflag.FlagSet
	data  vicreg.PairData
}

func newPairFlags(flags *pflag.FlagSet) *pairFlags {
	f := &pairFlags{flags: flags}
	flags.StringVar(&f.data.Manifest, "pairs", "", "`manifest` of pairs, of a run that was trained on some (default the run's own)")
	return f
}

// scoring registers the flags of labels and of what is held out.
func (f *pairFlags) scoring() {
	f.flags.StringVar(&f.data.Label, "label", "", "`column` of the pairs' classes (default the run's)")
	f.flags.StringVar(&f.data.Split, "split", "", "`column` that says train or test (default the run's)")
}

// open returns the model of a run on pairs; nil if the command has to do with
// images, or if another check will tell better what is wrong.
func (f *pairFlags) open(run, branch string) (*vicreg.Model, error) {
	m, err := vicreg.OpenBranch(run, branch)
	if err != nil {
		for _, name := range pairOnly {
			if f.flags.Lookup(name) != nil && f.flags.Changed(name) {
				return nil, err
			}
		}
		return nil, nil // the command asks for images first
	}
	if paired, err := f.wanted(m); err != nil || !paired {
		return nil, err
	}
	return m, nil
}

// pairOnly are the flags that mean nothing for images.
var pairOnly = []string{"pairs", "label", "split", "retrieval"}

// wanted reports whether the command is to look at pairs: a model that reads
// them, and no images given.
func (f *pairFlags) wanted(m *vicreg.Model) (bool, error) {
	side, paired := m.Paired()
	images := f.flags.Changed("data")
	switch {
	case paired && images:
		return false, usagef("--data names images, but this run was trained on pairs and its encoder reads %s; give --pairs or nothing", side)
	case !paired:
		for _, name := range pairOnly {
			if f.flags.Lookup(name) != nil && f.flags.Changed(name) {
				return false, usagef("--%s is for runs on pairs, but this one was trained on images; give --data", name)
			}
		}
	}
	return paired, nil
}

// given completes the data by flags that other data share.
func (f *pairFlags) given(config *configFlags) (vicreg.PairData, int, int, error) {
	c, err := recipe.Load(recipe.Default)
	if err != nil {
		return f.data, 0, 0, err
	}
	config.apply(&c)
	if f.flags.Changed("holdout") {
		if c.Data.Holdout < 0 || !(c.Data.Holdout < 1) {
			return f.data, 0, 0, usagef("holdout is %v, but must be a share from 0 to below 1", c.Data.Holdout)
		}
		f.data.Holdout = &c.Data.Holdout
	}
	f.data.Limit = c.Data.Limit
	return f.data, c.Threads, c.Workers, nil
}

// evalRetrieval prints the retrieval of a run.
func evalRetrieval(folder string, d vicreg.PairData, o vicreg.EvalOptions, asJSON bool) error {
	ctx, release := interruptible(context.Background())
	defer release()
	progress := newCounter()
	o.Progress = progress.describe
	found, bad, err := vicreg.Retrieve(ctx, folder, d, o)
	progress.clear()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(map[string]any{"a_to_b": found.AToB, "b_to_a": found.BToA, "bad_images": len(bad), "bad_image_list": append([]string{}, bad...)})
	}
	writeBad(os.Stdout, bad)
	writeRetrieval(os.Stdout, found)
	return nil
}

// writeRetrieval writes recall both ways beside chance.
func writeRetrieval(out io.Writer, r *runlog.Retrieval) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "retrieval\tR@1\tR@5\tR@10\tmedian rank\t")
	for _, row := range []struct {
		name string
		r    runlog.Recall
	}{{"a to b", r.AToB}, {"b to a", r.BToA}} {
		x := row.r
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%g of %d\t\n", row.name, percent(&x.R1), percent(&x.R5), percent(&x.R10), x.Median, x.Gallery)
		fmt.Fprintf(w, "chance\t%s\t%s\t%s\t\t\n", percent(&x.Chance1), percent(&x.Chance5), percent(&x.Chance10))
	}
	w.Flush()
}
