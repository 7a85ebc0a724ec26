package export

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"vicreg/internal/durable"
	"vicreg/internal/model"
	"vicreg/internal/nn"
)

// timmConfig is config.json as timm reads it (huggingface/pytorch-image-models,
// timm/models/_hub.py and timm/models/_pretrained.py).
type timmConfig struct {
	Architecture string         `json:"architecture"`
	NumClasses   int            `json:"num_classes"`
	NumFeatures  int            `json:"num_features"`
	ModelArgs    map[string]any `json:"model_args,omitempty"`
	Pretrained   timmPretrained `json:"pretrained_cfg"`
}

type timmPretrained struct {
	Tag            string    `json:"tag"`
	InputSize      []int     `json:"input_size"` // c × h × w
	FixedInputSize bool      `json:"fixed_input_size"`
	Interpolation  string    `json:"interpolation"`
	CropPct        float64   `json:"crop_pct"`
	CropMode       string    `json:"crop_mode"`
	Mean           []float64 `json:"mean"`
	Std            []float64 `json:"std"`
	NumClasses     int       `json:"num_classes"`
	PoolSize       []int     `json:"pool_size,omitempty"`
	FirstConv      string    `json:"first_conv"`
	Classifier     string    `json:"classifier"`
}

// timmNetwork is what timm calls an encoder, with the arguments that make it of a network
// of that name; or why it has none.
func timmNetwork(e model.Encoder) (name string, args map[string]any, err error) {
	switch m := e.(type) {
	case *model.ResNet:
		return timmResNet(m.Config())
	case *model.ViT:
		name, args = timmViT(m)
		return name, args, nil
	}
	return "", nil, fmt.Errorf("timm has networks of images, and this one reads something else; take onnx, safetensors or torch")
}

// timmResNet: the arguments are those of class ResNet in timm/models/resnet.py, which has
// none for a stem without stride or another number of channels behind it.
func timmResNet(c model.ResNetConfig) (string, map[string]any, error) {
	const instead = "take safetensors or torch, whose arrays go into a network of your own, or onnx"
	switch {
	case c.Stem != "imagenet":
		return "", nil, fmt.Errorf("timm has no %s with the stem %s, only with 7 × 7 at every second pixel; %s", c.Arch, c.Stem, instead)
	case c.Width != 64:
		return "", nil, fmt.Errorf("timm has no %s of width %d, only of 64; %s", c.Arch, c.Width, instead)
	}
	switch c.Arch {
	case "resnet18", "resnet34", "resnet50", "resnet101", "resnet152":
		return c.Arch, nil, nil
	case "resnet10":
		return "resnet18", map[string]any{"layers": []int{1, 1, 1, 1}}, nil
	}
	return "", nil, fmt.Errorf("timm has no %s, whose stages and stem are all wider than a ResNet's; %s", c.Arch, instead)
}

// timmViT: the arguments are those of class VisionTransformer in
// timm/models/vision_transformer.py.
func timmViT(m *model.ViT) (string, map[string]any) {
	c, args := m.Config(), map[string]any{}
	sizes := []struct {
		name              string
		dim, depth, heads int
	}{
		{"vit_tiny_patch16_224", 192, 12, 3},
		{"vit_small_patch16_224", 384, 12, 6},
		{"vit_base_patch16_224", 768, 12, 12},
	}
	at := 1
	var heads, depth int
	for _, l := range model.Layers(m) {
		if t, ok := l.(*nn.Transformer); ok {
			depth, heads = len(t.Attention), t.Attention[0].Heads
		}
	}
	if i := slices.IndexFunc(sizes, func(s struct {
		name              string
		dim, depth, heads int
	}) bool {
		return s.dim == m.Dim()
	}); i >= 0 {
		at = i
	}
	s := sizes[at]
	for _, a := range []struct {
		name       string
		own, usual int
	}{{"embed_dim", m.Dim(), s.dim}, {"depth", depth, s.depth}, {"num_heads", heads, s.heads}, {"patch_size", c.Patch, 16}} {
		if a.own != a.usual {
			args[a.name] = a.own
		}
	}
	if c.Pool == "mean" { // over the normalised tokens of patches alone
		args["global_pool"], args["class_token"], args["fc_norm"] = "avg", false, false
	}
	return s.name, args
}

// config makes config.json.
func (w *work) timmConfig() (*timmConfig, error) {
	name, args, err := timmNetwork(w.m.Encoder)
	if err != nil {
		return nil, err
	}
	if w.head == embedding {
		return nil, fmt.Errorf("timm's networks have no place for an expander; take safetensors, torch or onnx for it")
	}
	h, width := w.input.own[0], w.input.own[1]
	crop := float64(h) / float64(resize(h))
	if w.input.kind != "image" {
		crop = 1
	}
	c := &timmConfig{Architecture: name, NumFeatures: w.m.Encoder.Dim(), ModelArgs: args, Pretrained: timmPretrained{
		Tag: Producer, InputSize: w.input.shape, Interpolation: "bicubic", CropPct: crop, CropMode: "center",
		Mean: w.input.mean, Std: w.input.std, Classifier: w.classifier(),
	}}
	p := &c.Pretrained
	if _, ok := w.m.Encoder.(*model.ViT); ok {
		p.FixedInputSize, p.FirstConv = true, "patch_embed.proj"
	} else {
		p.FirstConv, p.PoolSize = "conv1", []int{(h + 31) / 32, (width + 31) / 32}
	}
	if w.head == logits {
		c.NumClasses = w.m.Expander.Dim()
		p.NumClasses = c.NumClasses
	}
	return c, nil
}

// timm writes a folder: arrays, and then config.json, without which timm loads nothing.
func (w *work) timm(ctx context.Context) error {
	c, err := w.timmConfig()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err = os.Mkdir(w.path, 0o755); err != nil && !os.IsExist(err) {
		return fmt.Errorf("the folder %s cannot be made: %w", w.path, durable.Reason(err))
	}
	if err == nil {
		defer os.Remove(w.path) // as long as there is nothing in it
	}
	if err := w.writeSafetensors(ctx, filepath.Join(w.path, "model.safetensors"), w.metadata()); err != nil {
		return err
	}
	if err := durable.WriteFile(w.Files[0], append(text, '\n')); err != nil {
		return fmt.Errorf("%s cannot be written: %w", w.Files[0], err)
	}
	return nil
}
