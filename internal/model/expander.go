package model

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/device"
	"vicreg/internal/nn"
)

// Expander is a head: it maps representations to embeddings, or embeddings to
// predictions. See [Head] for its layers. Its parameters have the names of
// PyTorch's nn.Sequential.
type Expander struct {
	layers []headLayer
	whole  *nn.GlobalPool // writes out what the last layer left to be read; or nil
	dim    int
}

// headLayer is a layer of a head.
type headLayer interface {
	Params() []*nn.Param
	Buffers() []*nn.Param
	Forward(p *nn.Pass, in nn.Act) nn.Act
	Backward(p *nn.Pass, d, dx device.Array, f device.Finish)
	In(p *nn.Pass) nn.Act
}

// Head says which layers a head has: for each width but the last, a linear layer with
// bias, batch normalisation unless NoNorm, and ReLU; then a last layer.
type Head struct {
	Widths string // joined by hyphens, as 8192-8192-8192
	NoNorm bool
	Last   string // one of Lasts; "" is plain
}

// None reports whether there is no head at all.
func (h Head) None() bool { return h.Widths == "" }

// What the last layer of a head has.
const (
	Plain  = "plain"  // linear, no bias: VICReg (main_vicreg.py, Projector)
	Bias   = "bias"   // linear with bias
	Norm   = "norm"   // linear, no bias, batch normalisation without weights: SimSiam, MoCo v3
	Affine = "affine" // linear, no bias, batch normalisation: SimCLR as released
)

// Lasts names the kinds of last layers.
func Lasts() []string { return []string{Plain, Bias, Norm, Affine} }

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

// widths returns the widths of a head's layers.
func (h Head) widths() ([]int, error) {
	widths, err := ParseExpander(h.Widths)
	if err != nil {
		return nil, err
	}
	if h.Last != "" && !slices.Contains(Lasts(), h.Last) {
		return nil, fmt.Errorf("unknown last layer %q of a head; known: %s", h.Last, strings.Join(Lasts(), ", "))
	}
	return widths, checkHead(widths)
}

// NewExpander builds VICReg's expander. Its layers have the widths in spec, and it reads
// representations of width in.
func NewExpander(in int, spec string, rng *rand.Rand) (*Expander, error) {
	return NewHead(in, Head{Widths: spec}, rng)
}

// NewHead builds a head for inputs of width in. Its layers are initialised from
// rng as PyTorch initialises linear layers; with a nil rng they are zero, to be
// loaded.
func NewHead(in int, h Head, rng *rand.Rand) (*Expander, error) {
	widths, err := h.widths()
	if err != nil {
		return nil, err
	}
	h.Last = cmp.Or(h.Last, Plain)
	e := new(Expander)
	at := 0 // the number of a module in nn.Sequential
	name := func() string { at++; return strconv.Itoa(at - 1) }
	normed := func(in, width int, relu bool) *nn.ConvNorm {
		u := nn.NewLinearNorm(name(), name(), in, width)
		u.ReLU = relu
		if !relu {
			u.Bias = nil
		}
		initialise(rng, u.Weight, u.Bias)
		return u
	}
	biased := func(in, width int, relu bool) *nn.LinearBias {
		l := nn.NewLinearBias(name(), in, width, relu)
		initialise(rng, l.Weight, l.Bias)
		return l
	}
	last := len(widths) - 1
	for _, width := range widths[:last] {
		if h.NoNorm {
			e.layers = append(e.layers, biased(in, width, true))
		} else {
			e.layers = append(e.layers, normed(in, width, true))
		}
		at++ // the ReLU
		in = width
	}
	e.dim = widths[last]
	switch h.Last {
	case Plain:
		l := nn.NewLinear(name(), in, e.dim)
		initialise(rng, l.Weight, nil)
		e.layers = append(e.layers, l)
		return e, nil
	case Bias:
		l := biased(in, e.dim, false)
		l.Float32 = true
		e.layers = append(e.layers, l)
	default:
		u := normed(in, e.dim, false)
		u.Fixed, u.Float32 = h.Last == Norm, true
		e.layers = append(e.layers, u)
	}
	e.whole = new(nn.GlobalPool)
	return e, nil
}

func initialise(rng *rand.Rand, w, bias *nn.Param) {
	if rng != nil {
		nn.LinearUniform(rng, w, bias)
	}
}

// Dim returns the width of an embedding.
func (e *Expander) Dim() int { return e.dim }

// Params returns the trainable parameters in PyTorch's order.
func (e *Expander) Params() []*nn.Param {
	var ps []*nn.Param
	for _, l := range e.layers {
		ps = append(ps, l.Params()...)
	}
	return ps
}

// Buffers returns the running statistics in PyTorch's order.
func (e *Expander) Buffers() []*nn.Param {
	var ps []*nn.Param
	for _, l := range e.layers {
		ps = append(ps, l.Buffers()...)
	}
	return ps
}

// free gives back what is no parameter.
func (e *Expander) free() {
	for _, l := range e.layers {
		if u, ok := l.(*nn.ConvNorm); ok {
			for _, p := range u.Fixtures() {
				p.Free()
			}
		}
	}
}

// Forward maps representations (n × in) to embeddings (n × Dim).
func (e *Expander) Forward(p *nn.Pass, a nn.Act) nn.Act {
	for _, l := range e.layers {
		next := l.Forward(p, a)
		p.Drop(a)
		a = next
	}
	if e.whole != nil {
		a = e.whole.Forward(p, a)
	}
	return a
}

// Backward takes dz, the gradient of the embeddings (n × Dim). It adds the gradients of
// the parameters and returns the gradient of the representations, a buffer of the pass's
// arena.
func (e *Expander) Backward(p *nn.Pass, dz device.Array) device.Array {
	d, owned := dz, false
	if e.whole != nil {
		d, owned = e.whole.Backward(p, dz), true
	}
	for _, l := range slices.Backward(e.layers) {
		in := l.In(p)
		dx := p.Room(in)
		l.Backward(p, d, dx, in.Finish(device.Array{}))
		if owned {
			p.Arena().Put(d)
		}
		d, owned = dx, true
	}
	return d
}

// Flops counts the operations of a forward over n rows; a multiply-add is two.
func (e *Expander) Flops(n int) int {
	total := 0
	for _, l := range e.layers {
		w := l.Params()[0].Shape
		total += 2 * n * w[0] * w[1]
	}
	return total
}
