package model

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// MLPConfig says which perceptron.
type MLPConfig struct {
	Features int   // numbers in a row
	Widths   []int // of the layers; none: 256, 256, 256
}

// MLPEncoder is a perceptron for rows of numbers: linear, batch normalisation
// and ReLU for each width. Its parameters have the names of PyTorch's
// nn.Sequential.
type MLPEncoder struct {
	config MLPConfig
	layers []*nn.ConvNorm
	whole  nn.GlobalPool // over one pixel: the last ReLU's output, whole
}

// NewMLPEncoder builds a perceptron. Its layers are initialised from rng as
// PyTorch initialises linear layers; with a nil rng they are zero, to be loaded.
func NewMLPEncoder(config MLPConfig, rng *rand.Rand) (*MLPEncoder, error) {
	if config.Features < 1 {
		return nil, fmt.Errorf("encoder mlp reads %d numbers: there must be at least 1", config.Features)
	}
	config.Widths = slices.Clone(config.Widths)
	if len(config.Widths) == 0 {
		config.Widths = mlpWidths(0)
	}
	m := &MLPEncoder{config: config}
	in := config.Features
	for i, width := range config.Widths {
		if width < 1 {
			return nil, fmt.Errorf("width %d of encoder mlp is %d: it must be at least 1", i+1, width)
		}
		u := nn.NewLinearNorm(strconv.Itoa(3*i), strconv.Itoa(3*i+1), in, width)
		if rng != nil {
			nn.LinearUniform(rng, u.Weight, u.Bias)
		}
		m.layers, in = append(m.layers, u), width
	}
	return m, nil
}

// mlpWidths returns the widths of a perceptron with all layers of one width; 0: the
// usual.
func mlpWidths(width int) []int {
	width = cmp.Or(width, 256)
	return []int{width, width, width}
}

// Config returns what the perceptron was built from.
func (m *MLPEncoder) Config() MLPConfig { return m.config }

// Dim returns the width of a representation.
func (m *MLPEncoder) Dim() int { return m.config.Widths[len(m.config.Widths)-1] }

// Params returns the trainable parameters in PyTorch's order.
func (m *MLPEncoder) Params() []*nn.Param {
	var ps []*nn.Param
	for _, u := range m.layers {
		ps = append(ps, u.Params()...)
	}
	return ps
}

// Buffers returns the running statistics in PyTorch's order.
func (m *MLPEncoder) Buffers() []*nn.Param {
	var ps []*nn.Param
	for _, u := range m.layers {
		ps = append(ps, u.Buffers()...)
	}
	return ps
}

// SetPrecision says what numbers the products multiply.
func (m *MLPEncoder) SetPrecision(p device.Precision) {
	for _, u := range m.layers {
		u.Precision = p
	}
}

// Forward maps rows of numbers, n × f, to representations n × Dim.
func (m *MLPEncoder) Forward(p *nn.Pass, x *tensor.Tensor) nn.Act {
	if len(x.Shape) != 2 || x.Shape[1] != m.config.Features {
		panic(fmt.Sprintf("model: an MLPEncoder reads n × %d, got %v", m.config.Features, x.Shape))
	}
	p.SetPrecision(m.layers[0].Precision)
	a := p.Input(x.Data, x.Shape[0], 1, 1, x.Shape[1])
	for _, u := range m.layers {
		next := u.Forward(p, a)
		p.Drop(a)
		a = next
	}
	return m.whole.Forward(p, a)
}

// Backward takes dy, the gradient of the representations (n × Dim), and adds the
// gradients of the parameters. Unless dx is none it gets the gradient of the rows.
func (m *MLPEncoder) Backward(p *nn.Pass, dy, dx device.Array) {
	d := m.whole.Backward(p, dy)
	for i := len(m.layers) - 1; i > 0; i-- {
		in := m.layers[i].In(p)
		below := p.Room(in)
		m.layers[i].Backward(p, d, below, in.Finish(device.Array{}))
		p.Arena().Put(d)
		d = below
	}
	m.layers[0].Backward(p, d, dx, device.Finish{})
	p.Arena().Put(d)
}

// Flops counts the operations of a forward over rows n × f; a multiply-add is two.
func (m *MLPEncoder) Flops(shape ...int) int {
	total := 0
	for _, u := range m.layers {
		total += u.Conv(shape[0], 1, 1).Flops()
	}
	return total
}

var _ Encoder = (*MLPEncoder)(nil)
