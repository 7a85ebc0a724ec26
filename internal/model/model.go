// Package model holds the networks: encoders ([New]), the expander
// ([NewExpander]), and the branches of joint-embedding training ([Joint]).
package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// Encoder turns a batch into representations. What backward needs is kept in
// the pass, so one encoder serves several passes.
type Encoder interface {
	// Forward brings x to the pass's device and returns n × Dim. It belongs to the
	// pass, until that is reset or goes backward.
	Forward(p *nn.Pass, x *tensor.Tensor) nn.Act

	// Backward takes dy, the gradient of Forward's result, and adds the gradients of the
	// parameters. Unless dx is none it gets the gradient of the input.
	Backward(p *nn.Pass, dy, dx device.Array)

	Dim() int
	Params() []*nn.Param  // trainable, in a fixed order
	Buffers() []*nn.Param // running statistics

	// SetPrecision says what numbers the products multiply.
	SetPrecision(p device.Precision)

	// Flops counts the operations of a forward on an input of this shape; a
	// multiply-add is two.
	Flops(shape ...int) int
}

// Config says which encoder, and what it reads.
type Config struct {
	Arch string // one of Archs

	// Width is the channels of a residual network's first stage, or of all layers of a
	// perceptron; 0: the usual. Transformers do not use it.
	Width int

	Stem  string // of a residual network: small, padded, linear, imagenet, or large for waveforms
	Patch int    // of a vision transformer: pixels, width and height; 0: by the size of the images

	// Of a vision transformer, where they are not those of its name; 0 or empty: they are.
	// The architecture vit has no name of its own.
	Dim, Blocks, Heads int
	Pool, Positions    string // as in ViTConfig

	// ZeroInitResidual starts every residual block as the identity.
	ZeroInitResidual bool

	Input Input
}

// Input is what an encoder reads: its kind, and the shape of one item.
type Input struct {
	Kind  Kind  `json:"kind"`
	Shape []int `json:"shape"` // as Kind says
}

// Kind is a kind of items.
type Kind string

const (
	Images    Kind = "images"    // h × w × c; spectrograms, mels × frames × 1, too
	Sequences Kind = "sequences" // t × c: waveforms and series
	Numbers   Kind = "numbers"   // f: columns of a table, embeddings of another system
	Texts     Kind = "texts"     // t token numbers: 0 is padding, byte + 1 a byte
)

// ImageInput is the input of encoders of images of size × size.
func ImageInput(size, channels int) Input { return Input{Images, []int{size, size, channels}} }

// family is a kind of encoders.
type family struct {
	archs []string
	input Kind
	build func(Config, *rand.Rand) (Encoder, error)
}

var families = []family{
	{Archs2D(), Images, func(c Config, rng *rand.Rand) (Encoder, error) {
		return NewResNet(ResNetConfig{Arch: c.Arch, Width: c.Width, Stem: c.Stem, Channels: c.Input.Shape[2],
			ZeroInitResidual: c.ZeroInitResidual}, rng)
	}},
	{ViTs(), Images, func(c Config, rng *rand.Rand) (Encoder, error) {
		return NewViT(c.vit(), rng)
	}},
	{[]string{"text"}, Texts, func(c Config, rng *rand.Rand) (Encoder, error) {
		return NewText(TextConfig{Context: c.Input.Shape[0]}, rng)
	}},
	{Archs1D(), Sequences, func(c Config, rng *rand.Rand) (Encoder, error) {
		return NewResNet1D(ResNet1DConfig{Arch: c.Arch, Width: c.Width, Stem: c.Stem, Channels: c.Input.Shape[1],
			Length: c.Input.Shape[0], ZeroInitResidual: c.ZeroInitResidual}, rng)
	}},
	{[]string{"mlp"}, Numbers, func(c Config, rng *rand.Rand) (Encoder, error) {
		return NewMLPEncoder(MLPConfig{Features: c.Input.Shape[0], Widths: mlpWidths(c.Width)}, rng)
	}},
}

// Archs names the encoders that a run may choose: all but the vision transformer of no
// usual size, vit, which imported weights may ask for.
func Archs() []string {
	var names []string
	for _, f := range families {
		names = append(names, f.archs...)
	}
	return names
}

// ArchsFor names the encoders of a kind of items.
func ArchsFor(k Kind) []string {
	var names []string
	for _, f := range families {
		if f.input == k {
			names = append(names, f.archs...)
		}
	}
	return names
}

// find returns the family of an encoder that reads a kind of items.
func find(arch string, k Kind) (family, error) {
	for _, f := range families {
		if !slices.Contains(f.archs, arch) && !(arch == anyViT && slices.Contains(f.archs, vits[0].name)) {
			continue
		}
		if f.input != k {
			return family{}, fmt.Errorf("encoder %s reads %s, but the data here are %s; encoders for them: %s", arch, f.input, k, strings.Join(ArchsFor(k), ", "))
		}
		return f, nil
	}
	return family{}, fmt.Errorf("unknown encoder %q; known: %s", arch, strings.Join(Archs(), ", "))
}

// Check returns what is wrong with an encoder's name, or says that it cannot read a kind
// of items.
func Check(arch string, k Kind) error {
	_, err := find(arch, k)
	return err
}

// New builds an encoder. Its weights are initialised from rng; if that is nil they are
// zero, to be loaded.
func New(c Config, rng *rand.Rand) (Encoder, error) {
	f, err := find(c.Arch, c.Input.Kind)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	e, err := f.build(c, rng)
	if err != nil {
		return nil, err // not a nil pointer in an interface
	}
	return e, nil
}

// DeviceOf returns where an encoder is.
func DeviceOf(e Encoder) device.Device { return e.Params()[0].Device() }

// Count returns the number of values in some parameters.
func Count(params []*nn.Param) int {
	n := 0
	for _, p := range params {
		n += p.Value.Len()
	}
	return n
}
