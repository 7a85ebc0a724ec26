// Package model holds the networks: encoders ([New]), the expander
// ([NewExpander]), and the branches of joint-embedding training ([Joint]).
package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"vicreg/internal/kernel"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// Encoder turns a batch into representations. What backward needs is kept in
// the pass, so one encoder serves several passes.
type Encoder interface {
	// Forward returns n × Dim. It belongs to the pass, until that is reset or
	// goes backward.
	Forward(p *nn.Pass, x *tensor.Tensor) *tensor.Tensor

	// Backward adds the gradients of the parameters, given that of Forward's
	// result. That of the input goes to dx unless it is nil.
	Backward(p *nn.Pass, dy, dx []float32)

	Dim() int
	Params() []*nn.Param  // trainable, in a fixed order
	Buffers() []*nn.Param // running statistics

	// SetPrecision says what numbers the products multiply.
	SetPrecision(p kernel.Precision)

	// Flops counts the operations of a forward on an input of this shape; a
	// multiply-add is two.
	Flops(shape ...int) int
}

// Config says which encoder, and what it reads.
type Config struct {
	Arch  string // one of Archs
	Width int    // of a residual network: channels of the first stage; of others: 0, or another width than the usual
	Stem  string // of a residual network: small or imagenet
	Patch int    // of a vision transformer: pixels, width and height; 0: by the size of the images

	// ZeroInitResidual starts every residual block as the identity.
	ZeroInitResidual bool

	// Input is the shape of one item: h × w × c of an image, t × c of a
	// waveform or a series, t of a text, f of numbers.
	Input []int
}

// family is a kind of encoders.
type family struct {
	archs []string
	input string // what it reads, for people
	rank  int    // of an item's shape
	build func(Config, *rand.Rand) (Encoder, error)
}

var families = []family{
	{Archs2D(), "images", 3, func(c Config, rng *rand.Rand) (Encoder, error) {
		return NewResNet(ResNetConfig{Arch: c.Arch, Width: c.Width, Stem: c.Stem, Channels: c.Input[2], ZeroInitResidual: c.ZeroInitResidual}, rng)
	}},
}

// Archs names the encoders.
func Archs() []string {
	var names []string
	for _, f := range families {
		names = append(names, f.archs...)
	}
	return names
}

// find returns the family of an encoder that reads items of a shape.
func find(arch string, input []int) (family, error) {
	for _, f := range families {
		if !slices.Contains(f.archs, arch) {
			continue
		}
		if len(input) != f.rank {
			var fit []string
			for _, f := range families {
				if len(input) == f.rank {
					fit = append(fit, f.archs...)
				}
			}
			return family{}, fmt.Errorf("encoder %s reads %s, which the data here are not; encoders for them: %s", arch, f.input, strings.Join(fit, ", "))
		}
		return f, nil
	}
	return family{}, fmt.Errorf("unknown encoder %q; known: %s", arch, strings.Join(Archs(), ", "))
}

// Check returns what is wrong with an encoder's name, or with its reading items
// of a shape, of which only the number of dimensions matters.
func Check(arch string, input []int) error {
	_, err := find(arch, input)
	return err
}

// New builds an encoder. Its weights are initialised from rng, or zero, to be
// loaded, if that is nil.
func New(c Config, rng *rand.Rand) (Encoder, error) {
	f, err := find(c.Arch, c.Input)
	if err != nil {
		return nil, err
	}
	e, err := f.build(c, rng)
	if err != nil {
		return nil, err // not a nil pointer in an interface
	}
	return e, nil
}

// Count returns the number of values in some parameters.
func Count(params []*nn.Param) int {
	n := 0
	for _, p := range params {
		n += len(p.Value)
	}
	return n
}
