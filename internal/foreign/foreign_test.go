package foreign

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

type fixture struct {
	file     string
	options  Options
	layout   string // what it begins with
	arch     string
	expander string
	left     string // parts, with commas between
}

// fixtures are the files that testdata/make.py made.
var fixtures = []fixture{
	{file: "backbone.pth", layout: "a ResNet alone", arch: "resnet18 2 imagenet"},
	{file: "vicreg.pth", layout: "VICReg", arch: "resnet50 2 imagenet", expander: "12-8-8", left: "optimizer"},
	{file: "vicregl.pth", layout: "VICRegL", arch: "resnet10 2 imagenet", expander: "12-8", left: "maps_projector,classifier"},
	{file: "torchvision.pth", layout: "torchvision or timm", arch: "resnet10 2 imagenet", left: "fc"},
	{file: "torchvision.safetensors", layout: "torchvision or timm", arch: "resnet10 2 imagenet", left: "fc"},
	{file: "grey.pth", layout: "a ResNet alone", arch: "resnet10 2 imagenet"},
	{file: "lightly.pth", layout: "lightly", arch: "resnet10 2 imagenet", left: "projection_head,backbone_momentum"},
	{file: "lightly_generator.pth", layout: "lightly's ResNetGenerator", arch: "resnet10 2 small", left: "linear"},
	{file: "lightly_cifar.pth", layout: "lightly", arch: "resnet10 2 linear", left: "projection_head"},
	{file: "solo_cifar.pth", layout: "solo-learn", arch: "resnet10 2 padded",
		left: "classifier,projector,momentum_backbone,momentum_projector"},
	{file: "solo_old.pth", layout: "solo-learn", arch: "resnet10 2 imagenet", left: "classifier,projector"},
	{file: "moco.pth", layout: "MoCo", arch: "resnet10 2 imagenet", left: "encoder_q.fc,encoder_k,queue,queue_ptr"},
	{file: "mocov3.pth", layout: "MoCo v3", arch: "resnet10 2 imagenet", left: "base_encoder.fc,momentum_encoder,predictor"},
	{file: "swav.pth", layout: "SwAV", arch: "resnet10 2 imagenet", left: "projection_head,prototypes"},
	{file: "deepcluster.pth", layout: "DeepCluster v2", arch: "resnet10 2 imagenet", left: "projection_head,prototypes"},
	{file: "byol.pth", layout: "BYOL (byol-pytorch)", arch: "resnet10 2 imagenet",
		left: "online_encoder.projector,target_encoder,online_predictor"},
	{file: "byol_port.pth", layout: "BYOL", arch: "resnet10 2 imagenet",
		left: "online_network_state_dict.projetion,target_network_state_dict"},
	{file: "simsiam.pth", layout: "SimSiam", arch: "resnet10 2 imagenet", left: "encoder.fc,predictor"},
	{file: "barlow.pth", layout: "Barlow Twins", arch: "resnet10 2 imagenet", left: "projector,bn"},
	{file: "dino.pth", layout: "DINO", arch: "resnet10 2 imagenet", left: "student,teacher.head,dino_loss"},
	{file: "timm_vit.pth", layout: "timm's vision transformer", arch: "vit 64 1 1", left: "head"},
	{file: "dino_vit.pth", options: Options{Heads: 4}, layout: "a vision transformer alone", arch: "vit 16 2 4"},
	{file: "dino_vit.pth", options: Options{Heads: 4, Size: 20}, layout: "a vision transformer alone", arch: "vit 16 2 4"},
	{file: "dino_vit.pth", options: Options{Heads: 4, Size: 8}, layout: "a vision transformer alone", arch: "vit 16 2 4"},
	{file: "mean_vit.pth", options: Options{Heads: 2}, layout: "a vision transformer alone", arch: "vit 16 1 2 mean"},
	{file: "mocov3_vit.pth", layout: "MoCo v3", arch: "vit 24 2 12 sincos",
		left: "base_encoder.head,momentum_encoder,predictor"},
	{file: "mae.pth", options: Options{Heads: 2}, layout: "MAE", arch: "vit 16 2 2 sincos",
		left: "mask_token,decoder_pos_embed,decoder_embed,decoder_blocks,decoder_norm,decoder_pred"},
	{file: "torchvision_vit.pth", options: Options{Heads: 2}, layout: "torchvision's vision transformer", arch: "vit 16 2 2",
		left: "heads"},
}

// describe writes what is special of an encoder.
func describe(c model.Config) string {
	var all []string
	add := func(values ...any) {
		for _, v := range values {
			if s := strings.TrimSpace(strings.Trim(fmt.Sprint(v), "0")); s != "" {
				all = append(all, fmt.Sprint(v))
			}
		}
	}
	if strings.HasPrefix(c.Arch, "resnet") {
		add(c.Arch, c.Width, c.Stem)
	} else {
		add(c.Arch, c.Dim, c.Blocks, c.Heads, c.Pool, c.Positions)
	}
	return strings.Join(all, " ")
}

// Checkpoints of every layout give the features that PyTorch computes with them.
func TestLayouts(t *testing.T) {
	g := check.Golden(t, "testdata/expected.safetensors")
	for _, c := range fixtures {
		name, _, _ := strings.Cut(c.file, ".")
		if c.options.Size > 0 {
			name += "_" + fmt.Sprint(c.options.Size)
		}
		t.Run(c.file+fmt.Sprint(c.options.Size), func(t *testing.T) {
			f, err := Open(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			x, err := Look(f, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(x.Layout, c.layout) || describe(x.Encoder) != c.arch ||
				x.Expander.Widths != c.expander {
				t.Errorf("found %q, %s, expander %q; want %q, %s, %q", x.Layout, describe(x.Encoder), x.Expander.Widths,
					c.layout, c.arch, c.expander)
			}
			var left []string
			all := x.Taken
			for _, l := range x.Left {
				left = append(left, l.Name)
				all += l.Arrays
				if l.Is == "" {
					t.Errorf("left: %s", l)
				}
			}
			if strings.Join(left, ",") != c.left || all != len(f.Arrays) {
				t.Errorf("%d taken and left %v of %d, want %s", x.Taken, x.Left, len(f.Arrays), c.left)
			}
			encoder, expander, err := x.Load(context.Background(), f, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := nn.NewPass(new(nn.Arena), false)
			y := encoder.Forward(p, images(g, "x."+name))
			near(t, "features", p.Read(y, new([]float32)), g.F32("y."+name))
			if g.Has("z." + name) {
				near(t, "embeddings", p.Read(expander.Forward(p, y), new([]float32)), g.F32("z."+name))
			}
		})
	}
}

// near holds values to others within 1e-4 of the largest.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d %s, want %d", len(got), what, len(want))
	}
	most, off := 0.0, 0.0
	for i, w := range want {
		most = max(most, math.Abs(float64(w)))
		off = max(off, math.Abs(float64(w)-float64(got[i])))
	}
	if !(off <= 1e-4*most) {
		t.Errorf("%s are off by %.2g, the largest is %.3g", what, off, most)
	}
}

// images are those of an example.
func images(g *check.GoldenFile, name string) *tensor.Tensor {
	s := g.Shape(name)
	return tensor.From(check.NHWC(g.F32(name), s[0], s[1], s[2], s[3]), s[0], s[2], s[3], s[1])
}

// The files that PyTorch wrote for all implementations give the features that they should.
func TestGolden(t *testing.T) {
	dir := "../../../shared/golden/torch" // beside the repository
	if _, err := os.Stat(dir); err != nil {
		dir = "../../../../shared/golden/torch"
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the files are not here")
	}
	g := check.Golden(t, filepath.Join(dir, "backbone_expected.safetensors"))
	for _, name := range []string{"backbone.pth", "backbone_legacy.pth", "full_checkpoint.pth"} {
		f, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		x, err := Look(f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		encoder, _, err := x.Load(context.Background(), f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if full := name == "full_checkpoint.pth"; full != (x.Expander.Widths == "32-32-32") {
			t.Errorf("%s: expander %q", name, x.Expander.Widths)
		}
		if x.Expander.Widths != "" {
			continue // its weights are such that PyTorch's features are no numbers either
		}
		p := nn.NewPass(new(nn.Arena), false)
		near(t, name, p.Read(encoder.Forward(p, images(g, "x")), new([]float32)), g.F32("features"))
	}
	if _, err := Open(filepath.Join(dir, "malicious.pth")); err == nil {
		t.Error("a file that would run something opens")
	}
}

// A layout has a file that shows that it is read.
func TestEveryLayoutHasAFixture(t *testing.T) {
	for _, l := range Layouts() {
		if l == "a backbone" || l == "an encoder" {
			continue // whatever is not told apart
		}
		if l == segmentation {
			continue // see TestSegmentation
		}
		if !slices.ContainsFunc(fixtures, func(f fixture) bool { return strings.HasPrefix(l, f.layout) }) {
			t.Errorf("no file has the layout of %s", l)
		}
	}
}
