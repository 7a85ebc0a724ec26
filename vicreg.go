package vicreg

import (
	"context"
	"fmt"
	"time"

	"vicreg/internal/dataset"
	"vicreg/internal/method"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/runlog"
	"vicreg/internal/train"
)

// Config is everything a run is.
type Config = recipe.Config

// Data says which images to take.
type Data = recipe.Data

// RecipeOf returns the name of the recipe for a source of images that is given
// without one.
func RecipeOf(source string) string {
	if dataset.Own(source) {
		return recipe.Photos
	}
	return recipe.Default
}

// Recipes returns the names of the built-in recipes, the default first.
func Recipes() []string { return recipe.Names() }

// Recipe returns the configuration of a built-in recipe.
func Recipe(name string) (Config, error) { return recipe.Load(name) }

// Methods returns the names of the systems that Config.Method may name, VICReg
// first.
func Methods() []string { return recipe.Methods() }

// RecipeFor returns a built-in recipe with a method's own heads, constants,
// views and optimizer laid over it. An empty method leaves the recipe's.
func RecipeFor(name, method string) (Config, error) {
	if method == "" {
		return recipe.Load(name)
	}
	return recipe.LoadFor(name, method)
}

// Check returns the first mistake in a configuration, as far as it can be seen
// without the data. Pretrain begins with it.
func Check(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.Filled()
	if err := method.Check(c, method.Data{}); err != nil {
		return err
	}
	_, err := reckon.Run(c, reckon.Data{}) // finds networks that cannot be built
	return err
}

// What a run reports while it goes and when it has ended.
type (
	Reporter = train.Reporter
	Plan     = train.Plan
	Step     = runlog.Step
	Epoch    = runlog.Epoch
	Warning  = runlog.Warning
	Summary  = runlog.Summary
)

// ErrInterrupted is matched by the error of a run whose context was cancelled
// and that has saved itself.
var ErrInterrupted = train.ErrInterrupted

// Run is a run that has ended.
type Run struct {
	Folder  string
	Summary Summary
}

// Option changes how Pretrain and Resume work, not what they compute.
type Option func(*train.Options)

// WithReporter has r told how the run goes.
func WithReporter(r Reporter) Option { return func(o *train.Options) { o.Reporter = r } }

// WithMachine overrides how many goroutines compute and how many decode and
// augment; 0 leaves what the configuration says.
func WithMachine(threads, workers int) Option {
	return func(o *train.Options) { o.Threads, o.Workers = threads, workers }
}

// SetThreads sets how many goroutines of this process compute, of all runs, models and
// losses together; 0, which is the default: one for each processor (GOMAXPROCS). Results
// do not depend on it. Call it before anything computes, not meanwhile.
func SetThreads(n int) { parallel.SetWorkers(n) }

// Pretrain trains an encoder as c says and scores it. An empty c.Out means a
// new folder under runs. When ctx is cancelled it finishes the step, saves
// everything and returns an error that matches ErrInterrupted.
func Pretrain(ctx context.Context, c Config, options ...Option) (*Run, error) {
	folder, s, err := train.Pretrain(ctx, c, collect(options))
	if err != nil {
		return nil, err
	}
	return &Run{folder, *s}, nil
}

// Forecast is what a run would do, how long it would take and how much memory.
type Forecast = train.Forecast

// Preview says what Pretrain would do with c, and makes no folder. It looks at the
// data, chooses what c leaves open, and times a few steps.
func Preview(ctx context.Context, c Config, options ...Option) (*Forecast, error) {
	return train.Preview(ctx, c, collect(options))
}

// Resume goes on with the run in folder from its last checkpoint. The run ends
// with the same bits as one that was never stopped.
func Resume(ctx context.Context, folder string, options ...Option) (*Run, error) {
	s, err := train.Resume(ctx, folder, collect(options))
	if err != nil {
		return nil, err
	}
	return &Run{folder, *s}, nil
}

// Extend is Resume of a run that is to have so many epochs in all, more or fewer than
// planned; one that has ended goes on. From where it stands, the learning rate passes
// in a tenth of the epochs that are left, in 10 at most, to where a run of the new
// length would be, and goes on as in one.
func Extend(ctx context.Context, folder string, epochs int, options ...Option) (*Run, error) {
	if epochs < 1 {
		return nil, fmt.Errorf("epochs is %d, but must be at least 1", epochs)
	}
	return extend(ctx, folder, train.Goal{Epochs: epochs}, options)
}

// ExtendFor is Extend to as many epochs as the run does in about so long, judged by
// those it has done.
func ExtendFor(ctx context.Context, folder string, d time.Duration, options ...Option) (*Run, error) {
	if d <= 0 {
		return nil, fmt.Errorf("a time of %s is none to train for", d)
	}
	return extend(ctx, folder, train.Goal{Minutes: d.Minutes()}, options)
}

func extend(ctx context.Context, folder string, goal train.Goal, options []Option) (*Run, error) {
	s, err := train.Extend(ctx, folder, goal, collect(options))
	if err != nil {
		return nil, err
	}
	return &Run{folder, *s}, nil
}

func collect(options []Option) train.Options {
	var o train.Options
	for _, set := range options {
		set(&o)
	}
	return o
}
