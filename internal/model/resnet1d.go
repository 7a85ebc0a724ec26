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

// ResNet1DConfig says which residual network for sequences.
type ResNet1DConfig struct {
	Arch     string // one of Archs1D
	Width    int    // channels of the first stage; 64 is the usual
	Stem     string // one of Stems1D
	Channels int    // of the sequences: 1 of a waveform, those of a series
	Length   int    // of the sequences, to see whether they are long enough; 0 where it is not known

	// ZeroInitResidual starts every block as the identity, as in ResNetConfig.
	ZeroInitResidual bool
}

var archs1D = []arch{
	{"resnet1d-10", [4]int{1, 1, 1, 1}, false, 1},
	{"resnet1d-18", [4]int{2, 2, 2, 2}, false, 1},
	{"resnet1d-34", [4]int{3, 4, 6, 3}, false, 1},
}

// Archs1D names the residual networks for sequences.
func Archs1D() []string { return names(archs1D) }

// stem1D is a convolution from the channels of a sequence to the width, and the
// pooling after it.
type stem1D struct {
	name              string
	size, stride, pad int
	pool              *nn.MaxPool // or nil
	linear            bool        // no ReLU behind the convolution
}

// The stems:
//
//   - large, for waveforms: 80 taps at every fourth sample, then the largest of
//     each 4, as in Dai, Dai, Qu, Li and Das, "Very deep convolutional neural
//     networks for raw waveforms", 2017, table 1. At 8 kHz the taps span 10 ms.
//   - imagenet: that of ResNet with one dimension gone, 7 taps at every second
//     sample and the largest of each 3 at every second.
//   - small, for series, which are short: 7 taps, nothing left out. Wang, Yan and
//     Oates, "Time series classification from scratch", 2017, take 8, which
//     cannot be centred.
var stems1D = []stem1D{
	{name: "large", size: 80, stride: 4, pad: 38, pool: &nn.MaxPool{Size: 4, Sequence: true}},
	{name: "imagenet", size: 7, stride: 2, pad: 3, pool: &nn.MaxPool{Sequence: true}},
	{name: "small", size: 7, stride: 1, pad: 3},
}

// Stems1D names the stems of residual networks for sequences.
func Stems1D() []string {
	var names []string
	for _, s := range stems1D {
		names = append(names, s.name)
	}
	return names
}

// ResNet1D is a residual network for sequences n × t × c, up to the mean over time: a
// ResNet whose convolutions have 3 taps instead of 3 × 3. Its parameters have the names
// of torchvision's ResNet and the shapes of PyTorch's Conv1d.
type ResNet1D struct {
	config ResNet1DConfig
	net    ResNet // over n × t × 1 × c
}

// NewResNet1D builds a network. Its convolutions are initialised from rng
// (Kaiming normal over the fan-out); with a nil rng they are zero, to be loaded.
func NewResNet1D(config ResNet1DConfig, rng *rand.Rand) (*ResNet1D, error) {
	i := slices.IndexFunc(archs1D, func(a arch) bool { return a.name == config.Arch })
	j := slices.IndexFunc(stems1D, func(s stem1D) bool { return s.name == config.Stem })
	switch {
	case i < 0:
		return nil, fmt.Errorf("unknown encoder %q: known are %s", config.Arch, strings.Join(Archs1D(), ", "))
	case j < 0:
		return nil, errStem1D(config.Arch, config.Stem)
	case config.Width < 1:
		return nil, fmt.Errorf("encoder width is %d: it must be at least 1", config.Width)
	case config.Channels < 1:
		return nil, fmt.Errorf("encoder channels are %d: there must be at least 1", config.Channels)
	}
	m := &ResNet1D{config: config}
	s := stems1D[j]
	m.net.config.Channels, m.net.config.ZeroInitResidual = config.Channels, config.ZeroInitResidual
	m.net.stem = nn.NewConvNorm1D("conv1", "bn1", config.Channels, config.Width, s.size, s.stride, s.pad, true)
	if s.pool != nil {
		pool := *s.pool // a pass tells layers apart by their address
		m.net.pool = &pool
	}
	if least := m.MinLength(); config.Length > 0 && config.Length < least {
		return nil, fmt.Errorf("stem %s of %s reads sequences of at least %d, but they are of %d; take another stem (%s)",
			config.Stem, config.Arch, least, config.Length, strings.Join(Stems1D(), ", "))
	}
	m.net.stages(archs1D[i], config.Width, nn.NewConvNorm1D)
	m.net.init(rng)
	return m, nil
}

func errStem1D(arch, stem string) error {
	return fmt.Errorf("unknown stem %q: those of %s are %s", stem, arch, strings.Join(Stems1D(), ", "))
}

// Config returns what the network was built from.
func (m *ResNet1D) Config() ResNet1DConfig { return m.config }

// MinLength returns the length of the shortest sequence that the network reads.
func (m *ResNet1D) MinLength() int {
	if m.net.pool != nil && m.net.pool.Size > 0 {
		return m.net.pool.Size * m.net.stem.Conv(1, 1<<20, 1).Stride
	}
	return 1
}

// Dim returns the width of a representation.
func (m *ResNet1D) Dim() int { return m.net.Dim() }

// Params returns the trainable parameters in torchvision's order.
func (m *ResNet1D) Params() []*nn.Param { return m.net.Params() }

// Buffers returns the running statistics in torchvision's order.
func (m *ResNet1D) Buffers() []*nn.Param { return m.net.Buffers() }

// SetPrecision says what numbers the convolutions multiply.
func (m *ResNet1D) SetPrecision(p device.Precision) { m.net.SetPrecision(p) }

// Forward maps sequences n × t × c to representations n × Dim.
func (m *ResNet1D) Forward(p *nn.Pass, x *tensor.Tensor) nn.Act {
	if len(x.Shape) != 3 || x.Shape[1] < m.MinLength() || x.Shape[2] != m.config.Channels {
		panic(fmt.Sprintf("model: a ResNet1D reads n × t × %d, t at least %d; got %v", m.config.Channels, m.MinLength(), x.Shape))
	}
	return m.net.Forward(p, tensor.From(x.Data, x.Shape[0], x.Shape[1], 1, x.Shape[2]))
}

// Backward takes dy, the gradient of the representations (n × Dim), and adds the
// gradients of the parameters. Unless dx is none it gets the gradient of the sequences.
func (m *ResNet1D) Backward(p *nn.Pass, dy, dx device.Array) { m.net.Backward(p, dy, dx) }

// Flops counts the operations of the convolutions for sequences n × t × c.
func (m *ResNet1D) Flops(shape ...int) int { return m.net.Flops(shape[0], shape[1], 1) }

var _ Encoder = (*ResNet1D)(nil)
