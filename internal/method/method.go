// Package method holds the systems that train an encoder, one file each: what
// heads a system adds to the encoder, what it computes from the views, what it
// does after a step and what it must save. The loop in package train knows only
// [Method].
package method

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/optim"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
)

// Method is one system of joint-embedding training.
type Method interface {
	// Params are what the optimizer changes, Buffers the running statistics and
	// State whatever else a resumed run needs. Their names differ.
	Params() []*nn.Param
	Buffers() []*nn.Param
	State() []*nn.Param

	// StartEpoch is called before the first step of an epoch, and may be called
	// again for the same one if the run was stopped right then.
	StartEpoch(epoch int)

	// Step computes the loss of a batch, whose views are n × size × size × c,
	// and sets the gradients of all Params. It leaves State as it is. An error
	// says, for people, why there is no loss and what helps; it ends the run.
	// Where several processes train together, b is this one's part of the batch, and
	// loss and gradients are those of the whole.
	Step(b *batch.Batch) (loss float64, terms runlog.Terms, err error)

	// AfterStep is called when the optimizer has done step of total, from 1, and
	// changes State.
	AfterStep(step, total int)

	// Embeddings returns, for each branch of Branches, what the loss sees of
	// one view of the last Step, n × d; they are the Method's until the next.
	Embeddings() []Rows

	// TargetStd is the standard deviation that the method wants for every dimension of
	// the embedding; 0 if it wants none in particular.
	TargetStd() float64

	// Branches are what remains after training: one if the views share their
	// weights, else one for each of the two.
	Branches() []*model.Branch

	// Close gives the device's memory back. The Method and its networks are gone then.
	Close()
}

// Rows are embeddings, n × d, where they are.
type Rows struct {
	Device device.Device
	Values device.Array
	N, D   int
}

// queued is a method that need not wait for its loss.
type queued interface {
	// queue is Step, but loss and terms are for read to return, when they are there.
	queue(b *batch.Batch) (read func() (float64, runlog.Terms), err error)
}

// Outcome is what a step comes to.
type Outcome struct {
	read  func() (float64, runlog.Terms) // or nil
	loss  float64
	terms runlog.Terms
}

// Queue does a step of m, as Step does. A device may still be at it.
func Queue(m Method, b *batch.Batch) (o Outcome, err error) {
	if q, ok := m.(queued); ok {
		o.read, err = q.queue(b)
		return o, err
	}
	o.loss, o.terms, err = m.Step(b)
	return o, err
}

// Read returns loss and terms of the step, when they are there. It must come before the
// next step.
func (o Outcome) Read() (loss float64, terms runlog.Terms) {
	if o.read != nil {
		return o.read()
	}
	return o.loss, o.terms
}

// Data is what a method may need to know of the data, and where it computes.
type Data struct {
	Items   int   // to train on; 0: not known yet
	Steps   int   // of an epoch
	Labels  []int // of each item; -1: none
	Classes int   // 0: there are no labels

	Device device.Device // where the networks live; nil: the CPU
	Group  group.Group   // of the processes that each take a part of every batch; nil: this one alone
}

// device returns where the networks live.
func (d Data) device() device.Device {
	if d.Device == nil {
		return device.Local
	}
	return d.Device
}

// builder makes a method. check says beforehand what is wrong with a configuration for
// so many items (0: not known yet).
type builder struct {
	build func(recipe.Config, Data) (Method, error)
	check func(c recipe.Config, items int) error // or nil
}

// builders has one for every method, which the method's own file puts there.
var builders = map[string]builder{}

// baselines have one for every method that learns from labels.
var baselines = map[string]builder{
	recipe.Supervised: {newSupervised, nil},
}

// Names returns the self-supervised methods there are.
func Names() []string { return slices.Sorted(maps.Keys(builders)) }

// builderOf returns the builder of a method, and whether the method needs labels.
func builderOf(method string) (b builder, labels bool, err error) {
	if b, ok := builders[method]; ok {
		return b, false, nil
	}
	if b, ok := baselines[method]; ok {
		return b, true, nil
	}
	return b, false, fmt.Errorf("unknown method %q; known: %s; and %s", method, strings.Join(Names(), ", "), recipe.Supervised)
}

// Check says what is wrong with a valid configuration for its method and the
// data to train on.
func Check(c recipe.Config, d Data) error {
	b, labels, err := builderOf(c.Method)
	if err != nil {
		return err
	}
	if err := divides(c, group.Or(d.Group).Size()); err != nil {
		return err
	}
	if labels && d.Items > 0 && !Distinct(d.Labels) {
		return fmt.Errorf("method %s learns from labels of two or more classes, which %s has not; put the images of each class into a folder of its own, or name the column of a manifest's classes with label", c.Method, c.Data.Source)
	}
	if b.check == nil {
		return nil
	}
	return b.check(c, d.Items)
}

// Distinct says whether there are two different labels, those below 0 left out.
func Distinct(labels []int) bool {
	first := -1
	for _, l := range labels {
		switch {
		case l < 0 || l == first:
		case first < 0:
			first = l
		default:
			return true
		}
	}
	return false
}

// Complete fills in what the method of a configuration takes from the data.
func Complete(c *recipe.Config, d Data) {
	if _, labels, err := builderOf(c.Method); err == nil && labels {
		completeSupervised(c, d)
	}
}

// New builds the method of a configuration, with its networks as the seed initialises
// them. Complete must have seen the configuration, and its channels must be known.
func New(c recipe.Config, d Data) (Method, error) {
	if err := Check(c, d); err != nil {
		return nil, err
	}
	b, _, _ := builderOf(c.Method)
	return b.build(c, d)
}

// plain is what most methods share: no state, nothing before or after a step.
type plain struct{}

func (plain) State() []*nn.Param        { return nil }
func (plain) StartEpoch(epoch int)      {}
func (plain) AfterStep(step, total int) {}

// Networks of a branch, as keys of the streams of rng.Init.
const (
	encoderInit uint64 = iota
	expanderInit
	predictorInit
	prototypeInit
	queueInit
)

// stream returns the random numbers that initialise a network of branch 0 or 1.
func stream(seed, network uint64, branch int) *rand.Rand {
	if branch == 0 {
		return rng.New(seed, rng.Init, network)
	}
	return rng.New(seed, rng.Init, network, uint64(branch))
}

// NewEncoder builds the encoder of branch 0 or 1 as every run with this seed starts with
// it, whatever the method.
func NewEncoder(c model.Config, seed uint64, branch int) (model.Encoder, error) {
	return model.New(c, stream(seed, encoderInit, branch))
}

// NewExpander builds the expander of branch 0 or 1, of representations of width in, as
// every run with this seed starts with it.
func NewExpander(in int, h model.Head, seed uint64, branch int) (*model.Expander, error) {
	return model.NewHead(in, h, stream(seed, expanderInit, branch))
}

// newBranches returns the branches of both views: the same one twice if they
// share their weights.
func newBranches(c recipe.Config) (b [2]*model.Branch, err error) {
	if b[0], err = newBranch(c, 0); err != nil {
		return b, err
	}
	b[1] = b[0]
	if c.Separate() {
		b[1], err = newBranch(c, 1)
	}
	return b, err
}

func newBranch(c recipe.Config, i int) (*model.Branch, error) {
	encoder, err := NewEncoder(EncoderConfig(c, i), c.Seed, i)
	if err != nil {
		return nil, err
	}
	encoder.SetPrecision(Precision(c))
	expander, err := NewExpander(encoder.Dim(), c.Projector(i), c.Seed, i)
	if err != nil {
		return nil, err
	}
	b := &model.Branch{Encoder: encoder, Expander: expander}
	if c.Tune != nil {
		return b, tuned(b, c, stream(c.Seed, expanderInit, i))
	}
	if head, ok := c.Predictor(); ok {
		b.Predictor, err = model.NewHead(expander.Dim(), head, stream(c.Seed, predictorInit, i))
	}
	return b, err
}

// distinct returns the branches without repetition.
func distinct(b [2]*model.Branch) []*model.Branch {
	if b[0] == b[1] {
		return b[:1]
	}
	return b[:]
}

// Precision returns the kind of numbers that a configuration multiplies.
func Precision(c recipe.Config) device.Precision {
	p, err := device.ParsePrecision(c.Precision)
	if err != nil {
		panic("method: " + err.Error()) // the configuration has been validated
	}
	return p
}

// EncoderConfig returns the part of a configuration that makes the encoder of
// branch 0 or 1.
func EncoderConfig(c recipe.Config, branch int) model.Config {
	e := c.EncoderOf(branch)
	return model.Config{Arch: e.Arch, Width: e.Width, Stem: e.Stem, Patch: e.Patch,
		Dim: e.Dim, Blocks: e.Blocks, Heads: e.Heads, Pool: e.Pool, Positions: e.Positions,
		ZeroInitResidual: e.ZeroInitResidual, Input: c.InputOf(branch)}
}

// NewOptimizer returns the optimizer of a configuration for some parameters.
func NewOptimizer(c recipe.Config, params []*nn.Param) (optim.Optimizer, error) {
	o := c.Optimizer
	return optim.New(params, optim.Config{Name: o.Name, Momentum: o.Momentum, WeightDecay: o.WeightDecay,
		Eta: o.Eta, Clip: o.Clip, Nesterov: o.Nesterov, Betas: o.Betas, Eps: o.Eps, DecayAll: o.DecayAll,
		Peak: c.PeakLR(), Share: c.EncoderShare()})
}
