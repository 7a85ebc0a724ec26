// Package recipe holds [Config], everything a pretraining run is, and the
// recipes that come with vicreg.
//
// A run is configured in layers: a built-in recipe ([Load]), then a file
// ([Config.MergeFile]), then whatever the caller sets, and at last
// [Config.Validate]. What comes out is written to the run's folder in full.
package recipe

import (
	"cmp"
	"embed"
	"fmt"
	"strings"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/imagefile"
	"vicreg/internal/model"
)

// Config is everything a run is. Its YAML form is the file in a run's folder
// and the form of a recipe.
type Config struct {
	Recipe      string `yaml:"recipe,omitempty"` // the built-in recipe it grew from
	Description string `yaml:"description,omitempty"`

	Method string `yaml:"method"` // one of Methods
	Seed   uint64 `yaml:"seed"`
	Out    string `yaml:"out,omitempty"` // the run's folder

	Data      Data      `yaml:"data"`
	Pairs     *Pairs    `yaml:"pairs,omitempty"` // of another kind than images
	Size      int       `yaml:"size"`            // pixels, width and height of a view
	Channels  int       `yaml:"channels"`        // 1 grey, 3 colour, up to 16 of other images, 0 as the data
	Normalize Normalize `yaml:"normalize"`
	Views     Views     `yaml:"views"`

	Branches  string   `yaml:"branches"` // shared or separate: whether both views go through the same weights
	Encoder   Encoder  `yaml:"encoder"`
	EncoderB  *Encoder `yaml:"encoder_b,omitempty"`  // of the second branch, if it is another; then branches are separate
	Expander  string   `yaml:"expander"`             // widths of its layers, as 8192-8192-8192
	ExpanderB string   `yaml:"expander_b,omitempty"` // of the second branch, if it is another
	Heads     Heads    `yaml:"heads"`
	Loss      Loss     `yaml:"loss"`

	// What methods other than VICReg have; see Machinery for which.
	Momentum    Momentum   `yaml:"momentum_encoder,omitempty"`
	Temperature float64    `yaml:"temperature,omitempty"` // of a softmax over cosines
	Queue       Queue      `yaml:"queue,omitempty"`
	Prototypes  Prototypes `yaml:"prototypes,omitempty"`
	Redundancy  Redundancy `yaml:"redundancy,omitempty"`
	Whitening   Whitening  `yaml:"whitening,omitempty"`
	Regularize  Regularize `yaml:"regularize,omitempty"`

	Init *Init `yaml:"init,omitempty"` // the weights that the run starts from; none: random ones
	Tune *Tune `yaml:"tune,omitempty"` // what an encoder is taught classes by; none: another run

	// Minutes of training for which the number of epochs is chosen. If it is above 0,
	// these are open: a size, batch or number of epochs of 0, an empty stem, and a
	// warm-up or an eval.every of -1. What suits the data and the machine is chosen
	// before the run begins.
	Minutes float64 `yaml:"minutes"`

	Batch      int `yaml:"batch"`                 // images, of which two views each are made
	MicroBatch int `yaml:"micro_batch,omitempty"` // images that go through the network together, while the loss is that of the batch; 0: all

	// SyncNorm has processes that train together normalise by the statistics of the whole
	// batch, as the released code does. Without it each uses those of its own rows.
	SyncNorm bool `yaml:"sync_norm"`

	Epochs    int       `yaml:"epochs"`
	Warmup    float64   `yaml:"warmup"` // epochs
	Optimizer Optimizer `yaml:"optimizer"`
	Replanned []Replan  `yaml:"replanned,omitempty"` // the plans before this one, of a run whose number of epochs was changed on the way

	Eval              Eval    `yaml:"eval"`
	CheckpointMinutes float64 `yaml:"checkpoint_minutes"` // besides the end of each epoch
	LogEvery          int     `yaml:"log_every"`          // steps between lines of metrics.jsonl

	Workers   int    `yaml:"workers"`   // that decode and augment; 0: one for each processor
	Threads   int    `yaml:"threads"`   // that compute; 0: one for each processor
	Precision string `yaml:"precision"` // of products in the encoder: float32, tf32 or bf16
}

// Data says which images to train on. See package dataset for the sources.
type Data struct {
	Source  string  `yaml:"source"`  // sample, fashion-mnist, a folder or a file
	Labels  string  `yaml:"labels"`  // auto, folders, leaf, none, a pattern of names, or a file
	Limit   int     `yaml:"limit"`   // take this many images, spread evenly; 0: all
	Holdout float64 `yaml:"holdout"` // share of labelled images kept for scoring where the data has no test set

	MaxPixels float64  `yaml:"max_pixels,omitempty"` // millions of pixels that an image may have; 0: 100
	MaxBad    *float64 `yaml:"max_bad,omitempty"`    // share of images, or rows of pairs, that may be unusable; none: 0.1

	Bands  []int  `yaml:"bands,flow,omitempty"` // numbers of the channels of files that images have, from 1, in this order; none: all
	Values string `yaml:"values,omitempty"`     // Raw: those of the files; empty: 0 to 1, of pictures of 8 bits
}

// Raw is the name of values that are those of the files.
const Raw = "raw"

// Limits are what may be read of an image, and what of it.
func (d Data) Limits() imagefile.Limits {
	return imagefile.Limits{Pixels: d.Pixels(), Bands: d.Bands, Raw: d.Values == Raw}
}

// Pixels returns the most pixels that an image may have, 0 for the usual limit.
func (d Data) Pixels() int64 { return int64(d.MaxPixels * 1e6) }

// Normalize holds mean and standard deviation by channel, of pixels in [0, 1] or of raw
// values; empty means measured on the training images.
type Normalize struct {
	Mean []float64 `yaml:"mean,flow"`
	Std  []float64 `yaml:"std,flow"`
}

// Init says whose weights a run starts from.
type Init struct {
	Path string `yaml:"path"`               // of a run's folder or a model's file
	Sum  string `yaml:"crc32c,omitempty"`   // of the model's file, found when the run begins
	SumB string `yaml:"crc32c_b,omitempty"` // of the second branch's
}

// Encoder is the network that is kept. See package model.
type Encoder struct {
	Arch  string `yaml:"arch"`
	Width int    `yaml:"width"`           // channels of the first stage; 64 is the usual ResNet
	Stem  string `yaml:"stem"`            // small: 3×3, no pool; imagenet: 7×7/2 and max-pool
	Patch int    `yaml:"patch,omitempty"` // pixels, of a vision transformer

	// Of a vision transformer, where they are not those of its name.
	Dim       int    `yaml:"dim,omitempty"`
	Blocks    int    `yaml:"blocks,omitempty"`
	Heads     int    `yaml:"heads,omitempty"`
	Pool      string `yaml:"pool,omitempty"`      // class (default) or mean
	Positions string `yaml:"positions,omitempty"` // learned (default) or sincos

	ZeroInitResidual bool `yaml:"zero_init_residual"`
}

// Loss holds VICReg's coefficients. See package loss.
type Loss struct {
	Convention string  `yaml:"convention"` // released, formula or pseudocode
	Lambda     float64 `yaml:"lambda"`     // of the invariance term
	Mu         float64 `yaml:"mu"`         // of the variance term
	Nu         float64 `yaml:"nu"`         // of the covariance term
	Gamma      float64 `yaml:"gamma"`      // target standard deviation
	Eps        float64 `yaml:"eps"`        // under the root of the variance

	MuB *float64 `yaml:"mu_b,omitempty"` // of the second branch's variance, if it is to have its own
	NuB *float64 `yaml:"nu_b,omitempty"` // of the second branch's covariance
}

// Optimizer names one and holds its constants and those of the schedule. The
// learning rate at its peak is BaseLR·Batch/256.
type Optimizer struct {
	Name        string     `yaml:"name"` // lars, sgd or adamw
	BaseLR      float64    `yaml:"base_lr"`
	BaseLRAuto  bool       `yaml:"base_lr_auto,omitempty"` // BaseLR is chosen by the batch before the run begins
	EndLRFactor float64    `yaml:"end_lr_factor"`          // of the peak, reached at the last step
	Momentum    float64    `yaml:"momentum"`               // lars, sgd
	WeightDecay float64    `yaml:"weight_decay"`
	Eta         float64    `yaml:"eta"`        // lars: trust coefficient
	Clip        bool       `yaml:"clip"`       // lars: never more than the plain learning rate
	Nesterov    bool       `yaml:"nesterov"`   // sgd
	Betas       [2]float64 `yaml:"betas,flow"` // adamw
	Eps         float64    `yaml:"eps"`        // adamw
	DecayAll    bool       `yaml:"decay_all"`  // sgd, adamw: weight decay on biases and normalisation as well
}

// PeakLR returns the learning rate after warm-up.
func (c *Config) PeakLR() float64 { return c.Optimizer.BaseLR * float64(c.Batch) / 256 }

// Eval says when and how the encoder is scored, given labels.
type Eval struct {
	Every       int     `yaml:"every"` // epochs between kNN scores; 0: only at the end
	Limit       int     `yaml:"limit"` // images of each part they are taken on, spread evenly; 0, and at the end: all
	K           int     `yaml:"k"`
	Temperature float64 `yaml:"temperature"`
}

// View is one view of an image, or several alike.
type View struct {
	augment.View `yaml:",inline"`
	Size         int `yaml:"size,omitempty"`  // pixels, width and height; 0: the run's
	Count        int `yaml:"count,omitempty"` // how many are drawn; 0: one
}

// Views are all views of an image. Every method takes two; those with
// multi-crop take more, smaller ones after them, and one that learns from labels may take
// one.
type Views []View

// Crops lists the views that batches have, each as often as it counts.
func (c *Config) Crops() []batch.View {
	var all []batch.View
	for _, v := range c.Views {
		for range max(1, v.Count) {
			all = append(all, batch.View{View: v.View, Size: cmp.Or(v.Size, c.Size)})
		}
	}
	return all
}

// Separate reports whether the branches have weights of their own.
func (c *Config) Separate() bool { return c.Branches == "separate" }

// EncoderOf returns the encoder of branch 0 or 1. Where the second says nothing it is
// like the first.
func (c *Config) EncoderOf(branch int) Encoder {
	e := c.Encoder
	if branch == 1 && c.EncoderB != nil {
		b := *c.EncoderB
		if b.Arch != "" && strings.HasPrefix(b.Arch, "resnet") != strings.HasPrefix(e.Arch, "resnet") {
			e.Width = 0 // of another family it means something else
		}
		e.Arch, e.Width, e.Stem = cmp.Or(b.Arch, e.Arch), cmp.Or(b.Width, e.Width), cmp.Or(b.Stem, e.Stem)
		e.Patch, e.ZeroInitResidual = cmp.Or(b.Patch, e.Patch), b.ZeroInitResidual || e.ZeroInitResidual
		if b.Arch != "" && b.Arch != c.Encoder.Arch { // another size
			e.Dim, e.Blocks, e.Heads = 0, 0, 0
		}
		e.Dim, e.Blocks, e.Heads = cmp.Or(b.Dim, e.Dim), cmp.Or(b.Blocks, e.Blocks), cmp.Or(b.Heads, e.Heads)
		e.Pool, e.Positions = cmp.Or(b.Pool, e.Pool), cmp.Or(b.Positions, e.Positions)
	}
	return e
}

// ExpanderOf returns the widths of the expander of branch 0 or 1.
func (c *Config) ExpanderOf(branch int) string {
	if branch == 1 && c.ExpanderB != "" {
		return c.ExpanderB
	}
	return c.Expander
}

// released are the two views of the released code.
func released() Views {
	var views Views
	for _, v := range augment.Released() {
		views = append(views, View{View: v})
	}
	return views
}

//go:embed recipes/*.yaml methods/*.yaml
var files embed.FS

// names in the order they are listed; the first is the default.
var names = []string{"quick", "photos", "fashion-mnist", "cifar", "imagenet-100ep", "imagenet-1000ep"}

// Default is the recipe of a run that names none, and Photos of one that has
// images of the user's own.
const (
	Default = "quick"
	Photos  = "photos"
)

// Names returns the built-in recipes, the default first.
func Names() []string { return append([]string(nil), names...) }

// Load returns a built-in recipe.
func Load(name string) (Config, error) {
	raw, err := files.ReadFile("recipes/" + name + ".yaml")
	if err != nil {
		return Config{}, fmt.Errorf("unknown recipe %q: the recipes are %s", name, strings.Join(names, ", "))
	}
	c := base()
	if err := c.merge(raw, "recipe "+name); err != nil {
		return Config{}, err
	}
	c.Recipe = name
	return c, nil
}

// base holds the values that recipes need not give.
func base() Config {
	return Config{
		Method:   "vicreg",
		Seed:     1,
		Views:    released(),
		Branches: "shared",
		SyncNorm: true,
		Data:     Data{Source: "sample", Labels: "auto", Holdout: 0.2},
		Encoder:  Encoder{Arch: "resnet18", Width: 64, Stem: "small"},
		Heads: Heads{Norm: true, Last: model.Plain, Predictor: None, PredictorNorm: true,
			PredictorLast: model.Bias},
		Loss: Loss{Convention: "released", Lambda: 25, Mu: 25, Nu: 1, Gamma: 1, Eps: 1e-4},
		Optimizer: Optimizer{Name: "lars", EndLRFactor: 0.001, Momentum: 0.9, Eta: 0.001,
			Betas: [2]float64{0.9, 0.999}, Eps: 1e-8},
		Eval:              Eval{Every: 1, Limit: 4000, K: 20, Temperature: 0.07},
		CheckpointMinutes: 10,
		LogEvery:          10,
		Precision:         "float32",
	}
}
