package pretrained

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/rng"
	"vicreg/internal/safetensors"
)

func saved(t *testing.T) (path string, meta Meta, encoder model.Encoder, expander *model.Expander) {
	t.Helper()
	meta = Meta{Method: "vicreg", Encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "small",
		Input: model.ImageInput(20, 3), ZeroInitResidual: true},
		Expander: model.Head{Widths: "16-8", Last: model.Plain}, Size: 20, Mean: []float64{0.1, 0.2, 0.3},
		Std: []float64{1, 2, 1.0 / 3}, Dataset: "photos", Images: 12, Epochs: 3, Seed: 1 << 63}
	encoder, err := method.NewEncoder(meta.Encoder, meta.Seed, 0)
	if err != nil {
		t.Fatal(err)
	}
	expander, err = model.NewHead(encoder.Dim(), meta.Expander, rng.New(2))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range slices.Concat(encoder.Buffers(), expander.Buffers()) {
		for j := range p.Value.Host() {
			p.Value.Host()[j] = float32(i + j)
		}
	}
	path = filepath.Join(t.TempDir(), "model.safetensors")
	if err := Save(path, meta, encoder, expander); err != nil {
		t.Fatal(err)
	}
	return path, meta, encoder, expander
}

func TestOpenGivesBackTheModel(t *testing.T) {
	path, meta, encoder, expander := saved(t)
	for _, p := range []string{path, filepath.Dir(path)} {
		m, err := Open(p, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(m.Meta, meta) || m.Path != path {
			t.Errorf("got %+v, %s\nwant %+v", m.Meta, m.Path, meta)
		}
		same(t, m.Encoder.Params(), encoder.Params())
		same(t, m.Encoder.Buffers(), encoder.Buffers())
		same(t, m.Expander.Params(), expander.Params())
		same(t, m.Expander.Buffers(), expander.Buffers())
		untrained, err := m.Untrained()
		if err != nil {
			t.Fatal(err)
		}
		same(t, untrained.Params(), encoder.Params())
	}
}

func same(t *testing.T, got, want []*nn.Param) {
	t.Helper()
	for i := range want {
		if got[i].Name != want[i].Name || !slices.Equal(got[i].Value.Host(), want[i].Value.Host()) {
			t.Errorf("%s differs from %s", got[i].Name, want[i].Name)
		}
	}
}

// Other tools must find what torchvision calls by its name, in its layout.
func TestFileIsTorchvisions(t *testing.T) {
	path, _, encoder, _ := saved(t)
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := f.Info("layer2.0.conv1.weight")
	if !slices.Equal(info.Shape, []int{8, 4, 3, 3}) {
		t.Errorf("layer2.0.conv1.weight is %v", info.Shape)
	}
	v, _ := f.Float32("conv1.weight")
	if !slices.Equal(v, encoder.Params()[0].Torch()) {
		t.Error("conv1.weight is not k × c × r × s")
	}
	if info, _ := f.Info("bn1.num_batches_tracked"); info.DType != safetensors.I64 || len(info.Shape) != 0 {
		t.Errorf("bn1.num_batches_tracked is %v of shape %v", info.DType, info.Shape)
	}
	if _, ok := f.Info("expander.0.weight"); !ok {
		t.Error("no expander.0.weight")
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir, 0); err == nil || !strings.Contains(err.Error(), "has no model.safetensors: either") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "x"), 0); !os.IsNotExist(err) &&
		(err == nil || !strings.Contains(err.Error(), "there is no run folder or model")) {
		t.Errorf("no file: %v", err)
	}
	path := filepath.Join(dir, "other.safetensors")
	if err := safetensors.WriteFile(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 0); err == nil || !strings.Contains(err.Error(), "not a model that vicreg wrote") {
		t.Errorf("another file: %v", err)
	}
}
