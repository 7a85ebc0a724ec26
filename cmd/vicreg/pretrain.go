package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/group"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

// pretrainFlags are the flags of pretrain that are no part of a configuration.
type pretrainFlags struct {
	recipe, config, out, resume, init string
	json, quiet, plan, tensorboard    bool
	profile, watch                    string
	device                            *deviceFlag
	group                             group.Group // that it trains with

	flags *pflag.FlagSet
}

func newPretrain() *cobra.Command {
	cmd, f, config := pretrainCommand()
	cmd.RunE = func(*cobra.Command, []string) error { return pretrain(f, config) }
	return cmd
}

// pretrainCommand returns the command without the function that it runs, and what its
// flags set.
func pretrainCommand() (*cobra.Command, *pretrainFlags, *configFlags) {
	cmd := &cobra.Command{
		Use:   "pretrain",
		Short: "Train an encoder on unlabelled images or pairs and score it",
		Long: `Trains an encoder, with VICReg or with another --method, and writes a run folder:
config.yaml (everything the run is), metrics.jsonl, summary.json,
model.safetensors and the checkpoint. Labels are never needed to train; where the
data has some, they score the encoder.

With --pairs, --a and --b it learns from a table of pairs whose sides are of
different kinds, each with an encoder of its own: an image and its caption, a
waveform and its spectrogram, a sensor's series and a row of numbers. Files are
named relative to the table. Rows held out score retrieval, both ways.

Without flags it trains the recipe quick on the built-in sample. Images of your own
take the recipe photos, which chooses size, stem, batch and epochs for them and for
this machine, for about ten minutes or as --time says; --plan only tells what it would
do. --config lays a file over the recipe (which the file may name), and other flags
lay single values over both.

Ctrl-C (SIGTERM, SIGUSR1, a closed terminal unless nohup keeps it away) finishes
the step, saves everything and exits with code 130; a second one leaves at
once. Where nobody takes the output any more, or its disk is full, the run is
saved as well and ends with code 1. --resume goes on with a run that was
stopped in any way, to the same result. What mpirun starts trains together.

With --resume and --epochs a run goes on to so many epochs in all, one that has
ended as well: the learning rate goes back to its peak, then down to the end in
a cosine. What the run had come to stays within its folder, as epochs-100.`,
		Example: `  vicreg pretrain
  vicreg pretrain --data ~/photos
  vicreg pretrain --data ~/photos --time 1h --plan
  vicreg pretrain --data ~/photos --encoder resnet18 --out runs/photos
  vicreg pretrain --recipe cifar --data cifar-10-batches-bin
  vicreg pretrain --method simsiam --predictor none --add-variance 1
  vicreg pretrain --pairs pairs.csv --a image=photo --b text=caption
  vicreg pretrain --pairs readings.csv --a series=path --b numeric=temp,rpm
  vicreg pretrain --resume runs/photos --epochs 300
  vicreg pretrain --init runs/photos --data ~/more-photos
  mpirun -n 4 vicreg pretrain --data ~/photos --device cuda`,
		Args: noArgs,
	}
	f := new(pretrainFlags)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	config.holdout()
	config.pairs()
	flags.StringVar(&f.recipe, "recipe", "", "built-in `recipe` to start from: "+strings.Join(vicreg.Recipes(), ", ")+" (default "+recipe.Photos+" for images of your own, else "+recipe.Default+")")
	flags.StringVar(&f.config, "config", "", "YAML `file` laid over the recipe")
	flags.StringVar(&f.out, "out", "", "run `folder` to create (default a new one under runs)")
	flags.StringVar(&f.resume, "resume", "", "go on with the run in `folder`, to --epochs or --time")
	flags.StringVar(&f.init, "init", "", "start from the weights of a run's `folder` or a model")
	config.method()
	config.encoder()
	config.expander()
	config.branches()
	config.batch()
	config.pieces()
	config.processes()
	config.run()
	config.views()
	config.time()
	config.loss()
	config.precision()
	config.machine()
	f.device = newDeviceFlag(flags)
	flags.BoolVar(&f.tensorboard, "tensorboard", false, "write event files for TensorBoard as well")
	flags.BoolVar(&f.plan, "plan", false, "only say what the run would be, how long it would take and how much memory; with --json as an object")
	flags.BoolVar(&f.quiet, "quiet", false, "print nothing but warnings, notes and errors")
	flags.BoolVar(&f.json, "json", false, "print JSON lines: steps, epochs, warnings, the summary")
	flags.StringVar(&f.watch, "watch", "", "show it in a browser, at 127.0.0.1:8080 or another `address` (--watch=ADDRESS)")
	flags.Lookup("watch").NoOptDefVal = watchAddr
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this `file`")
	must(flags.MarkHidden("cpuprofile"))
	f.flags = flags
	strictFlags(flags)
	config.showDefaults()
	return cmd, f, config
}

func pretrain(f *pretrainFlags, config *configFlags) (err error) {
	for name, value := range map[string]string{"recipe": f.recipe, "config": f.config, "out": f.out, "resume": f.resume, "init": f.init} {
		if f.flags.Changed(name) && value == "" { // as from an unset variable of a script
			return usagef("--%s is empty; give it a name or leave it out", name)
		}
	}
	if f.json && f.quiet {
		return usagef("--json and --quiet contradict each other; give one")
	}
	threads, err := f.flags.GetInt("threads")
	must(err)
	if f.group, err = join(threads); err != nil {
		return err
	}
	owner := f.group.Rank() == 0
	if f.plan {
		if owner {
			return f.preview(config)
		}
		return nil
	}
	start, err := f.job(config)
	if err != nil {
		return err
	}
	if f.flags.Changed("watch") && owner {
		if start, err = watched(start, f.watch); err != nil {
			return err
		}
	}
	if !owner {
		return carryOut(start, train.Silent{})
	}
	stop, err := startProfile(f.profile, f.guard(config))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return carryOut(start, newReporter(f.json, f.quiet, f.resume))
}

// carryOut starts or goes on with a run until it has ended or is stopped.
func carryOut(start func(context.Context, train.Reporter) error, report train.Reporter) error {
	ctx, release := interruptible(context.Background(), nil)
	defer release()
	defer context.AfterFunc(ctx, func() { heard(report) })()
	c, ok := report.(*console)
	if !ok || !c.live { // without its terminal a run goes on; without its reader, or on a full disk, it saves and ends
		var stop context.CancelCauseFunc
		ctx, stop = context.WithCancelCause(ctx)
		defer stop(nil)
		stdout.onError(stop)
	}
	err := start(ctx, report)
	if ok && err != nil {
		c.clear()
	}
	return unheard(ctx, err)
}

// unheard returns the error of a run that was interrupted because nobody takes its
// output, so that it says so.
func unheard(ctx context.Context, err error) error {
	var at *train.Interrupted
	if cause := context.Cause(ctx); errors.As(cause, new(unwritten)) && errors.As(err, &at) {
		return fmt.Errorf("%w, so the run stopped in epoch %d, after step %d; everything is saved, go on with %s", cause, at.Epoch, at.Step, at.Resume())
	}
	return err
}

// guard keeps a profile from being written over what a run reads.
func (f *pretrainFlags) guard(config *configFlags) *guard {
	g := new(guard)
	if f.profile == "" {
		return g
	}
	g.reads(f.config)
	c, err := f.configuration(config)
	if f.resume != "" {
		c, err = recipe.ReadFile(filepath.Join(f.resume, runlog.ConfigFile))
	}
	if err == nil {
		g.config(&c)
	}
	return g
}

// job returns what the flags ask for: a new run or an old one resumed.
func (f *pretrainFlags) job(config *configFlags) (func(context.Context, train.Reporter) error, error) {
	c, err := f.configuration(config)
	if f.resume == "" {
		return func(ctx context.Context, r train.Reporter) error {
			d, err := f.device.open()
			if err == nil {
				_, _, err = train.Pretrain(ctx, c, train.Options{Reporter: r, Device: d, Group: f.group,
					Ranks: ranks.about, Notes: ranks.notes, TensorBoard: f.tensorboard})
			}
			return err
		}, err
	}
	given := config.given()
	for name, value := range map[string]string{"recipe": f.recipe, "config": f.config, "out": f.out, "init": f.init} {
		if value != "" {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	for _, name := range given {
		if !slices.Contains(resumable, name) {
			return nil, usagef("--resume goes on with %s as it was configured, so --%s cannot be given with it", show.Name(f.resume), name)
		}
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r train.Reporter) error {
		var goal train.Goal
		switch {
		case slices.Contains(given, "epochs"):
			goal.Epochs = c.Epochs
		case slices.Contains(given, "time"):
			goal.Minutes = c.Minutes
		}
		d, err := f.device.open()
		if err == nil {
			_, err = train.Extend(ctx, f.resume, goal, train.Options{Reporter: r, Threads: c.Threads,
				Workers: c.Workers, Device: d, Group: f.group, Ranks: ranks.about, Notes: ranks.notes,
				TensorBoard: f.tensorboard})
		}
		return err
	}, nil
}

// resumable are the flags that may be given with --resume.
var resumable = []string{"threads", "workers", "epochs", "time"}

// configuration lays the file and the flags over the recipe.
func (f *pretrainFlags) configuration(config *configFlags) (recipe.Config, error) {
	name, method, err := config.chosen(f.recipe, f.config)
	if err != nil {
		return recipe.Config{}, usageError{err}
	}
	if name == "" {
		name = recipe.Default
		if f.config == "" && f.resume == "" && config.flags.Changed("data") && !config.flags.Changed("pairs") {
			name = vicreg.RecipeOf(config.images())
		}
	}
	c, err := recipe.LoadFor(name, method)
	if err != nil {
		return c, usageError{err}
	}
	recipes := c.Encoder
	if f.config != "" {
		if err := c.MergeFile(f.config); err != nil {
			return c, usageError{err}
		}
		c.Recipe = name
	}
	config.apply(&c)
	config.widths(&c, f.config)
	config.leaveEpochs(&c)
	if config.flags.Changed("epochs") || config.flags.Changed("time") {
		c.Replanned = nil // a run of its own length
	}
	if (c.EncoderB != nil || c.ExpanderB != "") && !config.flags.Changed("branches") {
		c.Branches = "separate"
	}
	config.suit(&c, recipes, f.config)
	if f.out != "" {
		c.Out = f.out
	}
	if f.init != "" {
		if c, err = f.from(c, config); err != nil {
			return c, err
		}
	}
	given := config.given()
	if err := cmp.Or(contradiction(given), ofPairs(given, &c), idle(given, &c)); err != nil {
		return c, err
	}
	if f.resume != "" {
		if err := train.Check(c); err != nil {
			return c, usageError{err}
		}
		return c, nil // another configuration counts
	}
	if len(c.Open()) > 0 { // the memory counts when all is chosen
		if err := train.Check(c); err != nil {
			return c, usageError{err}
		}
		return c, nil
	}
	// Whether a limit leaves a batch comes after whether the batch fits into memory.
	free := c
	free.Data.Limit = 0
	for _, c := range []recipe.Config{free, c} {
		err := train.Check(c)
		if err == nil && !f.device.far() && group.Or(f.group).Size() == 1 { // of several, each takes a part
			_, err = reckon.Check(c, reckon.Data{})
		}
		if err != nil {
			return c, usageError{err}
		}
	}
	return c, nil
}

// from has c start from the weights that --init names. Flags must not ask for another
// network; size and expanders may be others.
func (f *pretrainFlags) from(c recipe.Config, config *configFlags) (recipe.Config, error) {
	asked := c
	c, err := train.From(c, f.init)
	if err != nil {
		return c, err
	}
	for _, part := range []struct {
		flag       string
		asked, has any
	}{
		{"branches", asked.Branches, c.Branches},
		{"encoder", asked.Encoder.Arch, c.Encoder.Arch},
		{"encoder-a", asked.Encoder.Arch, c.Encoder.Arch},
		{"width", asked.Encoder.Width, c.Encoder.Width},
		{"stem", asked.Encoder.Stem, c.Encoder.Stem},
		{"channels", asked.Channels, c.Channels},
		{"encoder-b", asked.EncoderOf(1).Arch, c.EncoderOf(1).Arch},
		{"width-b", asked.EncoderOf(1).Width, c.EncoderOf(1).Width},
	} {
		if config.flags.Changed(part.flag) && part.asked != part.has {
			return c, usagef("--%s is %v, but the weights of %s are of %v; leave --%[1]s out, or --init", part.flag, part.asked, show.Name(f.init), part.has)
		}
	}
	if config.flags.Changed("size") {
		c.Size = asked.Size
	}
	if config.flags.Changed("expander") {
		c.Expander, c.ExpanderB = asked.Expander, asked.ExpanderB
	}
	if config.flags.Changed("expander-b") {
		c.ExpanderB = asked.ExpanderB
	}
	return c, nil
}

// contradiction finds given flags of which only one can count.
func contradiction(given []string) error {
	for _, two := range []struct{ one, other, why string }{
		{"encoder", "encoder-a", "--encoder and --encoder-a are the same"},
		{"time", "epochs", "--time says for how long to train and --epochs for how many epochs"},
		{"data", "pairs", "--data names images and --pairs a table of pairs"},
	} {
		if slices.Contains(given, two.one) && slices.Contains(given, two.other) {
			return usagef("%s; give one", two.why)
		}
	}
	return nil
}
