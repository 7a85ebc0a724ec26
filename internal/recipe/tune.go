package recipe

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/settings"
)

// Tune makes a run one that teaches an encoder classes, with method supervised: a linear
// classifier on its representation, and the encoder itself as far as it is not frozen. The
// classifier's rate is the optimizer's base_lr; both rates are for a batch of 256 and grow
// with the batch. It is scored by the classifier.
type Tune struct {
	Protocol string `yaml:"protocol,omitempty"` // the protocol it grew from, one of Protocols

	EncoderLR  float64  `yaml:"encoder_lr,omitempty"`  // for a batch of 256; 0 where all of it is frozen
	Freeze     []string `yaml:"freeze,flow,omitempty"` // the first stages, which stay as they are; or all
	Statistics string   `yaml:"statistics,omitempty"`  // of batch normalisation where it learns: the batch's, or running

	Fraction float64 `yaml:"fraction,omitempty"` // share of each class to train on; 0: all of it
	Subset   string  `yaml:"subset,omitempty"`   // a file of the names to train on, one a line

	Drops   []int `yaml:"drops,flow,omitempty"` // epochs after which the rates are divided by 10; none: a cosine
	Scratch bool  `yaml:"scratch,omitempty"`    // the encoder starts from random weights
	Resize  bool  `yaml:"resize,omitempty"`     // images to score on of the size itself are resized and cut like others
}

// All, in place of stages, freezes the whole encoder: what is left is a linear probe.
const All = "all"

// Running are statistics that stay as they are.
const Running = "running"

// Frozen reports whether the run leaves the whole encoder as it is.
func (t *Tune) Frozen() bool { return t != nil && slices.Contains(t.Freeze, All) }

// Stages returns the stages that are frozen, nil of a run that freezes none or all.
func (t *Tune) Stages() []string {
	if t == nil || t.Frozen() {
		return nil
	}
	return t.Freeze
}

// EncoderShare returns what share of the classifier's rate the encoder's is.
func (c *Config) EncoderShare() float64 {
	if c.Tune == nil || c.Tune.Frozen() {
		return 0
	}
	return c.Tune.EncoderLR / c.Optimizer.BaseLR
}

//go:embed protocols/*.yaml
var protocolFiles embed.FS

// protocols in the order they are listed; the first is the default of fine-tuning.
var protocols = []string{"semi-1percent", "semi-10percent", Linear, "linear-places205", "linear-inat18"}

// Linear is the paper's linear protocol. The command also calls it Released.
const (
	Linear   = "linear-imagenet"
	Released = "released"
)

// Protocols returns the names of the protocols.
func Protocols() []string { return slices.Clone(protocols) }

// LoadProtocol returns a protocol as a configuration that lacks an encoder and data.
func LoadProtocol(name string) (Config, error) {
	if name == Released {
		name = Linear
	}
	raw, err := protocolFiles.ReadFile("protocols/" + name + ".yaml")
	if err != nil {
		return Config{}, fmt.Errorf("unknown protocol %q; known: %s, and %s for %s", name, strings.Join(protocols, ", "), Released, Linear)
	}
	c := base()
	c.Method, c.Tune = Supervised, new(Tune)
	c.Expander, c.Size = "2", 224 // until the data and the encoder are known
	if err := c.merge(raw, "protocol "+name); err != nil {
		return Config{}, err
	}
	c.Tune.Protocol = name
	return c, nil
}

func (c *Config) validateTune() error {
	t := c.Tune
	if t == nil {
		return nil
	}
	if m, err := MachineryOf(c.Method); err != nil || !m.Has("labels") {
		return fmt.Errorf("tune is for classes, but method %s learns without; set method to %s, or leave tune out", c.Method, Supervised)
	}
	switch {
	case t.Protocol != "" && !slices.Contains(protocols, t.Protocol):
		return fmt.Errorf("unknown protocol %q; known: %s", t.Protocol, strings.Join(protocols, ", "))
	case t.Statistics != "" && t.Statistics != Running:
		return fmt.Errorf("tune statistics are %q, but must be %s, or left out for those of the batch", t.Statistics, Running)
	case slices.Contains(t.Freeze, All) && len(t.Freeze) > 1:
		return fmt.Errorf("freeze names %s beside single stages; give one or the other", All)
	case len(t.Freeze) > maxLayers:
		return fmt.Errorf("freeze names %d stages, more than any encoder has", len(t.Freeze))
	case !t.Frozen() && !(t.EncoderLR > 0):
		return fmt.Errorf("the encoder's rate is %v, but must be above 0, or all of the encoder frozen", t.EncoderLR)
	case t.Frozen() && t.EncoderLR != 0:
		return fmt.Errorf("the encoder's rate is %v, but all of it is frozen; leave one out", t.EncoderLR)
	case !(t.Fraction >= 0 && t.Fraction <= 1):
		return fmt.Errorf("fraction is %v, but must be a share of the images, above 0 and at most 1", t.Fraction)
	case t.Fraction > 0 && t.Subset != "":
		return fmt.Errorf("fraction and subset both say which images to train on; give one")
	case t.Scratch && c.Init != nil:
		return fmt.Errorf("the encoder is to start from scratch and from the weights of %s; leave one out", c.Init.Path)
	case t.Scratch && t.Frozen():
		return fmt.Errorf("an encoder that starts from scratch and is frozen learns nothing; leave one out")
	case c.Optimizer.BaseLRAuto:
		return fmt.Errorf("base_lr_auto is for rates of pretraining; give the classifier's rate as base_lr")
	case c.Pairs != nil:
		return fmt.Errorf("tune is for images with classes, but these are pairs")
	case c.Separate():
		return fmt.Errorf("tune teaches one encoder, but branches are separate")
	case len(t.Drops) > maxRounds:
		return fmt.Errorf("drops has %d epochs, more than a run can use", len(t.Drops))
	case len(t.Drops) > 0 && c.Warmup != 0:
		return fmt.Errorf("warmup is %v, but rates that drop by steps have none; set it to 0", c.Warmup)
	}
	for i, d := range t.Drops {
		if d < 1 || d > maxEpochs || i > 0 && d <= t.Drops[i-1] {
			return fmt.Errorf("drops are %v, but must be epochs from 1 on, each later than the one before", t.Drops)
		}
	}
	for _, name := range append(slices.Clone(t.Freeze), t.Subset) {
		if len(name) > settings.MaxText {
			return fmt.Errorf("a name of %d bytes is too long", len(name))
		}
	}
	return nil
}
