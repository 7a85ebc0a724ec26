package foreign

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/model"
	"vicreg/internal/show"
)

// resnet finds which residual network has arrays of these shapes.
func (x *Found) resnet(shapes map[string][]int, p place, l *layout, o Options) error {
	stem := shapes["conv1.weight"]
	if len(stem) != 4 || slices.Min(stem) < 1 {
		return missing("conv1.weight", shapes)
	}
	var blocks [4]int
	for stage := range blocks {
		for shapes[fmt.Sprintf("layer%d.%d.conv1.weight", stage+1, blocks[stage])] != nil {
			blocks[stage]++
		}
	}
	if o.Heads > 0 {
		return unsuitedf("--heads is %d, but a residual network has none", o.Heads)
	}
	planes, in := stem[0], stem[1]
	bottleneck := shapes["layer1.0.conv3.weight"] != nil
	if bottleneck {
		first, second := shapes["layer1.0.conv1.weight"], shapes["layer1.0.conv2.weight"]
		switch {
		case len(first) != 4 || len(second) != 4:
			return missing("layer1.0.conv2.weight", shapes)
		case second[1] != second[0]:
			return fmt.Errorf("its 3×3 convolutions are in %d groups, as ResNeXt's", second[0]/max(1, second[1]))
		case first[0] != planes:
			return fmt.Errorf("its 3×3 convolutions alone are wider, %d channels for %d, as wide_resnet50_2's", first[0], planes)
		}
	}
	c := model.Config{Input: model.Input{Kind: model.Images}}
	var ok bool
	if c.Arch, c.Width, ok = model.ResNetOf(blocks, bottleneck, planes); !ok {
		kind := "two"
		if bottleneck {
			kind = "three"
		}
		return fmt.Errorf("it has %d, %d, %d and %d blocks of %s convolutions, as none of %s", blocks[0], blocks[1], blocks[2], blocks[3], kind, strings.Join(model.Archs2D(), ", "))
	}
	switch {
	case stem[2] == 7 && stem[3] == 7:
		c.Stem, x.Size = "imagenet", 224
		if o.Stem != "" && o.Stem != c.Stem {
			return unsuitedf("--stem is %s, but its first convolution is 7×7", o.Stem)
		}
	case stem[2] == 3 && stem[3] == 3:
		c.Stem, x.Size = "small", 32
		switch {
		case o.Stem != "":
			c.Stem = o.Stem
		case p.linear:
			c.Stem = "linear"
			x.guess("no ReLU follows the first normalisation: it is not among the children that the file numbers (--stem small: one does)")
		case l.cifar != "":
			c.Stem = l.cifar
			x.guess("the first convolution is 3×3 with a border of 2 pixels and no pooling behind it, as %s has it for CIFAR (--stem small: of 1)", l.name)
		default:
			x.guess("the first convolution is 3×3 at every pixel with a border of 1 and no pooling behind it (--stem padded: of 2)")
		}
		if c.Stem == "imagenet" {
			return unsuitedf("--stem is imagenet, but its first convolution is 3×3")
		}
	default:
		return fmt.Errorf("its first convolution is %d×%d, but 7×7 and 3×3 are known", stem[2], stem[3])
	}
	if o.Size > 0 {
		x.Size = o.Size
	} else {
		x.guess("images are %d × %d pixels, as is usual with such a first convolution (--size says otherwise)", x.Size, x.Size)
	}
	return x.reads(&c, in)
}

// vit finds which vision transformer has arrays of these shapes.
func (x *Found) vit(f *File, shapes map[string][]int, l *layout, o Options) error {
	patches, pos := shapes["patch_embed.proj.weight"], shapes["pos_embed"]
	switch {
	case len(patches) != 4 || slices.Min(patches) < 1:
		return missing("patch_embed.proj.weight", shapes)
	case len(pos) != 3 || pos[0] != 1 || pos[2] != patches[0]:
		return missing("pos_embed", shapes)
	case patches[2] != patches[3]:
		return fmt.Errorf("its patches are %d × %d, but should be as wide as they are high", patches[2], patches[3])
	case o.Stem != "":
		return unsuitedf("--stem is %s, but a vision transformer has none", o.Stem)
	}
	c := model.Config{Patch: patches[2], Input: model.Input{Kind: model.Images}}
	tokens := pos[1]
	if shapes["cls_token"] != nil {
		tokens--
	} else {
		c.Pool = "mean"
		x.guess("it has no class token, so its representation is the mean of the patches")
	}
	if x.grid = int(math.Sqrt(float64(tokens))); x.grid < 1 || x.grid*x.grid != tokens {
		return fmt.Errorf("it has %d patches, which are no square", tokens)
	}
	depth := 0
	for shapes[fmt.Sprintf("blocks.%d.attn.qkv.weight", depth)] != nil {
		depth++
	}
	x.Size = x.grid * c.Patch
	if o.Size > 0 && o.Size != x.Size {
		if o.Size%c.Patch != 0 {
			return unsuitedf("--size is %d, but its patches of %d must divide it", o.Size, c.Patch)
		}
		x.guess("its positions are for images of %d × %d pixels: those of %d × %[3]d are interpolated between them", x.Size, x.Size, o.Size)
		x.Size = o.Size
	}
	c.Stem = "imagenet" // which says nothing here, as in any configuration
	values, err := f.read(x.from["pos_embed"])
	if err != nil {
		return err
	}
	moco := fixed(values, x.grid, patches[0], true)
	if moco || fixed(values, x.grid, patches[0], false) {
		c.Positions = "sincos"
	}
	heads := o.Heads
	switch dim := patches[0]; {
	case heads > 0:
	case l.heads > 0:
		heads = l.heads
		x.guess("it has %d heads, as %s's (--heads says otherwise)", heads, l.name)
	case moco && dim < 768 && dim%12 == 0:
		heads = 12
		x.guess("it has 12 heads, as MoCo v3's, whose fixed positions it has (--heads says otherwise)")
	case dim%64 == 0:
		heads = dim / 64
		x.guess("it has %d heads, one for each 64 channels (--heads says otherwise)", heads)
	default:
		return unsuitedf("how many heads its %d channels are in cannot be seen; give --heads", dim)
	}
	if patches[0]%heads != 0 {
		return unsuitedf("%d heads do not divide its %d channels; give another --heads", heads, patches[0])
	}
	c.Arch, c.Dim, c.Blocks, c.Heads = model.ViTOf(patches[0], depth, heads)
	return x.reads(&c, patches[1])
}

// reads completes the configuration of an encoder of images of some channels.
func (x *Found) reads(c *model.Config, channels int) error {
	if channels < 1 || channels > imagefile.MostChannels {
		return fmt.Errorf("it reads %d channels, but images have at most %d", channels, imagefile.MostChannels)
	}
	x.Raw = x.Raw || channels != 1 && channels != 3
	c.Input.Shape = []int{x.Size, x.Size, channels}
	x.Encoder = *c
	return nil
}

// oddities are parts of names by which networks are known that are not ours, and what
// they have.
var oddities = [][2]string{
	{".se.", "squeeze-and-excitation"}, {".se_module.", "squeeze-and-excitation"}, {"conv1.0.", "a first layer of several convolutions"},
	{".downsample.2.", "pooling before the convolutions beside its blocks"}, {".bn4.", "a fourth normalisation"},
	{".ls1.", "layer scale"}, {".gamma_1", "layer scale"}, {"dist_token", "a distillation token"},
	{"reg_token", "register tokens"}, {"register_tokens", "register tokens"}, {".q_norm.", "normalised queries"},
	{".rel_pos", "relative positions"}, {"relative_position", "relative positions"}, {"norm_pre.", "a normalisation before its blocks"},
	{"fc_norm.", "a normalisation behind its pooling"}, {"attn_pool.", "pooling by attention"},
	{".q_bias", "queries with a bias of their own"}, {"patch_embed.proj.0.", "patches made by several convolutions"},
	{".mlp.w12.", "gated layers"},
}

// oddity says what a network has by which it is not ours, "" if nothing is known.
func oddity(shapes map[string][]int) (what, name string) {
	for _, o := range oddities {
		for n := range shapes {
			if strings.Contains("."+n, o[0]) && (name == "" || n < name) {
				what, name = o[1], n
			}
		}
		if what != "" {
			return what, name
		}
	}
	return "", ""
}

// missing says that an array is not there or not of the rank it should have.
func missing(name string, shapes map[string][]int) error {
	if what, by := oddity(shapes); what != "" {
		return fmt.Errorf("it has %s (%s)", what, show.Name(by))
	}
	if s, ok := shapes[name]; ok {
		return fmt.Errorf("its %s is %v", name, s)
	}
	return fmt.Errorf("it has no %s", name)
}

// bodies begin the names of arrays in an encoder, not in what stands behind it.
var bodies = []string{"conv1.", "bn1.", "layer", "stem.", "patch_embed.", "cls_token", "pos_embed", "blocks.", "norm.",
	"norm_pre.", "fc_norm.", "dist_token", "reg_token", "register_tokens", "attn_pool.", "rel_pos"}

// fits compares what the encoder needs with what the file has.
func (x *Found) fits(shapes map[string][]int, needed []model.Array) error {
	if what, by := oddity(shapes); what != "" {
		return fmt.Errorf("it has %s (%s)", what, show.Name(by))
	}
	known, uncounted := map[string]bool{}, false
	for _, a := range needed {
		known[a.Name] = true
		s, ok := shapes[a.Name]
		if a.Name == "pos_embed" {
			s = a.Shape // which are interpolated where there are more or fewer
		}
		switch {
		case !ok && strings.HasSuffix(a.Name, tracked):
			uncounted = true // which no computation reads
		case !ok:
			return fmt.Errorf("it has no %s", a.Name)
		case !slices.Equal(s, a.Shape) && !(strings.HasSuffix(a.Name, tracked) && len(s) == 1 && s[0] == 1):
			return fmt.Errorf("%s is %v, but should be %v", show.Name(x.from[a.Name]), s, a.Shape)
		}
	}
	if uncounted {
		x.guess("the file does not say how many batches its normalisations have seen; it counts from 0 here")
	}
	for _, name := range sorted(shapes) {
		if known[name] {
			continue
		}
		for _, b := range bodies {
			if strings.HasPrefix(name, b) {
				return fmt.Errorf("it has %s, which is of the encoder but not known", show.Name(x.from[name]))
			}
		}
		delete(x.from, name)
	}
	for name := range x.from {
		if !known[name] {
			delete(x.from, name)
		}
	}
	return nil
}

const tracked = "num_batches_tracked"

func sorted[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// head takes the expander whose arrays begin with a prefix, if it is one of ours.
func (x *Found) head(f *File, prefix string, dim int) {
	shapes := map[string][]int{}
	var widths []string
	for _, a := range f.Arrays {
		if rest, ok := strings.CutPrefix(a.Name, prefix); ok {
			shapes[rest] = a.Shape
			if len(a.Shape) == 2 {
				widths = append(widths, fmt.Sprint(a.Shape[0]))
			}
		}
	}
	if len(widths) == 0 {
		return
	}
	for _, last := range model.Lasts() {
		for _, plain := range []bool{false, true} {
			h := model.Head{Widths: strings.Join(widths, "-"), NoNorm: plain, Last: last}
			arrays, err := h.Arrays(dim)
			if err != nil || len(arrays) != len(shapes) {
				continue
			}
			from := map[string]string{}
			for _, a := range arrays {
				if s, ok := shapes[a.Name]; ok && slices.Equal(s, a.Shape) {
					from[a.Name] = prefix + a.Name
				}
			}
			if len(from) == len(arrays) {
				x.Expander, x.expander = h, from
				return
			}
		}
	}
	x.guess("the layers of %s are not those of an expander here, so it is left", show.Name(strings.TrimSuffix(prefix, ".")))
}
