package pretrained

import (
	"bytes"
	"maps"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/rng"
	"vicreg/internal/safetensors"
	"vicreg/internal/tensor"
)

// Whatever two entries of a model's metadata say, the model is refused or works,
// and little memory is taken to find out.
func FuzzOpen(f *testing.F) {
	meta := Meta{Method: "vicreg", Encoder: model.Config{Arch: "resnet10", Width: 1, Stem: "small", Input: model.ImageInput(8, 1)},
		Expander: model.Head{Widths: "2-3", Last: model.Plain}, Size: 8, Mean: []float64{0}, Std: []float64{1}}
	encoder, err := method.NewEncoder(meta.Encoder, 1, 0)
	if err != nil {
		f.Fatal(err)
	}
	expander, err := model.NewHead(encoder.Dim(), meta.Expander, rng.New(2))
	if err != nil {
		f.Fatal(err)
	}
	images := f.TempDir() + "/images"
	if err := Save(images, meta, encoder, expander); err != nil {
		f.Fatal(err)
	}
	type file struct {
		tensors []safetensors.Tensor
		meta    map[string]string
	}
	var bases [2]file
	for i, path := range []string{images, tiny(f)} {
		b := &bases[i]
		b.tensors, b.meta = contents(f, path)
		f.Add(i == 1, "format", firstFormat, "channels", "1")
		for key, value := range b.meta {
			f.Add(i == 1, key, value, "format", bareFormat)
		}
	}
	f.Add(false, "size", "100000000", "input", `{"kind": "images", "shape": [100000000, 100000000, 1]}`)
	f.Add(false, "arch", "vit-small", "patch", "4")
	f.Add(false, "width", "1000000000", "expander", "1000000000-8")
	f.Add(true, "side", "type: text\ncolumns: [a]\nlength: 2\n", "input", `{"kind":"texts","shape":[2]}`)
	f.Add(true, "side", "type: series\ncolumns: [a]\nlength: 2000000000\nchannels: 1\nmean: [0]\nstd: [1]\n", "input", `{"kind":"sequences","shape":[2000000000,1]}`)
	f.Add(true, "side", "type: spectrogram\ncolumns: [a]\nrate: 8000\nlength: 90\nmel: {window: 256, hop: 80, bands: 64, low: 0, high: 4000}\nmean: [0]\nstd: [1]\n", "arch", "resnet18")
	f.Fuzz(func(t *testing.T, paired bool, key1, value1, key2, value2 string) {
		base := bases[0]
		if paired {
			base = bases[1]
		}
		m := maps.Clone(base.meta)
		if m["format"] == format {
			m["format"] = bareFormat
		}
		m[key1], m[key2] = value1, value2
		var b bytes.Buffer
		if err := safetensors.Write(&b, base.tensors, m); err != nil {
			return
		}
		check.Bounded(t, 32, 2*time.Second, func() {
			got, err := openedBytes(b.Bytes(), "x")
			if err != nil {
				if len(err.Error()) > 2000+len(value1)+len(value2) {
					t.Errorf("a message of %d bytes", len(err.Error()))
				}
				return
			}
			if got.Size < 1 || got.Branch < 0 || got.Branch > 1 {
				t.Fatalf("%+v", got.Meta)
			}
			var again Meta
			if err := again.decode(got.Meta.encode()); err != nil {
				t.Fatalf("%+v: %v", got.Meta, err)
			}
			if _, err := got.Untrained(); err != nil {
				t.Fatal(err)
			}
			shape := append([]int{1}, got.Meta.Encoder.Input.Shape...)
			if n := tensor.Count(shape); n < 10_000 {
				p := nn.NewInferencePass(new(nn.Arena))
				y := got.Encoder.Forward(p, tensor.From(make([]float32, n), shape...))
				if got.Expander.Forward(p, y).Len() != got.Expander.Dim() {
					t.Fatalf("%+v: features of another width", got.Meta)
				}
			}
		})
	})
}
