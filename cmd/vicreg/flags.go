package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"vicreg/internal/recipe"
)

// configFlags are flags that each set one field of a configuration. None has a
// default of its own: a flag that is not given leaves the recipe's value.
type configFlags struct {
	flags *pflag.FlagSet
	set   map[string]func(*recipe.Config)
	get   map[string]func(*recipe.Config) string
}

func newConfigFlags(flags *pflag.FlagSet) *configFlags {
	return &configFlags{flags, map[string]func(*recipe.Config){}, map[string]func(*recipe.Config) string{}}
}

// bind registers a flag for the field that at points to.
func bind[T any](f *configFlags, register func(name string, value T, usage string) *T,
	name, usage string, at func(*recipe.Config) *T) {
	var none T
	value := register(name, none, usage)
	f.set[name] = func(c *recipe.Config) { *at(c) = *value }
	f.get[name] = func(c *recipe.Config) string { return fmt.Sprint(*at(c)) }
}

// given returns the names of the flags that were given, in order.
func (f *configFlags) given() []string {
	var names []string
	for name := range f.set {
		if f.flags.Changed(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// apply lays the given flags over c.
func (f *configFlags) apply(c *recipe.Config) {
	for _, name := range f.given() {
		f.set[name](c)
	}
}

// encoder binds the flags of the network.
func (f *configFlags) encoder() {
	s, i := f.flags.String, f.flags.Int
	bind(f, s, "encoder", "`network`: "+strings.Join(recipe.Archs(), ", "), func(c *recipe.Config) *string { return &c.Encoder.Arch })
	bind(f, i, "width", "`channels` of the encoder's first stage; 64 is the usual ResNet", func(c *recipe.Config) *int { return &c.Encoder.Width })
	bind(f, s, "stem", "`kind` of first layers: small (3×3, for small images) or imagenet (7×7/2, max-pool)", func(c *recipe.Config) *string { return &c.Encoder.Stem })
	bind(f, i, "size", "width and height of a view, in `pixels`", func(c *recipe.Config) *int { return &c.Size })
	bind(f, i, "channels", "`number` of channels: 1 grey, 3 colour, another up to 16, 0 as the data", func(c *recipe.Config) *int { return &c.Channels })
}

// branches binds the flags of a second branch.
func (f *configFlags) branches() {
	s, i := f.flags.String, f.flags.Int
	b := func(c *recipe.Config) *recipe.Encoder {
		if c.EncoderB == nil {
			c.EncoderB = new(recipe.Encoder)
		}
		return c.EncoderB
	}
	bind(f, s, "branches", "`kind` of branches; shared: both views go through the same weights; separate: each has its own (as usual for --pairs that are not both images)", func(c *recipe.Config) *string { return &c.Branches })
	bind(f, s, "encoder-a", "`architecture` of the first branch, as --encoder", func(c *recipe.Config) *string { return &c.Encoder.Arch })
	bind(f, s, "encoder-b", "`architecture` of the second branch, if it is another; branches are separate then", func(c *recipe.Config) *string { return &b(c).Arch })
	bind(f, i, "width-b", "`channels` of the second encoder's first stage", func(c *recipe.Config) *int { return &b(c).Width })
	x := f.flags.Float64
	own := func(at func(*recipe.Config) **float64) func(*recipe.Config) *float64 {
		return func(c *recipe.Config) *float64 {
			p := new(float64)
			*at(c) = p
			return p
		}
	}
	bind(f, x, "mu-b", "`weight` of the second branch's variance term, if it is another", own(func(c *recipe.Config) **float64 { return &c.Loss.MuB }))
	bind(f, x, "nu-b", "`weight` of the second branch's covariance term, if it is another", own(func(c *recipe.Config) **float64 { return &c.Loss.NuB }))
	bind(f, s, "expander-b", "`widths` of the second branch's expander; the last must be the first branch's", func(c *recipe.Config) *string { return &c.ExpanderB })
}

func (f *configFlags) expander() {
	bind(f, f.flags.String, "expander", "`widths` of the expander's layers, such as 8192-8192-8192", func(c *recipe.Config) *string { return &c.Expander })
}

func (f *configFlags) batch() {
	bind(f, f.flags.Int, "batch", "`images` in a step", func(c *recipe.Config) *int { return &c.Batch })
}

func (f *configFlags) pieces() {
	bind(f, f.flags.Int, "micro-batch", "`images` that go through the network together; the loss is still that of the batch", func(c *recipe.Config) *int { return &c.MicroBatch })
}

// processes binds the flag for those that train together.
func (f *configFlags) processes() {
	bind(f, f.flags.Bool, "sync-norm", "of several processes: normalise by the statistics of the whole batch, not by those of each one's part", func(c *recipe.Config) *bool { return &c.SyncNorm })
}

func (f *configFlags) precision() {
	bind(f, f.flags.String, "precision", "`kind` of numbers to compute with: float32, tf32 or bf16", func(c *recipe.Config) *string { return &c.Precision })
}

// loss binds the flags of the loss.
func (f *configFlags) loss() {
	x := f.flags.Float64
	bind(f, f.flags.String, "convention", "`form` of the loss: released, formula or pseudocode", func(c *recipe.Config) *string { return &c.Loss.Convention })
	bind(f, x, "lambda", "`weight` of the invariance term", func(c *recipe.Config) *float64 { return &c.Loss.Lambda })
	bind(f, x, "mu", "`weight` of the variance term", func(c *recipe.Config) *float64 { return &c.Loss.Mu })
	bind(f, x, "nu", "`weight` of the covariance term", func(c *recipe.Config) *float64 { return &c.Loss.Nu })
	bind(f, x, "gamma", "standard `deviation` the variance term asks for", func(c *recipe.Config) *float64 { return &c.Loss.Gamma })
	bind(f, x, "eps", "`constant` under the root of the variance", func(c *recipe.Config) *float64 { return &c.Loss.Eps })
}

// data binds the flags that say which images to take.
func (f *configFlags) data() {
	s, i := f.flags.String, f.flags.Int
	bind(f, s, "data", "`images`: a folder, shards or tables (x-{000..127}.tar, x-*.parquet), a CIFAR or idx file, a pack, fashion-mnist, or sample (built in)", func(c *recipe.Config) *string { return &c.Data.Source })
	bind(f, s, "labels", labelsUsage, func(c *recipe.Config) *string { return &c.Data.Labels })
	f.limits()
	bind(f, i, "limit", "take this `many` images, spread evenly over the data", func(c *recipe.Config) *int { return &c.Data.Limit })
}

// holdout binds the flag for data that has labels but no test set.
func (f *configFlags) holdout() {
	bind(f, f.flags.Float64, "holdout", "`share` of labelled images kept for scoring where the data has no test set", func(c *recipe.Config) *float64 { return &c.Data.Holdout })
}

// run binds the flags of the training run itself.
func (f *configFlags) run() {
	s, i, x := f.flags.String, f.flags.Int, f.flags.Float64
	bind(f, i, "epochs", "`passes` over the data", func(c *recipe.Config) *int { return &c.Epochs })
	bind(f, x, "warmup", "`epochs` over which the learning rate rises; -1, of recipe photos or with --time: chosen from the epochs", func(c *recipe.Config) *float64 { return &c.Warmup })
	f.rate()
	bind(f, s, "optimizer", "`name`: lars, sgd or adamw", func(c *recipe.Config) *string { return &c.Optimizer.Name })
	bind(f, x, "weight-decay", "`factor` of the weights added to their gradients", func(c *recipe.Config) *float64 { return &c.Optimizer.WeightDecay })
	bind(f, x, "momentum", "`factor` of lars and sgd", func(c *recipe.Config) *float64 { return &c.Optimizer.Momentum })
	bind(f, x, "trust", "trust `coefficient` of lars", func(c *recipe.Config) *float64 { return &c.Optimizer.Eta })
	bind(f, f.flags.Bool, "clip", "lars: let no trust ratio exceed the plain learning rate", func(c *recipe.Config) *bool { return &c.Optimizer.Clip })
	bind(f, f.flags.Uint64, "seed", "`number` that fixes every random choice", func(c *recipe.Config) *uint64 { return &c.Seed })
	bind(f, i, "eval-every", "`epochs` between kNN scores; 0: only at the end; -1, of recipe photos or with --time: chosen", func(c *recipe.Config) *int { return &c.Eval.Every })
	bind(f, x, "checkpoint-every", "`minutes` between checkpoints, besides one at each epoch", func(c *recipe.Config) *float64 { return &c.CheckpointMinutes })
}

// machine binds the flags that change how fast a run goes and nothing else.
func (f *configFlags) machine() {
	i := f.flags.Int
	bind(f, i, "threads", "`processors` that compute; 0: all", func(c *recipe.Config) *int { return &c.Threads })
	bind(f, i, "workers", "`processors` that decode and augment; 0: all", func(c *recipe.Config) *int { return &c.Workers })
}

// source returns what the flags of data and machine say, for a command that
// looks at images with an encoder it has.
func (f *configFlags) source() (data recipe.Data, threads, workers int, err error) {
	if !f.flags.Changed("data") {
		return data, 0, 0, usagef("--data is missing: name a folder of images, a file or a known data set")
	}
	c, err := recipe.Load(recipe.Default)
	if err != nil {
		return data, 0, 0, err
	}
	f.apply(&c)
	checked := c
	checked.Data.Limit = min(0, c.Data.Limit) // there is no batch that it could be too small for
	if err := checked.Validate(); err != nil {
		return data, 0, 0, usageError{err}
	}
	return c.Data, c.Threads, c.Workers, nil
}
