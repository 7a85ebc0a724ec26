package nn

import (
	"fmt"
	"math/rand/v2"

	"vicreg/internal/device"
)

// Transformer is a stack of pre-norm blocks like those of timm's vision_transformer.py:
// attention, then an MLP four times as wide. Each reads the normalised tokens and adds
// its result to the tokens.
type Transformer struct {
	Attention []*Attention
	MLP       []*MLP
}

// NewTransformer returns depth blocks over c channels, named blocks.0, blocks.1
// and so on. Weights are zero, γ is 1, β is 0.
func NewTransformer(depth, c, heads int) *Transformer {
	t := new(Transformer)
	for i := range depth {
		prefix := fmt.Sprintf("blocks.%d.", i)
		t.Attention = append(t.Attention, NewAttention(prefix, c, heads, true))
		t.MLP = append(t.MLP, NewMLP(prefix, c, 4*c))
	}
	return t
}

// Params returns the parameters in timm's order.
func (t *Transformer) Params() []*Param { return t.PartParams(0, len(t.MLP)) }

// PartParams is Params of blocks from..to alone.
func (t *Transformer) PartParams(from, to int) []*Param {
	var ps []*Param
	for i := from; i < to; i++ {
		ps = append(append(ps, t.Attention[i].Params()...), t.MLP[i].Params()...)
	}
	return ps
}

// dense lists the linear layers.
func (t *Transformer) dense() []*Dense {
	var all []*Dense
	for i, a := range t.Attention {
		m := t.MLP[i]
		all = append(all, a.QKV, a.Proj, m.FC1, m.FC2)
	}
	return all
}

// Init fills the weights as timm does; biases stay zero.
func (t *Transformer) Init(rng *rand.Rand) {
	for _, l := range t.dense() {
		TruncatedNormal(rng, l.Weight)
	}
}

// SetPrecision says what numbers the products multiply.
func (t *Transformer) SetPrecision(p device.Precision) {
	for _, l := range t.dense() {
		l.Precision = p
	}
}

// Precision returns what SetPrecision was given.
func (t *Transformer) Precision() device.Precision { return t.Attention[0].QKV.Precision }

// Forward returns tokens of the same shape.
func (t *Transformer) Forward(p *Pass, x Tokens) Tokens { return t.Part(p, x, 0, len(t.MLP)) }

// Part is Forward of blocks from..to alone.
func (t *Transformer) Part(p *Pass, x Tokens, from, to int) Tokens {
	for i := from; i < to; i++ {
		x = t.MLP[i].Forward(p, t.Attention[i].Forward(p, x))
	}
	return x
}

// Backward turns d, the gradient of the output, into the gradient of the input. d is a
// buffer of the arena; Backward takes it over and returns it.
func (t *Transformer) Backward(p *Pass, d device.Array) device.Array { return t.BackwardTo(p, d, 0) }

// BackwardTo is Backward of the blocks from one on, after a Part of them.
func (t *Transformer) BackwardTo(p *Pass, d device.Array, from int) device.Array {
	for i := len(t.MLP) - 1; i >= from; i-- {
		d = t.Attention[i].Backward(p, t.MLP[i].Backward(p, d))
	}
	return d
}

// Flops counts the operations of a forward over n sequences of t tokens.
func (t *Transformer) Flops(n, tokens int) int {
	total := 0
	for _, l := range t.dense() {
		total += l.shape(n * tokens).Flops()
	}
	for _, a := range t.Attention {
		one := device.Attention{Starts: []int32{0, int32(tokens)}, C: a.Proj.Weight.Shape[0], Heads: a.Heads}
		total += n * one.Flops()
	}
	return total
}
