package foreign

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/safetensors"
)

// changed is a fixture with other arrays.
func changed(t *testing.T, file string, change func(arrays *[]Array)) *File {
	t.Helper()
	f, err := Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	change(&f.Arrays)
	return f
}

// reshaped changes the shapes of all arrays whose names end so.
func reshaped(end string, shape ...int) func(*[]Array) {
	return func(all *[]Array) {
		for i, a := range *all {
			if strings.HasSuffix(a.Name, end) {
				(*all)[i].Shape = shape
			}
		}
	}
}

func added(names ...string) func(*[]Array) {
	return func(all *[]Array) {
		for _, n := range names {
			*all = append(*all, Array{n, []int{2}})
		}
	}
}

func removed(part string) func(*[]Array) {
	return func(all *[]Array) {
		*all = slices.DeleteFunc(*all, func(a Array) bool { return strings.Contains(a.Name, part) })
	}
}

// What is no encoder of ours is refused, and what it has that ours have not is named.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		file   string
		change func(*[]Array)
		want   string
	}{
		{"vicreg.pth", reshaped("layer1.0.conv2.weight", 2, 1, 3, 3), "in 2 groups, as ResNeXt's"},
		{"vicreg.pth", reshaped("layer1.0.conv1.weight", 4, 2, 1, 1), "alone are wider, 4 channels for 2, as wide_resnet50_2's"},
		{"vicreg.pth", removed("layer3.5."), "it has 3, 4, 5 and 3 blocks of three convolutions, as none of resnet10"},
		{"torchvision.pth", added("layer1.0.se.fc1.weight"), "it has squeeze-and-excitation (layer1.0.se.fc1.weight)"},
		{"torchvision.pth", func(all *[]Array) {
			removed("conv1.weight")(all)
			added("conv1.0.weight", "layer1.0.conv1.weight")(all)
		},
			"it has a first layer of several convolutions (conv1.0.weight)"},
		{"torchvision.pth", removed("layer2.0.bn2.running_var"), "it has no layer2.0.bn2.running_var"},
		{"torchvision.pth", reshaped("layer2.0.bn2.weight", 3), "layer2.0.bn2.weight is [3], but should be [4]"},
		{"torchvision.pth", reshaped("conv1.weight", 2, 17, 7, 7), "it reads 17 channels, but images have at most 16"},
		{"torchvision.pth", reshaped("conv1.weight", 2, 12, 7, 7), "it reads 12 channels of values that are no pixels, so there is no usual mean"},
		{"torchvision.pth", reshaped("conv1.weight", 2, 3, 5, 5), "its first convolution is 5×5, but 7×7 and 3×3 are known"},
		{"torchvision.pth", added("layer1.0.conv9.weight"), "it has layer1.0.conv9.weight, which is of the encoder but not known"},
		{"torchvision.pth", removed("layer1."), "such as conv1.weight, bn1.weight, bn1.bias, has a name by which"},
		{"torchvision.pth", removed(""), "holds no arrays"},
		{"timm_vit.pth", added("blocks.0.ls1.gamma"), "it has layer scale (blocks.0.ls1.gamma)"},
		{"timm_vit.pth", added("dist_token"), "it has a distillation token (dist_token)"},
		{"timm_vit.pth", removed("blocks.0.attn.qkv.bias"), "it has no blocks.0.attn.qkv.bias"},
		{"timm_vit.pth", reshaped("blocks.0.mlp.fc1.weight", 128, 64), "fc1.weight is [128 64], but should be [256 64]"},
		{"timm_vit.pth", reshaped("pos_embed", 1, 9, 64), "it has 8 patches, which are no square"},
		{"timm_vit.pth", removed("pos_embed"), "it has no pos_embed"},
		{"moco.pth", func(all *[]Array) {
			for i, a := range *all {
				(*all)[i].Name = strings.Replace(a.Name, "encoder_", "net_", 1)
			}
		}, "holds 2 encoders: state_dict.module.net_q., state_dict.module.net_k.; choose one with --prefix"},
	} {
		f := changed(t, c.file, c.change)
		if _, err := Look(f, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.file, err, c.want)
		}
	}
}

// An encoder of many channels is taken where it is said how their values are normalised.
func TestManyChannels(t *testing.T) {
	f := changed(t, "torchvision.pth", func(all *[]Array) {
		for i := range *all {
			if (*all)[i].Name == "conv1.weight" {
				(*all)[i].Shape = []int{2, 12, 7, 7}
			}
		}
	})
	x, err := Look(f, Options{Mean: []float64{1000}, Std: []float64{300}})
	if err != nil || !x.Raw || x.Encoder.Input.Shape[2] != 12 || len(x.Mean) != 12 || x.Std[11] != 300 {
		t.Fatalf("%+v: %v", x, err)
	}
}

// Arrays that nobody knows are counted, and some are named.
func TestUnknown(t *testing.T) {
	f := changed(t, "moco.pth", added("state_dict.module.extra.a", "state_dict.module.extra.b", "state_dict.module.extra.c",
		"state_dict.module.extra.d", "more"))
	x, err := Look(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range x.Left {
		all = append(all, l.String())
	}
	for _, want := range []string{"extra, which is not known (state_dict.module.extra.a, state_dict.module.extra.b, " +
		"state_dict.module.extra.c, 1 more)", "more, which is not known (more)", "encoder_k, a momentum encoder (76 arrays)"} {
		if !slices.Contains(all, want) {
			t.Errorf("left: %q; want %q", all, want)
		}
	}
}

// Another encoder than the usual one is taken if its prefix is given.
func TestPrefix(t *testing.T) {
	f := changed(t, "moco.pth", func(*[]Array) {})
	for _, prefix := range []string{"state_dict.module.encoder_k", "state_dict.module.encoder_k."} {
		x, err := Look(f, Options{Prefix: prefix})
		if err != nil || x.Prefix != "state_dict.module.encoder_k." {
			t.Errorf("%q: %v, %v", prefix, x, err)
		}
	}
}

// Whatever shapes a file claims, they are refused or an encoder is found; nothing panics.
func TestAnyShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := []int{0, 1, 2, 3, 4, 7, 16, 64, 1 << 20, math.MaxInt}
	for _, c := range fixtures {
		f, err := Open(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all := slices.Clone(f.Arrays)
		for range 50 {
			f.Arrays = slices.Clone(all)
			for range 1 + r.IntN(3) {
				shape := make([]int, r.IntN(6))
				for i := range shape {
					shape[i] = odd[r.IntN(len(odd))]
				}
				i := r.IntN(len(all))
				if r.IntN(2) == 0 && len(all[i].Shape) > 0 {
					shape = slices.Clone(all[i].Shape)
					shape[r.IntN(len(shape))] = odd[r.IntN(len(odd))]
				}
				f.Arrays[i].Shape = shape
			}
			_, _ = Look(f, c.options)
		}
	}
}

// What vicreg exported says of itself what is read.
func TestExported(t *testing.T) {
	f := changed(t, "torchvision.safetensors", func(*[]Array) {})
	f.Said = map[string]string{"vicreg_version": "1", "size": "40", "mean": "[0.1,0.2,0.3]", "std": "[1,2,3]"}
	f.Said["stem"] = "imagenet"
	x, err := Look(f, Options{})
	if err != nil || x.Size != 40 || !slices.Equal(x.Mean, []float64{0.1, 0.2, 0.3}) || x.Std[2] != 3 ||
		x.Guessed != nil {
		t.Errorf("%+v, %v", x, err)
	}
	f = changed(t, "lightly_generator.pth", func(*[]Array) {})
	f.Said = map[string]string{"vicreg_version": "1", "stem": "linear"}
	if x, err := Look(f, Options{}); err != nil || x.Encoder.Stem != "linear" {
		t.Errorf("%+v, %v", x, err)
	}
	f = changed(t, "dino_vit.pth", func(*[]Array) {})
	f.Said = map[string]string{"vicreg_version": "1", "heads": "4"}
	if x, err := Look(f, Options{}); err != nil || x.Encoder.Heads != 4 {
		t.Errorf("%+v, %v", x, err)
	}
}

// A number that is none is refused with its array.
func TestNotFinite(t *testing.T) {
	g, err := safetensors.Read("testdata/torchvision.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	for _, a := range g.Tensors {
		v, err := g.Float32(a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if a.Name == "layer2.0.conv1.weight" {
			v[4] = float32(math.Inf(1))
		}
		tensors = append(tensors, safetensors.Tensor{Name: a.Name, Shape: a.Shape, Data: v})
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := safetensors.WriteFile(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := Look(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Load(t.Context(), f, nil); err == nil ||
		!strings.Contains(err.Error(), "number 5 of layer2.0.conv1.weight is +Inf") {
		t.Error(err)
	}
}

// The backbones of segmentation networks are known, and that they keep their resolution.
func TestSegmentation(t *testing.T) {
	f := changed(t, "torchvision.pth", func(all *[]Array) {
		*all = slices.DeleteFunc(*all, func(a Array) bool { return strings.HasPrefix(a.Name, "fc.") })
		for i, a := range *all {
			(*all)[i].Name = "backbone." + a.Name
		}
		added("classifier.0.weight", "classifier.4.weight")(all)
	})
	x, err := Look(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if x.Layout != segmentation || !slices.ContainsFunc(x.Guessed, func(s string) bool {
		return strings.Contains(s, "so features differ from theirs")
	}) {
		t.Errorf("%s: %q", x.Layout, x.Guessed)
	}
}

// Flags that do not suit an encoder are told as such, not as faults of the file.
func TestUnsuited(t *testing.T) {
	for _, c := range []struct {
		file string
		o    Options
		want string
	}{
		{"torchvision.pth", Options{Heads: 3}, "--heads is 3, but a residual network has none"},
		{"torchvision.pth", Options{Stem: "small"}, "--stem is small, but its first convolution is 7×7"},
		{"timm_vit.pth", Options{Stem: "small"}, "--stem is small, but a vision transformer has none"},
		{"timm_vit.pth", Options{Size: 13}, "--size is 13, but its patches of 4 must divide it"},
		{"dino_vit.pth", Options{Heads: 3}, "3 heads do not divide its 16 channels; give another --heads"},
		{"dino_vit.pth", Options{}, "how many heads its 16 channels are in cannot be seen; give --heads"},
	} {
		f := changed(t, c.file, func(*[]Array) {})
		want := filepath.Join("testdata", c.file) + ": " + c.want
		if _, err := Look(f, c.o); err == nil || err.Error() != want {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// A variance below zero is damage, which no features would be made of.
func TestVariance(t *testing.T) {
	f := changed(t, "torchvision.pth", func(*[]Array) {})
	read := f.read
	f.read = func(name string) ([]float32, error) {
		v, err := read(name)
		if name == "layer1.0.bn2.running_var" {
			v[1] = -0.5
		}
		return v, err
	}
	x, err := Look(f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = x.Load(context.Background(), f, nil)
	if want := "number 2 of layer1.0.bn2.running_var is -0.5, but it is a variance"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}
