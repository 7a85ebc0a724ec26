package foreign

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// place is an encoder that a file holds.
type place struct {
	prefix string // before the names of its arrays
	naming string
	vit    bool

	// ours returns the name that an array has in vicreg's network of what its name is
	// behind the prefix.
	ours func(name string) string

	linear bool // no ReLU follows the first normalisation
}

// naming is a way to name the arrays of a network.
type naming struct {
	name string
	vit  bool

	// find returns what stands before the names of an encoder's arrays, if the array
	// name is one by which such an encoder is known.
	find func(name string) (prefix string, ok bool)

	// ours makes place.ours for the encoder at a prefix; names has all names of the file.
	ours func(prefix string, names map[string]bool) func(string) string
}

// ending finds encoders that have an array of one name.
func ending(with string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		prefix, ok := strings.CutSuffix(name, with)
		return prefix, ok && (prefix == "" || strings.HasSuffix(prefix, "."))
	}
}

var namings = []naming{
	{name: "torchvision", find: ending("layer1.0.conv1.weight"),
		ours: func(string, map[string]bool) func(string) string { return shortcut }},
	{name: "numbers of children", find: numbered, ours: counted},
	{name: "timm's vision transformer", vit: true, find: ending("blocks.0.attn.qkv.weight"),
		ours: func(string, map[string]bool) func(string) string { return func(n string) string { return n } }},
	{name: "torchvision's vision transformer", vit: true,
		find: ending("encoder.layers.encoder_layer_0.self_attention.in_proj_weight"),
		ours: func(string, map[string]bool) func(string) string { return torchvisionViT }},
}

// shortcut renames the convolutions beside blocks as lightly's ResNetGenerator has them
// (lightly/models/resnet.py).
func shortcut(name string) string { return strings.Replace(name, ".shortcut.", ".downsample.", 1) }

var child = regexp.MustCompile(`^(|.*\.)(\d+)\.0\.conv1\.weight$`)

// numbered finds an encoder that is an nn.Sequential of a ResNet's children.
func numbered(name string) (string, bool) {
	m := child.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// counted names the children of a ResNet in an nn.Sequential: the first is conv1, the
// second bn1; then come ReLU and pooling, unless they were left out, and the four stages.
func counted(prefix string, names map[string]bool) func(string) string {
	first := -1
	for k := range 10 {
		if names[fmt.Sprintf("%s%d.0.conv1.weight", prefix, k)] {
			first = k
			break
		}
	}
	return func(name string) string {
		number, rest, ok := strings.Cut(name, ".")
		k, err := strconv.Atoi(number)
		switch {
		case !ok || err != nil:
			return name
		case k == 0:
			return "conv1." + rest
		case k == 1:
			return "bn1." + rest
		case k >= first && k < first+4:
			return shortcut(fmt.Sprintf("layer%d.%s", k-first+1, rest))
		}
		return name
	}
}

// torchvisionViT renames the arrays of torchvision's vision transformers
// (torchvision/models/vision_transformer.py).
func torchvisionViT(name string) string {
	for _, r := range [][2]string{
		{"class_token", "cls_token"}, {"encoder.pos_embedding", "pos_embed"}, {"conv_proj.", "patch_embed.proj."},
		{"encoder.ln.", "norm."}, {"encoder.layers.encoder_layer_", "blocks."},
	} {
		if rest, ok := strings.CutPrefix(name, r[0]); ok {
			name = r[1] + rest
		}
	}
	for _, r := range [][2]string{
		{".ln_1.", ".norm1."}, {".ln_2.", ".norm2."}, {".self_attention.in_proj_", ".attn.qkv."},
		{".self_attention.out_proj.", ".attn.proj."}, {".mlp.linear_1.", ".mlp.fc1."}, {".mlp.linear_2.", ".mlp.fc2."},
		{".mlp.0.", ".mlp.fc1."}, {".mlp.3.", ".mlp.fc2."},
	} {
		name = strings.Replace(name, r[0], r[1], 1)
	}
	return name
}

// places finds the encoders of a file.
func places(arrays []Array) []place {
	names := map[string]bool{}
	for _, a := range arrays {
		names[a.Name] = true
	}
	var all []place
	for _, a := range arrays {
		for _, n := range namings {
			prefix, ok := n.find(a.Name)
			if !ok || slices.ContainsFunc(all, func(p place) bool { return p.prefix == prefix }) {
				continue
			}
			if n.name == "numbers of children" && !names[prefix+"0.weight"] {
				continue // a stage of something else
			}
			all = append(all, place{prefix: prefix, naming: n.name, vit: n.vit, ours: n.ours(prefix, names),
				linear: a.Name == prefix+"2.0.conv1.weight"})
		}
	}
	return all
}
