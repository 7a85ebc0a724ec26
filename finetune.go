package vicreg

import (
	"context"
	"errors"

	"vicreg/internal/recipe"
	"vicreg/internal/train"
)

// Protocols returns the names that Protocol takes: semi-1percent, semi-10percent,
// linear-imagenet, linear-places205 and linear-inat18.
func Protocols() []string { return recipe.Protocols() }

// Protocol returns the configuration by which a run's encoder, or a model file's, is taught
// classes as a protocol says: with its network, size and normalisation, and starting from its
// weights. Data is to be filled in; Tune and Optimizer hold the rates, what is frozen and
// which share of the images is trained on. released is another name of linear-imagenet. Of a
// run with two encoders it takes the first.
//
//	c, err := vicreg.Protocol("semi-10percent", "runs/photos")
//	...
//	c.Data.Source = "labelled"
//	run, err := vicreg.Finetune(ctx, c)
//	fmt.Println(run.Summary.Classifier.Top1)
func Protocol(name, run string) (Config, error) {
	c, err := recipe.LoadProtocol(name)
	if err != nil {
		return Config{}, err
	}
	return configOf(train.TuneFrom(c, run, 0))
}

// Finetune is [Pretrain] of a configuration with a Tune, as Protocol makes one: it teaches
// an encoder classes. The summary's Classifier says what the trained classifier gets right.
// [Resume] goes on with such a run as with any other; it cannot be extended.
func Finetune(ctx context.Context, c Config, options ...Option) (*Run, error) {
	if c.Tune == nil {
		return nil, errors.New("the configuration has no Tune, so it teaches no classes; take one from Protocol")
	}
	return Pretrain(ctx, c, options...)
}
