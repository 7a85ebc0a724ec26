package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
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
	bind(f, s, "pairs", "`manifest` of pairs: CSV, TSV, JSON, or shards", func(c *recipe.Config) *string { p(c); return &c.Data.Source })
	side := func(name, usage string, at func(*recipe.Pairs) *pairs.Side) {
		v := new(sideFlag)
		f.flags.Var(v, name, usage)
		f.set[name] = func(c *recipe.Config) {
			to := at(p(c)) // with a file's settings, which Check holds against the type
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

// ofPairs finds a given flag about pairs where there are none.
func ofPairs(given []string, c *recipe.Config) error {
	for _, name := range []string{"label", "split", "a", "b"} {
		switch {
		case !slices.Contains(given, name) || slices.Contains(given, "pairs"):
		case name == "label" && (slices.Contains(given, "data") || c.Pairs.A.Type == "" && c.Pairs.B.Type == ""):
			return usagef("--label names a column of pairs, and there are no --pairs; the classes of images are told by --labels")
		case slices.Contains(given, "data"):
			return usagef("--data names images, and --%s is about pairs; give --pairs instead of --data, or leave --%[1]s out", name)
		}
	}
	return nil
}

// suit adapts a configuration to its pairs, if it has any: it gives the sides a branch
// each, as [recipe.Config.Divide] says, and encoders that can read them. recipes is the
// recipe's own encoder; if the configuration has another, that one was chosen and stays. So
// do the branches that the file at path names.
func (f *configFlags) suit(c *recipe.Config, recipes recipe.Encoder, path string) {
	if c.Pairs == nil || c.Pairs.A.Check() != nil || c.Pairs.B.Check() != nil {
		return // Validate tells
	}
	given := f.flags.Changed
	if !given("branches") {
		file := recipe.Config{}
		c.Divide(path != "" && file.MergeFile(path) == nil && file.Branches != "")
	}
	chosen := [2]bool{
		given("encoder") || given("encoder-a") || c.Encoder.Arch != recipes.Arch,
		c.EncoderB != nil && c.EncoderB.Arch != "",
	}
	c.Suit(chosen, given("stem") || c.Encoder.Stem != recipes.Stem)
}

// modelFlags are the flags of a command that looks at data with an encoder it has.
type modelFlags struct {
	flags  *pflag.FlagSet
	pairs  vicreg.PairData
	branch string
}

func newModelFlags(flags *pflag.FlagSet) *modelFlags {
	f := &modelFlags{flags: flags}
	flags.StringVar(&f.pairs.Manifest, "pairs", "", "`manifest` of pairs, of a run that was trained on some (default the run's own)")
	return f
}

// whichBranch registers the flag that chooses a branch of a run.
func (f *modelFlags) whichBranch() {
	f.flags.StringVar(&f.branch, "branch", "a", "which `branch` of a run whose branches are separate: a or b")
}

// scoring registers the flags of labels and of what is held out.
func (f *modelFlags) scoring() {
	f.flags.StringVar(&f.pairs.Label, "label", "", "`column` of the pairs' classes (default the run's)")
	f.flags.StringVar(&f.pairs.Split, "split", "", "`column` that says train or test (default the run's)")
}

// looker is an encoder together with the pairs or images that it is to look at.
type looker struct {
	model            *vicreg.Model
	paired           bool
	pairs            vicreg.PairData // if paired,
	images           vicreg.Data     // else
	threads, workers int
}

// open opens a run or another file of a model, and says what data it is for.
func (f *modelFlags) open(run string, config *configFlags) (l looker, err error) {
	if f.branch != "a" && f.branch != "b" {
		return l, usagef("--branch %q is unknown; known: a, b", f.branch)
	}
	var unopened error
	if l.model, unopened = vicreg.OpenBranch(run, f.branch); unopened != nil {
		if f.aboutPairs() != "" {
			return l, unopened
		}
	} else if l.paired, err = f.wanted(l.model); err != nil {
		return l, err
	}
	own, damaged := runOwn(l.model)
	switch {
	case l.paired:
		l.pairs, l.threads, l.workers, err = f.given(l.model, config)
	case damaged != nil && !f.flags.Changed("data"):
		return l, damaged
	case own != nil && !f.flags.Changed("data"):
		config.apply(own)
		if err = own.Validate(); err != nil {
			err = usageError{err}
		}
		l.images, l.threads, l.workers = vicreg.Data(own.Data), own.Threads, own.Workers
	case unopened != nil && !f.flags.Changed("data"):
		return l, usagef("%w; and --data is missing: name a folder of images, a file or a known data set", unopened)
	default:
		var data recipe.Data
		data, l.threads, l.workers, err = config.source()
		l.images = vicreg.Data(data)
	}
	return l, cmp.Or(err, unopened) // what is wrong with the flags comes first
}

// aboutPairs returns a flag that was given and means nothing for images, or "".
func (f *modelFlags) aboutPairs() string {
	for _, name := range []string{"pairs", "label", "split", "retrieval"} {
		if f.flags.Lookup(name) != nil && f.flags.Changed(name) {
			return name
		}
	}
	return ""
}

// wanted reports whether the command is to look at pairs: a model that reads
// them, and no images given.
func (f *modelFlags) wanted(m *vicreg.Model) (bool, error) {
	side, paired := m.Paired()
	images, about := f.flags.Changed("data"), f.aboutPairs()
	switch {
	case paired && images:
		return false, usagef("--data names images, but this run was trained on pairs and its encoder reads %s; give --pairs or nothing", side)
	case !paired && about != "":
		return false, usagef("--%s is for runs on pairs, but this one was trained on images; give --data", about)
	}
	return paired, nil
}

// given adds to the data the flags that other kinds of data have too.
func (f *modelFlags) given(m *vicreg.Model, config *configFlags) (vicreg.PairData, int, int, error) {
	if f.flags.Changed("max-pixels") && !anyImages(m) {
		return f.pairs, 0, 0, usagef("--max-pixels is a limit of images, and the pairs of this run have none")
	}
	for _, name := range []string{"labels", "bands", "values"} {
		if f.flags.Lookup(name) != nil && f.flags.Changed(name) {
			return f.pairs, 0, 0, usagef("--%s is for runs on images, but this one was trained on pairs; leave it out", name)
		}
	}
	c, err := recipe.Load(recipe.Default)
	if err != nil {
		return f.pairs, 0, 0, err
	}
	config.apply(&c)
	if f.flags.Changed("holdout") {
		if c.Data.Holdout < 0 || !(c.Data.Holdout < 1) {
			return f.pairs, 0, 0, usagef("holdout is %v, but must be a share from 0 to below 1", c.Data.Holdout)
		}
		f.pairs.Holdout = &c.Data.Holdout
	}
	checked := c
	checked.Data.Limit, checked.Data.Holdout = min(0, c.Data.Limit), 0
	if err := checked.Validate(); err != nil {
		return f.pairs, 0, 0, usageError{err}
	}
	f.pairs.Limit, f.pairs.MaxPixels, f.pairs.MaxBad = c.Data.Limit, c.Data.MaxPixels, c.Data.MaxBad
	return f.pairs, c.Threads, c.Workers, nil
}

// anyImages reports whether a side of the pairs that a model is of is an image.
func anyImages(m *vicreg.Model) bool {
	if c, err := recipe.ReadFile(filepath.Join(filepath.Dir(m.Info().Path), runlog.ConfigFile)); err == nil &&
		c.Pairs != nil {
		return c.Pairs.Images()
	}
	side, _ := m.Paired()
	return strings.HasPrefix(side, "image=")
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
