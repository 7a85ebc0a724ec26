package vicreg

import (
	"vicreg/internal/recipe"
	"vicreg/internal/train"
)

// Config is everything a run is. A zero Config is none: take one from [Recipe] or
// [RecipeFor], from [ReadConfig], and change what differs. [Check] finds mistakes, and
// [Config.SetPairs] makes a run on images one on pairs.
//
//	c, err := vicreg.RecipeFor("fashion-mnist", "simclr")
//	...
//	c.Data.Source = "photos"
//	c.Size, c.Encoder.Width = 64, 64
//	c.Optimizer = vicreg.Optimizer{Name: "adamw", BaseLR: 1e-3, WeightDecay: 0.05,
//		EndLRFactor: 0.001, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8}
//
// The defaults below are those of the recipe quick, which Recipe("") returns. Fields have
// the names of the keys in a run's config.yaml.
type Config struct {
	// Recipe is the built-in recipe it grew from, one of Recipes, or empty. Default: quick
	Recipe string

	// Description says in a line what it is for.
	// Default: the embedded sample in a few minutes, or a first look at your own images
	Description string

	// Method is the system that trains, one of Methods, or supervised, a baseline that
	// learns from labels. Change it by RecipeFor, which brings the method's heads,
	// constants, views and optimizer along. Default: vicreg
	Method string

	// Seed fixes every random choice: the same configuration gives the same bits. Default: 1
	Seed uint64

	// Out is the run's folder, to be made; empty: a new one under runs. Default: none
	Out string

	// Data says which images to take, or, with Pairs, which manifest.
	Data Data

	// Pairs has the run learn from pairs of two kinds instead of from images; see
	// Config.SetPairs. Default: none
	Pairs *Pairs

	// Size is the width and height of a view of an image, in pixels, at least 8; 0: chosen
	// (see Minutes). Default: 28
	Size int

	// Channels is 1 for grey and 3 for colour, up to 16 for images that are no pictures; 0:
	// as the images are. Default: 0
	Channels int

	// Normalize holds mean and standard deviation of pixels.
	Normalize Normalize

	// Views are how the views of an image are drawn, two or more; supervised may do with
	// one. Every method takes two; swav, deepcluster, wmse and supervised take more, smaller ones after them. Every
	// recipe shows two.
	Views []View

	// Branches says whether both views go through the same weights: shared or separate.
	// Default: shared
	Branches string

	// Encoder is the network that is kept.
	Encoder Encoder

	// EncoderB is that of the second branch, if it is another; Branches is separate then.
	// Its empty fields are as in Encoder. Default: none
	EncoderB *Encoder

	// Expander is the widths of the layers that make embeddings of representations, as
	// 8192-8192-8192. Default: 512-512-512
	Expander string

	// ExpanderB is that of the second branch, if it is another. Both must end in the same
	// width. Default: none
	ExpanderB string

	// Heads says how expander and predictor are built.
	Heads Heads

	// Loss holds the coefficients of VICReg.
	Loss LossConfig

	// Momentum is the moving average that makes the targets of byol, moco-v2 and moco-v3.
	Momentum Momentum

	// Temperature is what simclr, moco-v2, moco-v3, swav and deepcluster divide cosines
	// by, above 0. Default: 0
	Temperature float64

	// Queue holds earlier embeddings, of moco-v2 and swav.
	Queue Queue

	// Prototypes name the clusters of swav and deepcluster.
	Prototypes Prototypes

	// Redundancy holds the constants of barlow-twins.
	Redundancy Redundancy

	// Whitening holds the constants of wmse.
	Whitening Whitening

	// Regularize adds VICReg's variance and covariance to another method.
	Regularize Regularize

	// Init names the weights that the run starts from, as From fills it in; nil: random
	// ones. Default: none
	Init *Init

	// Tune makes the run one that teaches an encoder classes; [Protocol] fills it in. Method
	// is supervised then, and Optimizer.BaseLR the classifier's rate. Default: none
	Tune *Tune

	// Minutes is how long to train. Where it is above 0, a Size, Batch or Epochs of 0, an
	// empty Encoder.Stem, and a Warmup or Eval.Every of -1 are open: what suits the images
	// and the machine is chosen before the run begins, as Preview tells. Not for pairs.
	// Default: 0
	Minutes float64

	// Batch is the number of images in a step, at least 2, of which the views are made; 0:
	// chosen (see Minutes). Default: 256
	Batch int

	// MicroBatch is how many images go through the network together, at least 2, while the
	// loss and the gradients are those of the whole batch: a batch larger than the memory
	// goes through in such pieces, twice, the last of which may have fewer. Batch
	// normalisation takes its statistics of a piece. 0, or as many as Batch: all together.
	// Default: 0
	MicroBatch int

	// SyncNorm has processes that train together normalise by the statistics of the whole
	// batch; without it each uses those of its own rows, and the running statistics are
	// those of rank 0. Default: true
	SyncNorm bool

	// Epochs is how many times the run goes through the images; 0: chosen (see Minutes).
	// Default: 6
	Epochs int

	// Warmup is the epochs over which the learning rate rises from 0, whole or not; -1:
	// chosen (see Minutes). Default: 1
	Warmup float64

	// Optimizer changes the weights.
	Optimizer Optimizer

	// Replanned are the plans before this one, of a run whose number of epochs was changed on
	// the way by Extend; a new run has none. Default: none
	Replanned []Replan

	// Eval says when and how the encoder is scored, given labels.
	Eval Eval

	// CheckpointMinutes is the longest time between checkpoints, in minutes; there is one
	// at the end of each epoch anyway. 0: no others. Default: 10
	CheckpointMinutes float64

	// LogEvery is the steps between two lines of metrics.jsonl, at least 1. Default: 10
	LogEvery int

	// Workers is the goroutines that decode and augment; 0: one for each processor.
	// Results do not depend on it. Default: 0
	Workers int

	// Threads is the goroutines that compute; 0: one for each processor. Results do not
	// depend on it. It counts for the whole process while the run lasts: runs and models
	// that work side by side share them (see SetThreads). Default: 0
	Threads int

	// Precision is what numbers the products in the encoder multiply: float32, bf16
	// where the processor is faster with it, or tf32 on an NVIDIA GPU. With bf16
	// activations are stored as bfloat16 in any case. Default: float32
	Precision string
}

// Tune is how an encoder is taught classes, by a linear classifier on its representation.
type Tune struct {
	// Protocol is the name of the protocol that it grew from, one of Protocols, or empty.
	Protocol string

	// EncoderLR is the encoder's learning rate for a batch of 256, above 0; it grows with
	// the batch, as the classifier's does. 0: all of the encoder is frozen.
	EncoderLR float64

	// Freeze names the first stages of the encoder, which stay as they are, or "all" in
	// their place: a linear probe. Stages of ResNets are stem and layer1 to layer4.
	Freeze []string

	// Statistics are those of batch normalisation where the encoder learns: empty for the
	// batch's, running for those it came with, which then stay.
	Statistics string

	// Fraction is the share of each class to train on, above 0 to 1; 0: all.
	Fraction float64

	// Subset is a file that names the images to train on, one a line; empty: all.
	Subset string

	// Drops are the epochs after which the rates are divided by 10; none: a cosine to 0, by
	// epochs.
	Drops []int

	// Scratch has the encoder start from random weights, as what to compare with.
	Scratch bool

	// Resize treats images to score on that are of the size itself like all others: the
	// shorter side is resized to Size·256/224, and the middle cut out.
	Resize bool
}

// Data says which images to train on.
type Data struct {
	// Source is a folder of images, with train and test (or val) inside or not; a file or
	// folder of CIFAR or of the MNIST family; a file that vicreg pack made; fashion-mnist;
	// or sample, which is built in. With pairs it is the manifest: CSV, TSV or JSON.
	// Default: sample
	Source string

	// Labels says where classes come from, for scoring alone: auto, folders (the first on
	// an image's path), leaf (the last), none, a pattern of names as
	// {label}_{number}.jpg, or a CSV, TSV or JSON file of paths and labels. Default: auto
	Labels string

	// Limit takes so many images, spread evenly; 0: all. Default: 0
	Limit int

	// Holdout is the share of labelled images kept for scoring where the data has no test
	// set, from 0 to below 1; of pairs without a Split column, the share of rows.
	// Default: 0.2
	Holdout float64

	// MaxPixels is the most pixels that an image may have, in millions; 0: 100. Default: 0
	MaxPixels float64

	// MaxBad is the share of images (or rows) that may be unreadable, from 0 to below 1,
	// before the run ends with an error; nil: 0.1. Default: none
	MaxBad *float64

	// Bands are the numbers of the channels of files that images have, from 1, in this order,
	// as [4, 3, 2]; none: all. Default: none
	Bands []int

	// Values is raw to keep the values of files, as samples of 16 bits; empty: pictures are of
	// 8 bits, and only images that are no pictures keep theirs. Default: none
	Values string
}

// Normalize holds mean and standard deviation of each channel, of pixels from 0 to 1: one
// number each for grey, three for colour. None means measured on the training images.
type Normalize struct {
	// Mean is subtracted. Default: none
	Mean []float64

	// Std is divided by, above 0. Default: none
	Std []float64
}

// View is how one view of an image is drawn, or several alike: its steps, in the order of
// the fields. Probabilities and shares go from 0 to 1. Grey images skip what only colours
// have.
type View struct {
	// CropMin is the least share of the image's area that is kept. Default: 0.2
	CropMin float64

	// CropMax is the greatest. Default: 1
	CropMax float64

	// Ratio is the least and greatest width/height of the crop.
	// Default: 0.75 and 1.3333333333333333
	Ratio [2]float64

	// Flip is the probability to mirror left and right. Default: 0.5
	Flip float64

	// Turn is the probability of one, two or three quarter turns, each as likely: 0.75, with a
	// Flip of 0.5, for images from above, where no side is the upper one. Default: 0
	Turn float64

	// Jitter changes colours.
	Jitter Jitter

	// Grey is the probability to take all colour away. Default: 0.2
	Grey float64

	// Blur blurs.
	Blur Blur

	// Solarize inverts bright values.
	Solarize Solarize

	// Size is the width and height in pixels, at least 8; 0: Config.Size. Default: 0
	Size int

	// Count is how many such views are drawn of an image; 0: one. Default: 0
	Count int
}

// Jitter changes brightness, contrast, saturation and hue in random order: each of the
// first three by a factor between max(0, 1-x) and 1+x, the hue by up to Hue either way.
type Jitter struct {
	// P is the probability that it happens at all. Default: 0.8
	P float64

	// Brightness is the greatest change of the factor. Default: 0.4
	Brightness float64

	// Contrast likewise. Default: 0.4
	Contrast float64

	// Saturation likewise. Default: 0.2
	Saturation float64

	// Hue is in turns of the circle of colours, at most 0.5. Default: 0.1
	Hue float64
}

// Blur is a Gaussian blur.
type Blur struct {
	// P is its probability. Default: 0
	P float64

	// Sigma is the least and greatest standard deviation, in pixels; one is drawn.
	// Default: 0.1 and 2
	Sigma [2]float64
}

// Solarize inverts all values of a view that reach a threshold.
type Solarize struct {
	// P is its probability; of the two views of quick, one has 0 and one 0.2.
	// Default: 0 and 0.2
	P float64

	// Threshold is the least value that is inverted, from 0 to 256. Default: 128
	Threshold int
}

// ReadConfig reads the configuration that a run wrote into its folder, or another YAML file
// of that form. What the file does not name is as in no recipe at all: VICReg's published
// constants, and sizes that Check will ask for.
func ReadConfig(path string) (Config, error) { return configOf(recipe.ReadFile(path)) }

// MergeFile lays a YAML file over c: keys that the file does not name keep their values.
// A key that is unknown, or a value that is not one of its key, is an error with its line.
func (c *Config) MergeFile(path string) error {
	inner := c.inner()
	if err := inner.MergeFile(path); err != nil {
		return err
	}
	*c = outer[Config](inner)
	return nil
}

// YAML returns the whole configuration as a file that ReadConfig reads.
func (c Config) YAML() ([]byte, error) {
	inner := c.inner()
	return inner.YAML()
}

// PeakLR returns the learning rate after warm-up, Optimizer.BaseLR·Batch/256.
func (c Config) PeakLR() float64 { return c.Optimizer.BaseLR * float64(c.Batch) / 256 }

// Check returns the first mistake in a configuration as one sentence, as far as it can be
// seen without the data, or nil. Pretrain begins with it.
func Check(c Config) error { return train.Check(c.inner()) }
