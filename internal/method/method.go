// Package method holds the systems that train an encoder, one file each: what
// heads a system adds to the encoder, what it computes from the views, what it
// does after a step and what it must save. The loop in package train knows only
// [Method].
package method

import (
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/kernel"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/optim"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// Method is one system of joint-embedding training.
type Method interface {
	// Params are what the optimizer changes, Buffers the running statistics and
	// State whatever else a resumed run needs. Their names differ.
	Params() []*nn.Param
	Buffers() []*nn.Param
	State() []*nn.Param

	// Step computes the loss of a batch, one tensor n × size × size × c per
	// view, and sets the gradients of all Params.
	Step(views []*tensor.Tensor) (loss float64, terms runlog.Terms)

	// AfterStep is called when the optimizer has done step of total, from 1.
	AfterStep(step, total int)

	// Embeddings returns those of the first view of the last Step, n × d; they
	// are the Method's until the next.
	Embeddings() *tensor.Tensor

	// TargetStd is the standard deviation that the method wants of every
	// dimension of the embedding; 0 if it wants none in particular.
	TargetStd() float64

	// Encoder is what remains after training, and Heads what was on top of it.
	// The first layer of the heads reads the encoder's representations.
	Encoder() model.Encoder
	Heads() *model.Expander
}

// builders has a constructor for every method.
var builders = map[string]func(recipe.Config) (Method, error){
	"vicreg": newVICReg,
}

// Names returns the methods there are.
func Names() []string {
	var names []string
	for name := range builders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New builds the method of a configuration, whose channels must be known, with
// its networks as the seed initialises them.
func New(c recipe.Config) (Method, error) {
	build, ok := builders[c.Method]
	if !ok {
		return nil, fmt.Errorf("unknown method %q; known: %s", c.Method, strings.Join(Names(), ", "))
	}
	return build(c)
}

// Streams of rng.Init, one for each network.
const (
	encoderInit uint64 = iota
	expanderInit
)

// NewEncoder builds an encoder as runs with this seed start from it, whatever
// the method.
func NewEncoder(c model.ResNetConfig, seed uint64) (*model.ResNet, error) {
	return model.NewResNet(c, rng.New(seed, rng.Init, encoderInit))
}

// Precision returns the kind of numbers that a configuration multiplies.
func Precision(c recipe.Config) kernel.Precision {
	p, err := kernel.ParsePrecision(c.Precision)
	if err != nil {
		panic("method: " + err.Error()) // the configuration has been validated
	}
	return p
}

// EncoderConfig returns the part of a configuration that makes an encoder.
func EncoderConfig(c recipe.Config) model.ResNetConfig {
	e := c.Encoder
	return model.ResNetConfig{Arch: e.Arch, Width: e.Width, Stem: e.Stem, Channels: c.Channels, ZeroInitResidual: e.ZeroInitResidual}
}

// NewOptimizer returns the optimizer of a configuration for some parameters.
func NewOptimizer(c recipe.Config, params []*nn.Param) (optim.Optimizer, error) {
	o := c.Optimizer
	return optim.New(params, optim.Config{Name: o.Name, Momentum: o.Momentum, WeightDecay: o.WeightDecay,
		Eta: o.Eta, Clip: o.Clip, Nesterov: o.Nesterov, Betas: o.Betas, Eps: o.Eps})
}
