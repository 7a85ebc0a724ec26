package pretrained

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"

	"vicreg/internal/device/far"
	"vicreg/internal/imagefile"
	"vicreg/internal/model"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// A model of other people's weights has no expander, and says where they are from.
func TestWithoutExpander(t *testing.T) {
	_, meta, encoder, _ := saved(t)
	meta.Expander = model.Head{}
	meta.Source = &Source{File: "resnet50.pth", Sum: "0123abcd", Layout: "torchvision"}
	path := filepath.Join(t.TempDir(), runlog.ModelFile)
	if err := Save(path, meta, encoder, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, path) {
		if len(name) > 8 && name[:8] == "expander" {
			t.Errorf("the file has %s", name)
		}
	}
	m, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	// There is but one kind of no expander, however the file spells it.
	if m.Meta.Expander.Last, meta.Expander.Last = "", ""; !reflect.DeepEqual(m.Meta, meta) {
		t.Errorf("got %+v\nwant %+v", m.Meta, meta)
	}
	if m.Expander != nil || len(m.Notes) > 0 {
		t.Errorf("expander %v, notes %v", m.Expander, m.Notes)
	}
	same(t, m.Encoder.Params(), encoder.Params())
	img := imagefile.Image{W: 30, H: 25, C: 3, Pix: make([]byte, 30*25*3)}
	for i := range img.Pix {
		img.Pix[i] = byte(7 * i)
	}
	here, err := m.Image(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	on, err := m.On(far.New())
	if err != nil {
		t.Fatal(err)
	}
	there, err := on.Image(context.Background(), img)
	if err != nil || !reflect.DeepEqual(here, there) {
		t.Errorf("on a device %v, %v; here %v", there, err, here)
	}
	if err := m.fitsMemory(1 << 30); err == nil {
		t.Error("no batch is too large")
	}
}

// A model that says it has no expander must hold none.
func TestExpanderThatIsNotNamed(t *testing.T) {
	path, meta, encoder, expander := saved(t)
	meta.Expander = model.Head{}
	if err := Save(path, meta, encoder, expander); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 0); err == nil {
		t.Error("it opens")
	}
}

// What a vision transformer is beside its name stands in its file.
func TestVariants(t *testing.T) {
	for _, c := range []model.Config{
		{Arch: "vit", Dim: 24, Blocks: 2, Heads: 3, Positions: "sincos", Patch: 4, Input: model.ImageInput(16, 3)},
		{Arch: "vit", Dim: 8, Blocks: 1, Heads: 2, Pool: "mean", Input: model.ImageInput(16, 3)},
		{Arch: "vit-tiny", Blocks: 1, Input: model.ImageInput(8, 3)},
		{Arch: "resnet10", Width: 2, Stem: "padded", Input: model.ImageInput(16, 3)},
	} {
		encoder, err := model.New(c, rng.New(1))
		if err != nil {
			t.Fatal(err)
		}
		meta := Meta{Method: "mae", Encoder: c, Size: c.Input.Shape[0], Mean: []float64{0.5, 0.4, 0.3},
			Std: []float64{1, 2, 3}}
		path := filepath.Join(t.TempDir(), runlog.ModelFile)
		if err := Save(path, meta, encoder, nil); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if m.Meta.Encoder.Input.Kind != c.Input.Kind {
			t.Errorf("got %+v", m.Meta.Encoder)
		}
		got := m.Meta.Encoder
		if got.Input, c.Input = (model.Input{}), (model.Input{}); !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, want %+v", got, c)
		}
		same(t, m.Encoder.Params(), encoder.Params())
		same(t, m.Encoder.Buffers(), encoder.Buffers())
	}
}

func names(t *testing.T, path string) (all []string) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, a := range f.Tensors {
		all = append(all, a.Name)
	}
	return all
}
