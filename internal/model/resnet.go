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

// ResNetConfig says which ResNet.
type ResNetConfig struct {
	Arch     string // one of Archs2D
	Width    int    // channels of the first stage before widening; 64 is the usual
	Stem     string // imagenet: 7×7/2 and max-pool; small: 3×3; padded, linear: see stems2D
	Channels int    // of the images

	// ZeroInitResidual starts every block as the identity: γ of its last
	// normalisation is 0. The released training does so (vicreg main_vicreg.py,
	// class VICReg), torchvision does not unless asked.
	ZeroInitResidual bool
}

// arch is a row of the table of He et al. 2015, or of the released resnet.py.
type arch struct {
	name       string
	blocks     [4]int
	bottleneck bool
	widen      int // every stage is that many times as wide
}

var archs = []arch{
	{"resnet10", [4]int{1, 1, 1, 1}, false, 1},
	{"resnet18", [4]int{2, 2, 2, 2}, false, 1},
	{"resnet34", [4]int{3, 4, 6, 3}, false, 1},
	{"resnet50", [4]int{3, 4, 6, 3}, true, 1},
	{"resnet101", [4]int{3, 4, 23, 3}, true, 1},
	{"resnet152", [4]int{3, 8, 36, 3}, true, 1},
	{"resnet50x2", [4]int{3, 4, 6, 3}, true, 2},
	{"resnet200x2", [4]int{3, 24, 36, 3}, true, 2},
}

// Archs2D names the residual networks for images.
func Archs2D() []string { return names(archs) }

func names(archs []arch) (all []string) {
	for _, a := range archs {
		all = append(all, a.name)
	}
	return all
}

// ResNet is a residual network up to its global average pool. Its parameters
// have torchvision's names. The stride of a bottleneck is at its 3×3
// convolution, as in torchvision and the released code.
type ResNet struct {
	config ResNetConfig
	stem   *nn.ConvNorm
	pool   *nn.MaxPool // nil with the small stem
	blocks []*nn.Residual
	starts []int // the first block of each stage
	mean   nn.GlobalPool
	dim    int
	frozen int // stages that do not learn, the stem included
}

// NewResNet builds a network. Its convolutions are initialised from rng
// (Kaiming normal over the fan-out, as the released code); with a nil rng they
// are zero, to be loaded.
func NewResNet(config ResNetConfig, rng *rand.Rand) (*ResNet, error) {
	i := slices.IndexFunc(archs, func(a arch) bool { return a.name == config.Arch })
	switch {
	case i < 0:
		return nil, fmt.Errorf("unknown encoder %q: known are %s", config.Arch, strings.Join(Archs2D(), ", "))
	case config.Width < 1:
		return nil, fmt.Errorf("encoder width is %d: it must be at least 1", config.Width)
	case config.Channels < 1:
		return nil, fmt.Errorf("encoder channels are %d: there must be at least 1", config.Channels)
	}
	a := archs[i]
	m := &ResNet{config: config}
	planes := config.Width * a.widen
	stem, err := stem2D(config.Stem)
	if err != nil {
		return nil, err
	}
	m.stem = nn.NewConvNorm("conv1", "bn1", config.Channels, planes, stem.size, stem.stride, stem.pad, !stem.linear)
	if stem.pool != nil {
		m.pool = new(nn.MaxPool)
	}
	m.stages(a, planes, nn.NewConvNorm)
	m.init(rng)
	return m, nil
}

// convolution makes one with its normalisation: [nn.NewConvNorm], or its form for
// sequences.
type convolution func(name, norm string, in, out, size, stride, pad int, relu bool) *nn.ConvNorm

// stages puts the four stages of blocks behind a stem of planes channels.
func (m *ResNet) stages(a arch, planes int, conv convolution) {
	in := planes
	for stage, n := range a.blocks {
		m.starts = append(m.starts, len(m.blocks))
		for block := range n {
			stride := 1
			if stage > 0 && block == 0 {
				stride = 2
			}
			b, out := newBlock(conv, fmt.Sprintf("layer%d.%d", stage+1, block), in, planes<<stage, stride, a.bottleneck)
			m.blocks, in = append(m.blocks, b), out
		}
	}
	m.dim = in
}

// stems2D are the first layers of residual networks for images. The last two are those of
// weights from elsewhere. With the border of padded the images of CIFAR are 34 × 34 pixels
// behind it, as solo-learn has them (solo/methods/base.py, where conv1 is replaced); linear
// has no ReLU, as lightly's ResNetGenerator loses it where it is made a sequence of its
// children (lightly's benchmarks of CIFAR-10).
var stems2D = map[string]stem1D{
	"imagenet": {size: 7, stride: 2, pad: 3, pool: maxPool2D},
	"small":    {size: 3, stride: 1, pad: 1},
	"padded":   {size: 3, stride: 1, pad: 2},
	"linear":   {size: 3, stride: 1, pad: 1, linear: true},
}

// stem2D returns a stem by its name.
func stem2D(name string) (stem1D, error) {
	s, ok := stems2D[name]
	if !ok {
		return s, fmt.Errorf("unknown stem %q: known are imagenet and small (also padded and linear, of imported weights)", name)
	}
	return s, nil
}

// newBlock returns a basic block (3×3, 3×3) or a bottleneck (1×1, 3×3, and 1×1
// to four times as many channels), and the number of channels it gives. For sequences
// 3×3 is 3 taps.
func newBlock(
	of convolution, name string, in, planes, stride int, bottleneck bool,
) (b *nn.Residual, out int) {
	conv := func(i, c, k, size, stride int, relu bool) *nn.ConvNorm {
		return of(fmt.Sprintf("%s.conv%d", name, i), fmt.Sprintf("%s.bn%d", name, i),
			c, k, size, stride, size/2, relu)
	}
	b = new(nn.Residual)
	if bottleneck {
		out = 4 * planes
		b.Convs = []*nn.ConvNorm{
			conv(1, in, planes, 1, 1, true),
			conv(2, planes, planes, 3, stride, true),
			conv(3, planes, out, 1, 1, false),
		}
	} else {
		out = planes
		b.Convs = []*nn.ConvNorm{
			conv(1, in, planes, 3, stride, true),
			conv(2, planes, planes, 3, 1, false),
		}
	}
	if stride != 1 || in != out {
		b.Down = of(name+".downsample.0", name+".downsample.1", in, out, 1, stride, 0, false)
	}
	return b, out
}

func (m *ResNet) init(rng *rand.Rand) {
	if rng != nil {
		for _, p := range m.Params() {
			if len(p.Shape) >= 3 { // the weights of a convolution
				nn.KaimingNormal(rng, p)
			}
		}
	}
	if m.config.ZeroInitResidual {
		for _, b := range m.blocks {
			g := b.Convs[len(b.Convs)-1].Gamma
			g.Device().Fill(g.Value, 0)
		}
	}
}

// SetPrecision says what numbers the convolutions multiply.
func (m *ResNet) SetPrecision(p device.Precision) {
	m.stem.Precision = p
	for _, b := range m.blocks {
		for _, u := range b.Convs {
			u.Precision = p
		}
		if b.Down != nil {
			b.Down.Precision = p
		}
	}
}

// Config returns what the network was built from.
func (m *ResNet) Config() ResNetConfig { return m.config }

// Dim returns the width of a representation.
func (m *ResNet) Dim() int { return m.dim }

// Params returns the trainable parameters in torchvision's order.
func (m *ResNet) Params() []*nn.Param {
	ps := m.stem.Params()
	for _, b := range m.blocks {
		ps = append(ps, b.Params()...)
	}
	return ps
}

// Buffers returns the running statistics in torchvision's order.
func (m *ResNet) Buffers() []*nn.Param {
	ps := m.stem.Buffers()
	for _, b := range m.blocks {
		ps = append(ps, b.Buffers()...)
	}
	return ps
}

// Forward maps images n × h × w × c to representations n × Dim.
func (m *ResNet) Forward(p *nn.Pass, x *tensor.Tensor) nn.Act {
	if len(x.Shape) != 4 || x.Shape[3] != m.config.Channels {
		panic(fmt.Sprintf("model: a ResNet reads n × h × w × %d, got %v", m.config.Channels, x.Shape))
	}
	p.SetPrecision(m.stem.Precision)
	learn, q := m.learns(), p
	if p.Learns() && m.frozen > 0 {
		q = p.Frozen()
		q.SetPrecision(m.stem.Precision)
	}
	a := m.stem.Forward(q, q.Input(x.Data, x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]))
	if m.pool != nil {
		a = m.pool.Forward(q, a)
	}
	for i, b := range m.blocks {
		if i == learn {
			q = p
		}
		a = b.Forward(q, a)
	}
	return m.mean.Forward(p, a)
}

// Backward takes dy, the gradient of the representations (n × Dim), and adds the
// gradients of the parameters. Unless dx is none it gets the gradient of the images.
func (m *ResNet) Backward(p *nn.Pass, dy, dx device.Array) {
	d := m.mean.Backward(p, dy)
	for _, b := range slices.Backward(m.blocks[m.learns():]) {
		d = b.Backward(p, d)
	}
	if m.frozen > 0 {
		p.Arena().Put(d)
		return
	}
	if m.pool != nil {
		d = m.pool.Backward(p, d)
	}
	m.stem.Backward(p, d, dx, device.Finish{})
	p.Arena().Put(d)
}

// Convs lists the convolutions of a forward over n images of h × w, in order.
func (m *ResNet) Convs(n, h, w int) []device.Conv {
	s := m.stem.Conv(n, h, w)
	all := []device.Conv{s}
	if m.pool != nil {
		s = m.pool.Shape(n, s.OutH(), s.OutW(), s.K)
	}
	for _, b := range m.blocks {
		h, w = s.OutH(), s.OutW()
		if b.Down != nil {
			all = append(all, b.Down.Conv(n, h, w))
		}
		for _, u := range b.Convs {
			s = u.Conv(n, h, w)
			h, w = s.OutH(), s.OutW()
			all = append(all, s)
		}
	}
	return all
}

// Flops counts the operations of the convolutions for images n × h × w × c.
func (m *ResNet) Flops(shape ...int) int {
	total := 0
	for _, s := range m.Convs(shape[0], shape[1], shape[2]) {
		total += s.Flops()
	}
	return total
}

// ResNetOf returns the name and the width of the residual network for images that has so
// many blocks, each of three convolutions or of two, and a first stage of planes channels.
func ResNetOf(blocks [4]int, bottleneck bool, planes int) (name string, width int, ok bool) {
	for _, a := range archs {
		if a.blocks != blocks || a.bottleneck != bottleneck || planes%a.widen != 0 {
			continue
		}
		if ok = true; name == "" || planes/a.widen == 64 { // of two names that with the usual width
			name, width = a.name, planes/a.widen
		}
	}
	return name, width, ok
}
