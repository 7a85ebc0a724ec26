package model

import (
	"fmt"
	"math/rand/v2"

	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// What the numbers of a text stand for; a byte b is 1 + b.
const (
	TextPadding = 0
	TextMask    = 257 // a byte not shown
	textNumbers = 258
)

// The usual sizes of a text encoder.
const (
	textDim   = 192
	textDepth = 4
	textHeads = 3
)

// TextConfig describes a text encoder.
type TextConfig struct {
	Dim     int // width; 0: 192
	Depth   int // blocks; 0: 4
	Heads   int // 0: 3
	Context int // most bytes; 0: 256
}

// Text is an encoder of bytes, without a vocabulary: a learned embedding of each byte
// plus one of its place, pre-norm transformer blocks, a last layer normalisation, and
// the mean over the bytes. Padding takes part in none of it, wherever it stands; a text
// of nothing but padding gives zeros.
//
// Weight decay applies to the two embeddings, (258, dim) and (1, context, dim), as to
// other weights.
type Text struct {
	config TextConfig
	lookup *nn.Lookup
	blocks *nn.Transformer
	norm   *nn.LayerNorm
	mean   nn.TokenMean
}

// NewText builds an encoder, initialised from rng like a vision transformer; with
// a nil rng its weights are zero, to be loaded.
func NewText(config TextConfig, rng *rand.Rand) (*Text, error) {
	fill := func(v *int, standard int) {
		if *v == 0 {
			*v = standard
		}
	}
	fill(&config.Dim, textDim)
	fill(&config.Depth, textDepth)
	fill(&config.Heads, textHeads)
	fill(&config.Context, 256)
	for _, v := range []struct {
		name  string
		value int
	}{{"width", config.Dim}, {"depth", config.Depth}, {"heads", config.Heads}, {"context", config.Context}} {
		if v.value < 1 {
			return nil, fmt.Errorf("text encoder %s is %d: it must be at least 1", v.name, v.value)
		}
	}
	if config.Dim%config.Heads != 0 {
		return nil, fmt.Errorf("text encoder width %d does not divide into %d heads: take a multiple", config.Dim, config.Heads)
	}
	m := &Text{
		config: config,
		lookup: &nn.Lookup{
			Table:    nn.NewTable("token_embed.weight", textNumbers, config.Dim),
			Position: nn.NewTable("pos_embed", 1, config.Context, config.Dim),
		},
		blocks: nn.NewTransformer(config.Depth, config.Dim, config.Heads),
		norm:   nn.NewLayerNorm("norm", config.Dim),
	}
	if rng != nil {
		nn.TruncatedNormal(rng, m.lookup.Table)
		nn.TruncatedNormal(rng, m.lookup.Position)
		m.blocks.Init(rng)
	}
	return m, nil
}

// Config returns what the encoder was built from, defaults filled in.
func (m *Text) Config() TextConfig { return m.config }

// Dim returns the width of a representation.
func (m *Text) Dim() int { return m.config.Dim }

// Params returns the trainable parameters.
func (m *Text) Params() []*nn.Param {
	ps := append([]*nn.Param{m.lookup.Table, m.lookup.Position}, m.blocks.Params()...)
	return append(ps, m.norm.Params()...)
}

// Buffers returns none.
func (m *Text) Buffers() []*nn.Param { return nil }

// SetPrecision says what numbers the products multiply.
func (m *Text) SetPrecision(p device.Precision) { m.blocks.SetPrecision(p) }

// Forward maps texts, n × t numbers, to representations n × Dim.
func (m *Text) Forward(p *nn.Pass, x *tensor.Tensor) nn.Act {
	if len(x.Shape) != 2 || x.Shape[1] > m.config.Context {
		panic(fmt.Sprintf("model: a text encoder reads n × at most %d, got %v", m.config.Context, x.Shape))
	}
	p.SetPrecision(m.blocks.Precision())
	t := m.blocks.Forward(p, m.lookup.Forward(p, x.Data, x.Shape[0], x.Shape[1]))
	return m.mean.Forward(p, m.norm.Forward(p, t))
}

// Backward takes dy, the gradient of the representations (n × Dim), and adds the
// gradients of the parameters. Numbers have no gradient: dx must be none.
func (m *Text) Backward(p *nn.Pass, dy, dx device.Array) {
	if !dx.None() {
		panic("model: the numbers of a text have no gradient")
	}
	m.lookup.Backward(p, m.blocks.Backward(p, m.norm.Backward(p, m.mean.Backward(p, dy))))
}

// Flops counts the operations of the products for n × t bytes without padding.
func (m *Text) Flops(shape ...int) int { return m.blocks.Flops(shape[0], shape[1]) }
