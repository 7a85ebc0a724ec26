package model

import (
	"fmt"
	"slices"
	"strconv"
)

// Array describes an array of a network, a parameter or a running statistic: its name
// and its shape in PyTorch. It holds no values.
type Array struct {
	Name  string
	Shape []int
}

// Len returns the number of values.
func (a Array) Len() int {
	n := 1
	for _, s := range a.Shape {
		n *= s
	}
	return n
}

// Limits far above what anyone builds; below them no number of values overflows.
const (
	mostWidth  = 1 << 16 // channels of the first stage, or of a layer of a perceptron
	mostValues = 1 << 26 // that an encoder reads of one item
	mostHead   = 1 << 20 // width of a layer of a head
	mostLayers = 100     // of a head
)

// check returns what is wrong with the numbers of a configuration, whatever its
// encoder.
func (c Config) check() error {
	rank := map[Kind]int{Images: 3, Sequences: 2, Numbers: 1, Texts: 1}[c.Input.Kind]
	if len(c.Input.Shape) != rank {
		return fmt.Errorf("%s of shape %v: they have %d dimensions", c.Input.Kind, c.Input.Shape, rank)
	}
	values := 1
	for _, s := range c.Input.Shape {
		if s < 1 {
			return fmt.Errorf("%s of shape %v: each dimension must be at least 1", c.Input.Kind, c.Input.Shape)
		}
		if values *= min(s, mostValues+1); values > mostValues {
			return fmt.Errorf("%s of shape %v have more than %d values each, too many for any encoder here", c.Input.Kind, c.Input.Shape, mostValues)
		}
	}
	switch {
	case c.Width < 0 || c.Width > mostWidth:
		return fmt.Errorf("encoder width is %d: it must be between 1 and %d", c.Width, mostWidth)
	case c.Patch < 0:
		return fmt.Errorf("encoder patch is %d: it must be at least 1, or 0", c.Patch)
	}
	return nil
}

// checkHead returns what is wrong with the widths of a head.
func checkHead(widths []int) error {
	if len(widths) > mostLayers {
		return fmt.Errorf("a head of %d layers: there may be %d", len(widths), mostLayers)
	}
	if m := slices.Max(widths); m > mostHead {
		return fmt.Errorf("a layer of a head is %d wide: the limit is %d", m, mostHead)
	}
	return nil
}

// Arrays lists the parameters and running statistics of the encoder that New
// would build, without taking memory for them, and returns the encoder's Dim.
func Arrays(c Config) (all []Array, dim int, err error) {
	if _, err := find(c.Arch, c.Input.Kind); err != nil {
		return nil, 0, err
	}
	if err := c.check(); err != nil {
		return nil, 0, err
	}
	var l list
	in := c.Input.Shape
	for _, a := range archs {
		if a.name == c.Arch {
			stem, err := stem2D(c.Stem)
			if err != nil {
				return nil, 0, err
			}
			dim = l.resnet(a, c.Width*a.widen, in[2], func(taps int) []int { return []int{taps, taps} }, stem.size)
		}
	}
	for _, a := range archs1D {
		if a.name == c.Arch {
			i := slices.IndexFunc(stems1D, func(s stem1D) bool { return s.name == c.Stem })
			if i < 0 {
				return nil, 0, errStem1D(c.Arch, c.Stem)
			}
			dim = l.resnet(arch{blocks: a.blocks}, c.Width, in[1], func(taps int) []int { return []int{taps} },
				stems1D[i].size)
		}
	}
	if c.isViT() {
		c, v, err := c.vit().filled()
		if err != nil {
			return nil, 0, err
		}
		dim = v.dim
		l.add("patch_embed.proj.weight", dim, c.Channels, c.Patch, c.Patch)
		l.add("patch_embed.proj.bias", dim)
		if c.Pool == "class" {
			l.add("cls_token", 1, 1, dim)
		}
		l.add("pos_embed", 1, c.tokens(), dim)
		l.transformer(v.depth, dim)
	}
	switch c.Arch {
	case "text":
		dim = textDim
		l.add("token_embed.weight", textNumbers, dim)
		l.add("pos_embed", 1, in[0], dim)
		l.transformer(textDepth, dim)
	case "mlp":
		from := in[0]
		for i, width := range mlpWidths(c.Width) {
			l.linear(strconv.Itoa(3*i), width, from, true)
			l.norm(strconv.Itoa(3*i+1), width, true)
			from = width
		}
		dim = from
	}
	if dim < 1 {
		return nil, 0, fmt.Errorf("encoder width is %d: it must be at least 1", c.Width)
	}
	return l, dim, nil
}

// Arrays lists the parameters and running statistics of the head that NewHead
// would build for inputs of width in; of no head, none.
func (h Head) Arrays(in int) ([]Array, error) {
	if h.None() {
		return nil, nil
	}
	widths, err := h.widths()
	if err != nil {
		return nil, err
	}
	var l list
	at := 0 // the number of a module in nn.Sequential
	name := func() string { at++; return strconv.Itoa(at - 1) }
	for i, width := range widths {
		last := i == len(widths)-1
		l.linear(name(), width, in, !last || h.Last == Bias)
		switch {
		case last && (h.Last == Norm || h.Last == Affine):
			l.norm(name(), width, h.Last == Affine)
		case !last && !h.NoNorm:
			l.norm(name(), width, true)
		}
		at++ // the ReLU
		in = width
	}
	return l, nil
}

// list is the arrays of a network so far.
type list []Array

func (l *list) add(name string, shape ...int) { *l = append(*l, Array{name, shape}) }

func (l *list) linear(name string, k, c int, bias bool) {
	l.add(name+".weight", k, c)
	if bias {
		l.add(name+".bias", k)
	}
}

// norm is a batch normalisation, affine if it has weights.
func (l *list) norm(name string, k int, affine bool) {
	if affine {
		l.add(name+".weight", k)
		l.add(name+".bias", k)
	}
	l.add(name+".running_mean", k)
	l.add(name+".running_var", k)
	l.add(name + ".num_batches_tracked")
}

// resnet is a residual network of any number of dimensions; shape returns the shape of a
// kernel with so many taps. It returns the network's Dim.
func (l *list) resnet(a arch, planes, channels int, shape func(taps int) []int, stem int) int {
	conv := func(conv, norm string, c, k, taps int) {
		l.add(conv+".weight", append([]int{k, c}, shape(taps)...)...)
		l.norm(norm, k, true)
	}
	conv("conv1", "bn1", channels, planes, stem)
	in := planes
	for stage, n := range a.blocks {
		planes := planes << stage
		for block := range n {
			name := fmt.Sprintf("layer%d.%d.", stage+1, block)
			out := planes
			if a.bottleneck {
				out = 4 * planes
				conv(name+"conv1", name+"bn1", in, planes, 1)
				conv(name+"conv2", name+"bn2", planes, planes, 3)
				conv(name+"conv3", name+"bn3", planes, out, 1)
			} else {
				conv(name+"conv1", name+"bn1", in, planes, 3)
				conv(name+"conv2", name+"bn2", planes, planes, 3)
			}
			if stage > 0 && block == 0 || in != out {
				conv(name+"downsample.0", name+"downsample.1", in, out, 1)
			}
			in = out
		}
	}
	return in
}

// transformer is a stack of blocks over c channels and the normalisation after it.
func (l *list) transformer(depth, c int) {
	for i := range depth {
		name := fmt.Sprintf("blocks.%d.", i)
		for _, norm := range []string{"norm1", "norm2"} {
			l.add(name+norm+".weight", c)
			l.add(name+norm+".bias", c)
		}
		l.linear(name+"attn.qkv", 3*c, c, true)
		l.linear(name+"attn.proj", c, c, true)
		l.linear(name+"mlp.fc1", 4*c, c, true)
		l.linear(name+"mlp.fc2", c, 4*c, true)
	}
	l.add("norm.weight", c)
	l.add("norm.bias", c)
}
