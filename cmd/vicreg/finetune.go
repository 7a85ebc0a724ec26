package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

// tuneFlags are the flags of finetune that are no part of a configuration.
type tuneFlags struct {
	protocol, config, out, resume  string
	branch                         string
	json, quiet, plan, tensorboard bool
	device                         *deviceFlag
	confusion                      *confusionFlag
	guard                          guard

	flags *pflag.FlagSet
}

func newFinetune() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "finetune RUN",
		Short: "Teach a run's encoder classes, on all labelled images or a share of them",
		Long: `Trains a linear classifier on the encoder of a run folder (or of a
model.safetensors file), and the encoder itself at a rate of its own, and scores the
classifier on the images held out. What it does by default is the paper's protocol for
few labels: random crops and flips, SGD with a cosine over 20 epochs. --protocol names
it or another one:

  ` + strings.Join(vicreg.Protocols(), "\n  ") + `

--fraction takes a share of each class, --subset the images that a file names, such as
ImageNet's official lists. --freeze leaves the first stages of the encoder as they
are, or all of it, which is a linear probe. --from-scratch begins with a random encoder
of the same kind, to compare with. Any recipe of views may be given by --config.

It writes a run folder like pretrain's: Ctrl-C saves everything, --resume goes on to the
same result, and eval, embed and info work on it.`,
		Example: `  vicreg finetune runs/photos --data labelled/
  vicreg finetune runs/photos --data labelled/ --fraction 0.01
  vicreg finetune runs/photos --data labelled/ --fraction 0.01 --from-scratch
  vicreg finetune runs/released --data imagenet --subset 1percent.txt --protocol semi-1percent
  vicreg finetune runs/photos --data labelled/ --freeze stem,layer1,layer2
  vicreg finetune --resume runs/semi-10percent`,
	}
	f := new(tuneFlags)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	config.holdout()
	flags.StringVar(&f.protocol, "protocol", "", "`protocol` to follow: "+strings.Join(vicreg.Protocols(), ", ")+" (default "+ofFew+" for less than a twentieth of the images, else "+ofMore+", on all images unless --fraction or --subset)")
	flags.StringVar(&f.config, "config", "", "YAML `file` laid over the protocol")
	config.tune()
	flags.StringVar(&f.out, "out", "", "run `folder` to create (default a new one under runs)")
	flags.StringVar(&f.resume, "resume", "", "go on with the run in `folder`")
	flags.StringVar(&f.branch, "branch", "", "encoder `a` or b, of a run with two")
	config.precision()
	config.machine()
	f.device = newDeviceFlag(flags)
	f.confusion = newConfusionFlag(flags, "the classifier")
	f.guard.forcible(flags)
	flags.BoolVar(&f.tensorboard, "tensorboard", false, "write event files for TensorBoard as well")
	flags.BoolVar(&f.plan, "plan", false, "only say what the run would be, how long it would take and how much memory; with --json as an object")
	flags.BoolVar(&f.quiet, "quiet", false, "print nothing but warnings, notes and errors")
	flags.BoolVar(&f.json, "json", false, "print JSON lines: every step, epoch and warning, and the summary at the end")
	f.flags = flags
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if (f.resume != "" || f.config != "") && len(args) == 0 {
			return nil
		}
		return oneArg("run folder")(cmd, args)
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error { return f.run(args, config) }
	return cmd
}

// Protocols that finetune takes by itself.
const (
	ofFew  = "semi-1percent"
	ofMore = "semi-10percent"
	few    = 0.05
)

// tune binds the flags of a run that teaches classes.
func (f *configFlags) tune() {
	s, i, x, l := f.flags.String, f.flags.Int, f.flags.Float64, f.flags.StringSlice
	bind(f, x, "fraction", "`share` of each class to train on, such as 0.01; 1: all", func(c *recipe.Config) *float64 { return &c.Tune.Fraction })
	bind(f, s, "subset", "`file` of the images to train on, a name or path a line", func(c *recipe.Config) *string { return &c.Tune.Subset })
	bind(f, l, "freeze", "first `stages` to leave as they are: stem,layer1,… of a ResNet, or all", func(c *recipe.Config) *[]string { return &c.Tune.Freeze })
	bind(f, f.flags.Bool, "from-scratch", "begin with random weights instead of the run's", func(c *recipe.Config) *bool { return &c.Tune.Scratch })
	bind(f, x, "encoder-lr", "learning `rate` of the encoder for a batch of 256; it grows with the batch", func(c *recipe.Config) *float64 { return &c.Tune.EncoderLR })
	bind(f, x, "head-lr", "learning `rate` of the classifier, likewise", func(c *recipe.Config) *float64 { return &c.Optimizer.BaseLR })
	bind(f, s, "statistics", "`kind` of statistics where the encoder learns: batch, or running, which stay as they are", func(c *recipe.Config) *string { return &c.Tune.Statistics })
	bind(f, x, "weight-decay", "`factor` of the weights added to their gradients", func(c *recipe.Config) *float64 { return &c.Optimizer.WeightDecay })
	bind(f, i, "epochs", "`passes` over the images", func(c *recipe.Config) *int { return &c.Epochs })
	f.batch()
	f.pieces()
	bind(f, i, "size", "width and height of a view, in `pixels` (default the run's)", func(c *recipe.Config) *int { return &c.Size })
	bind(f, f.flags.Uint64, "seed", "`number` that fixes every random choice", func(c *recipe.Config) *uint64 { return &c.Seed })
	bind(f, i, "eval-every", "`epochs` between scores of the classifier; 0: only at the end", func(c *recipe.Config) *int { return &c.Eval.Every })
	bind(f, f.flags.Float64, "checkpoint-every", "`minutes` between checkpoints, besides one at each epoch", func(c *recipe.Config) *float64 { return &c.CheckpointMinutes })
}

func (f *tuneFlags) run(args []string, config *configFlags) error {
	for name, value := range map[string]string{"protocol": f.protocol, "config": f.config, "out": f.out, "resume": f.resume} {
		if f.flags.Changed(name) && value == "" {
			return usagef("--%s is empty; give it a name or leave it out", name)
		}
	}
	if f.json && f.quiet {
		return usagef("--json and --quiet contradict each other; give one")
	}
	if f.plan && f.flags.Changed("confusion") {
		return usagef("--plan trains nothing, so there is no --confusion to write; give one of them")
	}
	if f.plan {
		return f.preview(args, config)
	}
	start, err := f.job(args, config)
	if err != nil {
		return err
	}
	if err := f.begin(args, config); err != nil {
		return err
	}
	defer f.confusion.close()
	report := newReporter(f.json, f.quiet, f.resume)
	return carryOut(func(ctx context.Context, r train.Reporter) error {
		s, err := start(ctx, r)
		if err != nil || s == nil || s.Classifier == nil {
			return err
		}
		notes, err := f.confusion.write(outcomeOf(s.Classifier))
		if err == nil && len(notes) > 0 && !f.json && !f.quiet {
			writeNotes(stdout, notes)
		}
		return err
	}, report)
}

// begin begins to write the confusion matrix, if one is wanted, outside the data and other
// runs.
func (f *tuneFlags) begin(args []string, config *configFlags) error {
	if !f.flags.Changed("confusion") {
		return nil
	}
	c, err := f.configuration(args, config)
	if f.resume != "" {
		c, err = recipe.ReadFile(filepath.Join(f.resume, runlog.ConfigFile))
	}
	if err != nil {
		return err
	}
	f.guard.reads(f.config)
	f.guard.config(&c)
	if c.Tune != nil {
		f.guard.reads(c.Tune.Subset)
	}
	for _, run := range args {
		f.guard.reads(run)
	}
	return f.confusion.open(f.flags, &f.guard)
}

// tuning carries out a run that teaches classes.
type tuning func(context.Context, train.Reporter) (*runlog.Summary, error)

// job returns what the flags ask for: a new run or an old one resumed.
func (f *tuneFlags) job(args []string, config *configFlags) (tuning, error) {
	if f.resume != "" {
		return f.goOn(args, config)
	}
	c, err := f.configuration(args, config)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r train.Reporter) (s *runlog.Summary, err error) {
		d, err := f.device.open()
		if err == nil {
			_, s, err = train.Pretrain(ctx, c, train.Options{Reporter: r, Device: d, TensorBoard: f.tensorboard})
		}
		return s, err
	}, nil
}

// goOn is job for a run that is there.
func (f *tuneFlags) goOn(args []string, config *configFlags) (tuning, error) {
	given := config.given()
	for name, value := range map[string]string{"protocol": f.protocol, "config": f.config, "out": f.out, "branch": f.branch} {
		if value != "" {
			given = append(given, name)
		}
	}
	slices.Sort(given)
	for _, name := range given {
		if name != "threads" && name != "workers" {
			return nil, usagef("--resume goes on with %s as it was configured, so --%s cannot be given with it", show.Name(f.resume), name)
		}
	}
	if len(args) > 0 {
		return nil, usagef("--resume goes on with %s, so there is no encoder to name beside it, but %s is given", show.Name(f.resume), show.Name(args[0]))
	}
	switch tuned, err := train.Tuned(f.resume); {
	case err != nil:
		return nil, fmt.Errorf("there is no run to go on with: %w", err)
	case !tuned:
		return nil, fmt.Errorf("%s is no run of finetune; vicreg pretrain --resume %[1]s goes on with it", show.Name(f.resume))
	}
	c := recipe.Config{Tune: new(recipe.Tune)}
	config.apply(&c)
	return func(ctx context.Context, r train.Reporter) (s *runlog.Summary, err error) {
		d, err := f.device.open()
		if err == nil {
			o := train.Options{Reporter: r, Threads: c.Threads, Workers: c.Workers, Device: d,
				TensorBoard: f.tensorboard}
			s, err = train.Resume(ctx, f.resume, o)
		}
		return s, err
	}, nil
}

// configuration lays the run's encoder, the file and the flags over the protocol.
func (f *tuneFlags) configuration(args []string, config *configFlags) (c recipe.Config, err error) {
	asked := recipe.Config{Tune: new(recipe.Tune)}
	config.apply(&asked)
	changed := f.flags.Changed
	if changed("fraction") && asked.Tune.Fraction == 0 {
		return c, usagef("--fraction is 0, which leaves no images; give a share above 0, or 1 for all")
	}
	name, linear := f.protocol, slices.Contains(asked.Tune.Freeze, recipe.All)
	if f.config != "" {
		file := recipe.Config{Tune: new(recipe.Tune)}
		if err := file.MergeFile(f.config); err != nil {
			return c, usageError{err}
		}
		name, linear = cmp.Or(name, file.Tune.Protocol), linear || file.Tune.Frozen()
	}
	own := name == ""
	if own {
		switch name = ofMore; {
		case linear:
			name = recipe.Linear
		case changed("fraction") && asked.Tune.Fraction < few:
			name = ofFew
		}
	}
	if c, err = recipe.LoadProtocol(name); err != nil {
		return c, usageError{err}
	}
	if own || changed("subset") {
		c.Tune.Fraction = 0
	}
	if own {
		c.Tune.Protocol, c.Description = "", "labelled images, at the rates of "+name
	}
	if linear {
		c.Tune.EncoderLR = 0
	}
	c.Tune.Scratch = asked.Tune.Scratch
	branch := 0
	switch f.branch {
	case "", "a":
	case "b":
		branch = 1
	default:
		return c, usagef("--branch is %q, but the encoders of a run are a and b", f.branch)
	}
	if len(args) > 0 {
		if c, err = train.TuneFrom(c, args[0], branch); err != nil {
			return c, err
		}
	}
	if f.config != "" {
		start := c.Init
		if err := c.MergeFile(f.config); err != nil {
			return c, usageError{err}
		}
		if len(args) > 0 {
			c.Init = start
		}
		if c.Init == nil && !c.Tune.Scratch {
			return c, usagef("%s names no encoder to begin with; give a run folder, or --from-scratch", show.Name(f.config))
		}
	}
	config.apply(&c)
	if c.Tune.Statistics == "batch" {
		c.Tune.Statistics = ""
	}
	if f.out != "" {
		c.Out = f.out
	}
	if !changed("data") && f.config == "" {
		return c, usagef("--data is missing: name a folder of images, a file or a known data set")
	}
	free := c
	free.Data.Limit = 0
	for _, c := range []recipe.Config{free, c} {
		err := train.Check(c)
		if err == nil && !f.device.far() {
			_, err = reckon.Check(c, reckon.Data{})
		}
		if err != nil {
			return c, usageError{err}
		}
	}
	return c, nil
}

// preview says what the run would do.
func (f *tuneFlags) preview(args []string, config *configFlags) error {
	if f.resume != "" {
		return usagef("--plan is of a new run, and --resume goes on with an old one; give one")
	}
	c, err := f.configuration(args, config)
	if err != nil {
		return err
	}
	return previewRun(c, f.device, f.json)
}

// top is what a classifier gets right, in short.
func top(c runlog.Classified) string {
	if c.Top5 == nil {
		return fmt.Sprintf("top-1 %s", percent(&c.Top1))
	}
	return fmt.Sprintf("top-1 %s  top-5 %s", percent(&c.Top1), percent(c.Top5))
}

// writeClassifier says what a trained classifier gets right.
func writeClassifier(out io.Writer, c *runlog.Classifier) {
	fmt.Fprintf(out, "The classifier: %s of %s\n", top(c.Classified), show.Count(c.Scored, "image"))
	if c.BestEpoch > 0 {
		some := ""
		if c.Best.Scored < c.Scored {
			some = fmt.Sprintf(", of %d of the images", c.Best.Scored)
		}
		fmt.Fprintf(out, "Best at the end of an epoch: %s, epoch %d%s; the last one counts\n", top(c.Best), c.BestEpoch, some)
	}
	writeClasses(out, "Classifier", outcomeOf(c))
}
