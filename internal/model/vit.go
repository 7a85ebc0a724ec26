package model

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// ViTConfig describes a vision transformer.
type ViTConfig struct {
	Arch          string // one of ViTs, or vit: as Dim, Blocks and Heads say
	Height, Width int    // of the images: their positions are learned, so others cannot be read
	Channels      int
	Patch         int    // pixels, width and height; 0: 16, or 4 for images of less than 64 pixels
	Pool          string // class (default): the class token; mean: the mean of the patches, without a class token
	Positions     string // learned (default), as timm and DeiT; sincos: fixed, as MoCo v3

	Dim, Blocks, Heads int // 0: as Arch says
}

// vit is the size of a vision transformer.
type vit struct {
	name              string
	dim, depth, heads int
}

// vits are the sizes of Touvron et al. 2021 (DeiT), table 1, by their names in
// timm: vit_tiny_patch16_224, vit_small_patch16_224 and vit_base_patch16_224.
var vits = []vit{
	{"vit-tiny", 192, 12, 3},
	{"vit-small", 384, 12, 6},
	{"vit-base", 768, 12, 12},
}

// anyViT is a vision transformer of any size.
const anyViT = "vit"

// mostDepth is more blocks than any vision transformer has.
const mostDepth = 1000

// vit is the part of a configuration that makes a vision transformer.
func (c Config) vit() ViTConfig {
	return ViTConfig{Arch: c.Arch, Height: c.Input.Shape[0], Width: c.Input.Shape[1], Channels: c.Input.Shape[2],
		Patch: c.Patch, Pool: c.Pool, Positions: c.Positions, Dim: c.Dim, Blocks: c.Blocks, Heads: c.Heads}
}

// isViT reports whether an encoder is a vision transformer.
func (c Config) isViT() bool { return c.Arch == anyViT || slices.Contains(ViTs(), c.Arch) }

// tokens counts what a network with its defaults filled in makes of an image.
func (c ViTConfig) tokens() int {
	n := c.Height / c.Patch * (c.Width / c.Patch)
	if c.Pool == "class" {
		n++
	}
	return n
}

// filled returns c with its defaults filled in, and the network's size.
func (c ViTConfig) filled() (ViTConfig, vit, error) {
	c.Patch, c.Pool, c.Positions = c.patch(), cmp.Or(c.Pool, "class"), cmp.Or(c.Positions, "learned")
	v := vit{name: c.Arch}
	if i := slices.IndexFunc(vits, func(v vit) bool { return v.name == c.Arch }); i >= 0 {
		v = vits[i]
	} else if c.Arch != anyViT {
		return c, v, fmt.Errorf("unknown encoder %q: known vision transformers are %s", c.Arch, strings.Join(ViTs(), ", "))
	}
	v.dim, v.depth, v.heads = cmp.Or(c.Dim, v.dim), cmp.Or(c.Blocks, v.depth), cmp.Or(c.Heads, v.heads)
	return c, v, c.check(v)
}

// check returns what is wrong with a configuration whose defaults are filled in.
func (c ViTConfig) check(v vit) error {
	switch {
	case v.dim < 1 || v.dim > mostWidth:
		return fmt.Errorf("dim is %d: a vision transformer needs between 1 and %d", v.dim, mostWidth)
	case v.depth < 1 || v.depth > mostDepth:
		return fmt.Errorf("blocks are %d: a vision transformer needs between 1 and %d", v.depth, mostDepth)
	case v.heads < 1 || v.dim%v.heads != 0:
		return fmt.Errorf("heads are %d: there must be at least 1, and they must divide the dim %d", v.heads, v.dim)
	case c.Channels < 1:
		return fmt.Errorf("encoder channels are %d: there must be at least 1", c.Channels)
	case c.Patch < 1:
		return fmt.Errorf("encoder patch is %d: it must be at least 1", c.Patch)
	case c.Height < 1 || c.Width < 1 || c.Height%c.Patch != 0 || c.Width%c.Patch != 0:
		return errPatch(c.Height, c.Width, c.Patch)
	case c.Pool != "class" && c.Pool != "mean":
		return fmt.Errorf("unknown pooling %q of a vision transformer: known are class and mean", c.Pool)
	case c.Positions != "learned" && c.Positions != "sincos":
		return fmt.Errorf("unknown positions %q of a vision transformer: known are learned and sincos", c.Positions)
	case c.Positions == "sincos" && v.dim%4 != 0:
		return fmt.Errorf("dim is %d: fixed positions need one that 4 divides", v.dim)
	}
	return nil
}

// ViTs names the vision transformers.
func ViTs() []string {
	var names []string
	for _, v := range vits {
		names = append(names, v.name)
	}
	return names
}

// ViT is a vision transformer (Dosovitskiy et al. 2021) up to its representation:
// patches, pre-norm blocks, a last layer normalisation, and then the class token or the
// mean over patches. Parameters have timm's names.
//
// The mean is taken after that normalisation, as timm does it with fc_norm off.
//
// Positions are learned by default. The position embedding, (1, tokens, dim), and the
// class token, (1, 1, dim), have more than one dimension, so optimizers apply weight
// decay to them, and LARS its ratio; timm exempts both from decay.
type ViT struct {
	config  ViTConfig
	patches *nn.Patches
	blocks  *nn.Transformer
	norm    *nn.LayerNorm
	dim     int
	first   nn.FirstToken
	mean    nn.TokenMean
	frozen  int // stages that do not learn, the stem included
}

// NewViT builds a network, initialised from rng as timm does; with a nil rng its
// weights are zero, to be loaded.
func NewViT(config ViTConfig, rng *rand.Rand) (*ViT, error) {
	config, v, err := config.filled()
	if err != nil {
		return nil, err
	}
	return newViT(config, v.dim, v.depth, v.heads, rng)
}

// patch returns the width and height of a patch.
func (c ViTConfig) patch() int {
	switch {
	case c.Patch != 0:
		return c.Patch
	case min(c.Height, c.Width) < 64:
		return 4
	}
	return 16
}

func errPatch(h, w, patch int) error {
	return fmt.Errorf("images of %d × %d do not divide into patches of %d × %d: take another image size or patch", h, w, patch, patch)
}

// newViT builds a network of any size.
func newViT(c ViTConfig, dim, depth, heads int, rng *rand.Rand) (*ViT, error) {
	if err := c.check(vit{dim: dim, depth: depth, heads: heads}); err != nil {
		return nil, err
	}
	h, w := c.Height/c.Patch, c.Width/c.Patch
	m := &ViT{config: c, dim: dim, blocks: nn.NewTransformer(depth, dim, heads), norm: nn.NewLayerNorm("norm", dim)}
	m.patches = &nn.Patches{
		Weight: nn.NewParam("patch_embed.proj.weight", dim, c.Channels, c.Patch, c.Patch),
		Bias:   nn.NewParam("patch_embed.proj.bias", dim),
		Size:   c.Patch,
	}
	tokens := c.tokens()
	if c.Pool == "class" {
		m.patches.Class = nn.NewTable("cls_token", 1, 1, dim)
	}
	m.patches.Position = nn.NewTable("pos_embed", 1, tokens, dim)
	if c.Positions == "sincos" {
		m.patches.Position.Freeze()
		m.patches.Position.Change(func(v []float32) { sincos(v[(tokens-h*w)*dim:], h, w, dim) })
	}
	if rng != nil {
		nn.LinearUniform(rng, m.patches.Weight, m.patches.Bias) // as torch.nn.Conv2d
		if c.Positions == "learned" {
			nn.TruncatedNormal(rng, m.patches.Position)
		}
		if m.patches.Class != nil {
			m.patches.Class.Draw(func() float64 { return rng.NormFloat64() * 1e-6 })
		}
		m.blocks.Init(rng)
	}
	return m, nil
}

// sincos fills the fixed position embedding of MoCo v3 (vits.py,
// build_2d_sincos_position_embedding) for a grid of h × w patches: a quarter of
// the channels each for the sine and cosine of the row, then of the column. The
// class token's place stays zero.
func sincos(pos []float32, h, w, dim int) {
	quarter := dim / 4
	for y := range h {
		for x := range w {
			row := pos[(y*w+x)*dim:][:dim]
			for i := range quarter {
				omega := math.Pow(10000, -float64(i)/float64(quarter))
				sy, cy := math.Sincos(float64(y) * omega)
				sx, cx := math.Sincos(float64(x) * omega)
				row[i], row[quarter+i] = float32(sy), float32(cy)
				row[2*quarter+i], row[3*quarter+i] = float32(sx), float32(cx)
			}
		}
	}
}

// Config returns what the network was built from, defaults filled in.
func (m *ViT) Config() ViTConfig { return m.config }

// Dim returns the width of a representation.
func (m *ViT) Dim() int { return m.dim }

// Params returns the trainable parameters in timm's order.
func (m *ViT) Params() []*nn.Param {
	return append(append(m.stem(), m.blocks.Params()...), m.norm.Params()...)
}

// stem are the parameters before the first block.
func (m *ViT) stem() []*nn.Param {
	var ps []*nn.Param
	if m.patches.Class != nil {
		ps = append(ps, m.patches.Class)
	}
	if !m.fixed() {
		ps = append(ps, m.patches.Position)
	}
	return append(ps, m.patches.Weight, m.patches.Bias)
}

// fixed reports whether the position embedding is no parameter.
func (m *ViT) fixed() bool { return m.config.Positions == "sincos" }

// Buffers returns the position embedding if it is fixed.
func (m *ViT) Buffers() []*nn.Param {
	if m.fixed() {
		return []*nn.Param{m.patches.Position}
	}
	return nil
}

// SetPrecision says what numbers the products multiply.
func (m *ViT) SetPrecision(p device.Precision) {
	m.patches.Precision = p
	m.blocks.SetPrecision(p)
}

// Forward maps images n × h × w × c to representations n × Dim.
func (m *ViT) Forward(p *nn.Pass, x *tensor.Tensor) nn.Act {
	c := m.config
	if len(x.Shape) != 4 || x.Shape[1] != c.Height || x.Shape[2] != c.Width || x.Shape[3] != c.Channels {
		panic(fmt.Sprintf("model: this vision transformer reads n × %d × %d × %d, got %v", c.Height, c.Width, c.Channels, x.Shape))
	}
	p.SetPrecision(m.patches.Precision)
	learn, q := max(0, m.frozen-1), p
	if p.Learns() && m.frozen > 0 {
		q = p.Frozen()
		q.SetPrecision(m.patches.Precision)
	}
	t := m.patches.Forward(q, q.Input(x.Data, x.Shape[0], c.Height, c.Width, c.Channels))
	t = m.blocks.Part(p, m.blocks.Part(q, t, 0, learn), learn, len(m.blocks.MLP))
	if m.patches.Class != nil {
		return nn.Whole(m.norm.Forward(p, m.first.Forward(p, t)).X, x.Shape[0], 1, 1, m.dim)
	}
	return m.mean.Forward(p, m.norm.Forward(p, t))
}

// Backward takes dy, the gradient of the representations (n × Dim), and adds the
// gradients of the parameters. Unless dx is none it gets the gradient of the images.
func (m *ViT) Backward(p *nn.Pass, dy, dx device.Array) {
	var d device.Array
	if m.patches.Class != nil {
		own := p.Arena().Get(dy.Type(), dy.Len())
		p.Device().Copy(own, dy)
		own = m.norm.Backward(p, own)
		d = m.first.Backward(p, own)
		p.Arena().Put(own)
	} else {
		d = m.norm.Backward(p, m.mean.Backward(p, dy))
	}
	d = m.blocks.BackwardTo(p, d, max(0, m.frozen-1))
	if m.frozen > 0 {
		p.Arena().Put(d)
		return
	}
	m.patches.Backward(p, d, dx)
}

// Flops counts the operations of the products for images n × h × w × c.
func (m *ViT) Flops(shape ...int) int {
	n, tokens := shape[0], m.patches.Position.Shape[1]
	patches := m.config.Height / m.config.Patch * (m.config.Width / m.config.Patch)
	return 2*n*patches*m.patches.Weight.Value.Len() + m.blocks.Flops(n, tokens)
}

// ViTOf returns the name of the vision transformer of a size, and those of its numbers
// that the name does not say.
func ViTOf(dim, blocks, heads int) (arch string, d, b, h int) {
	for _, v := range vits {
		if v.dim == dim && v.depth == blocks {
			if v.heads != heads {
				h = heads
			}
			return v.name, 0, 0, h
		}
	}
	return anyViT, dim, blocks, heads
}
