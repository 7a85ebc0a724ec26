package vicreg

import (
	"context"
	"fmt"
	"time"

	"vicreg/internal/dataset"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

// Recipes returns the names of the built-in recipes, the default first: quick, photos,
// fashion-mnist, cifar, imagenet-100ep, imagenet-1000ep.
func Recipes() []string { return recipe.Names() }

// Recipe returns the configuration of a built-in recipe, with method vicreg; an empty name
// is quick. An unknown name is an error.
func Recipe(name string) (Config, error) { return RecipeFor(name, "") }

// RecipeFor returns a built-in recipe with a method's own heads, constants, views and
// optimizer laid over it. An empty name is quick, an empty method leaves vicreg.
func RecipeFor(name, method string) (Config, error) {
	if name == "" {
		name = recipe.Default
	}
	return configOf(recipe.LoadFor(name, method))
}

// RecipeOf returns the name of the recipe that the command takes for a source of images
// when none is named: photos for images of your own, quick for the known data sets.
func RecipeOf(source string) string {
	if dataset.Own(source) {
		return recipe.Photos
	}
	return recipe.Default
}

// Methods returns the names of the self-supervised systems that RecipeFor and
// Config.Method take, vicreg first. There is supervised besides, a baseline that learns
// from labels.
func Methods() []string { return recipe.Methods() }

// ErrInterrupted is matched (by errors.Is) by the error of a run whose context ended and
// that has saved itself.
var ErrInterrupted = train.ErrInterrupted

// Run is a run that has ended.
type Run struct {
	Folder  string  // Open takes it
	Summary Summary // figures and scores
}

// Option changes how Pretrain, Resume and Preview work, not what they compute: the With
// functions make some.
type Option struct{ set func(*train.Options) error }

// WithReporter has r told how the run goes. Without it nobody is.
func WithReporter(r Reporter) Option {
	return Option{func(o *train.Options) error {
		o.Reporter = teller{r}
		return nil
	}}
}

// WithMachine overrides how many goroutines compute and how many decode and augment; 0
// leaves what the configuration says. See Config.Threads.
func WithMachine(threads, workers int) Option {
	return Option{func(o *train.Options) error {
		o.Threads, o.Workers = threads, workers
		return nil
	}}
}

// WithTensorBoard has the run write event files that TensorBoard reads into its folder
// tensorboard: the figures of every step and epoch, how the standard deviations of the
// embedding are spread, and views of the first images. A run that goes on writes them again
// without being told.
func WithTensorBoard() Option {
	return Option{func(o *train.Options) error {
		o.TensorBoard = true
		return nil
	}}
}

func collect(options []Option) (o train.Options, err error) {
	for _, option := range options {
		if option.set != nil && err == nil {
			err = option.set(&o)
		}
	}
	return o, err
}

// From returns c as a run that starts from the weights of another one, running,
// stopped or ended, or of a model's file: with its networks, and with the size, the
// channels and the normalisation of what they read; the expander only if the method is
// the same. What is changed in it afterwards must leave the encoder as it is. The
// optimizer and the schedule start anew, and scores are compared with random weights.
func From(c Config, run string) (Config, error) { return configOf(train.From(c.inner(), run)) }

// Pretrain trains an encoder as c says and scores it, and leaves a folder behind with the
// model, the configuration and the log. An empty c.Out means a new folder under runs. A
// mistake in c, data that cannot be read, too little memory and a loss that is no number
// are errors, a sentence each.
//
// When ctx ends, Pretrain finishes the step, saves everything and returns an error that
// matches ErrInterrupted; [Resume] goes on. A configuration whose Seed and data are the
// same gives the same model bit for bit on the same kind of processor.
func Pretrain(ctx context.Context, c Config, options ...Option) (*Run, error) {
	defer threads()()
	o, err := collect(options)
	if err != nil {
		return nil, err
	}
	folder, s, err := train.Pretrain(ctx, c.inner(), o)
	return ended(folder, s, err)
}

// Resume goes on with the run in folder from its last checkpoint. The run ends with the
// same bits as one that was never stopped. Of a run that has ended it returns the summary;
// a folder that holds none is an error.
func Resume(ctx context.Context, folder string, options ...Option) (*Run, error) {
	return extend(ctx, folder, train.Goal{}, options)
}

// Extend is [Resume] of a run that is to have so many epochs in all, more or fewer than
// planned; one that has ended goes on. In a tenth of the epochs that are left, 10 at
// most, the learning rate goes back to its peak, and from there in a cosine to the end;
// in a run that becomes shorter, or is in its warm-up, to where a run of the new length
// would be.
func Extend(ctx context.Context, folder string, epochs int, options ...Option) (*Run, error) {
	if epochs < 1 {
		return nil, fmt.Errorf("epochs is %d, but must be at least 1", epochs)
	}
	return extend(ctx, folder, train.Goal{Epochs: epochs}, options)
}

// ExtendFor is [Extend] to as many epochs as the run does in about so long, judged by
// those it has done.
func ExtendFor(ctx context.Context, folder string, d time.Duration, options ...Option) (*Run, error) {
	if d <= 0 {
		return nil, fmt.Errorf("a time of %s is none to train for", d)
	}
	return extend(ctx, folder, train.Goal{Minutes: d.Minutes()}, options)
}

func extend(ctx context.Context, folder string, goal train.Goal, options []Option) (*Run, error) {
	defer threads()()
	o, err := collect(options)
	if err != nil {
		return nil, err
	}
	s, err := train.Extend(ctx, folder, goal, o)
	return ended(folder, s, err)
}

// ended is a run with its summary, unless it failed.
func ended(folder string, s *runlog.Summary, err error) (*Run, error) {
	if err != nil {
		return nil, err
	}
	return &Run{folder, outer[Summary](*s)}, nil
}

// Preview says what Pretrain would do with c, and makes no folder. It looks at the data,
// chooses what c leaves open, and times a few steps, which takes seconds.
func Preview(ctx context.Context, c Config, options ...Option) (*Forecast, error) {
	defer threads()()
	o, err := collect(options)
	if err != nil {
		return nil, err
	}
	f, err := train.Preview(ctx, c.inner(), o)
	if err != nil {
		return nil, err
	}
	p := outer[Forecast](*f)
	return &p, nil
}

// SetThreads sets how many goroutines of this process compute, of all models and losses
// together; 0, which is the default: one for each processor (GOMAXPROCS). Results do not
// depend on it. Call it before anything computes, not meanwhile. A run has Config.Threads,
// and leaves what SetThreads set when it has ended.
func SetThreads(n int) { parallel.SetWorkers(n) }

// threads returns a function that sets how many goroutines compute to what it is now.
func threads() (restore func()) {
	n := parallel.Workers()
	return func() { parallel.SetWorkers(n) }
}
