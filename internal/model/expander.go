package model

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// Expander maps representations to embeddings: linear, batch normalisation and
// ReLU for each width but the last, whose layer is plain and has no bias
// (vicreg main_vicreg.py, Projector). Its parameters have the names of PyTorch's
// nn.Sequential.
type Expander struct {
	hidden []*nn.ConvNorm
	last   *nn.Linear
}

// ParseExpander reads the widths of an expander's layers, as 8192-8192-8192.
func ParseExpander(spec string) ([]int, error) {
	var widths []int
	for _, part := range strings.Split(spec, "-") {
		w, err := strconv.Atoi(part)
		if err != nil || w < 1 {
			return nil, fmt.Errorf("expander %q: %q is not a width: give positive numbers joined by hyphens, as 2048-2048-2048", spec, part)
		}
		widths = append(widths, w)
	}
	return widths, nil
}

// NewExpander builds an expander for representations of width in. Its layers
// are initialised from rng as PyTorch initialises linear layers; with a nil rng
// they are zero, to be loaded.
func NewExpander(in int, spec string, rng *rand.Rand) (*Expander, error) {
	widths, err := ParseExpander(spec)
	if err != nil {
		return nil, err
	}
	e := new(Expander)
	last := len(widths) - 1
	for i, width := range widths[:last] {
		u := nn.NewLinearNorm(strconv.Itoa(3*i), strconv.Itoa(3*i+1), in, width)
		if rng != nil {
			nn.LinearUniform(rng, u.Weight, u.Bias)
		}
		e.hidden, in = append(e.hidden, u), width
	}
	e.last = nn.NewLinear(strconv.Itoa(3*last), in, widths[last])
	if rng != nil {
		nn.LinearUniform(rng, e.last.Weight, nil)
	}
	return e, nil
}

// Dim returns the width of an embedding.
func (e *Expander) Dim() int { return e.last.Weight.Shape[0] }

// Params returns the trainable parameters in PyTorch's order.
func (e *Expander) Params() []*nn.Param {
	var ps []*nn.Param
	for _, u := range e.hidden {
		ps = append(ps, u.Params()...)
	}
	return append(ps, e.last.Params()...)
}

// Buffers returns the running statistics in PyTorch's order.
func (e *Expander) Buffers() []*nn.Param {
	var ps []*nn.Param
	for _, u := range e.hidden {
		ps = append(ps, u.Buffers()...)
	}
	return ps
}

// Forward maps representations (n × in) to embeddings (n × Dim).
func (e *Expander) Forward(p *nn.Pass, y *tensor.Tensor) *tensor.Tensor {
	n := y.Shape[0]
	a := nn.Input(y.Data, n, 1, 1, y.Len()/n)
	for _, u := range e.hidden {
		next := u.Forward(p, a)
		p.Drop(a)
		a = next
	}
	z := e.last.Forward(p, a)
	p.Drop(a)
	return tensor.From(z.X, n, z.C)
}

// Backward adds the gradients of the parameters given that of the embeddings,
// dz (n × Dim), and returns that of the representations, a buffer of the pass's
// arena.
func (e *Expander) Backward(p *nn.Pass, dz []float32) []float32 {
	in := e.last.In(p)
	d := p.Arena().Get(in.Len())
	e.last.Backward(p, dz, d, in.Finish(nil))
	for i := len(e.hidden) - 1; i >= 0; i-- {
		in := e.hidden[i].In(p)
		dx := p.Arena().Get(in.Len())
		e.hidden[i].Backward(p, d, dx, in.Finish(nil))
		p.Arena().Put(d)
		d = dx
	}
	return d
}

// Flops counts the operations of a forward over n rows; a multiply-add is two.
func (e *Expander) Flops(n int) int {
	total := e.last.Conv(n).Flops()
	for _, u := range e.hidden {
		total += u.Conv(n, 1, 1).Flops()
	}
	return total
}
