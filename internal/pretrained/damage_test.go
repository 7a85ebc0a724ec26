package pretrained

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/model"
	"vicreg/internal/pairs"
	"vicreg/internal/safetensors"
)

// tiny saves the smallest of models.
func tiny(t testing.TB) string {
	t.Helper()
	c := model.Config{Arch: "mlp", Width: 2, Input: model.Input{Kind: model.Numbers, Shape: []int{2}}}
	encoder, err := model.New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	head := model.Head{Widths: "2", Last: model.Plain}
	expander, err := model.NewHead(encoder.Dim(), head, nil)
	if err != nil {
		t.Fatal(err)
	}
	side := &pairs.Side{Type: "numeric", Columns: []string{"a", "b"}, Mean: []float64{0, 1}, Std: []float64{1, 2}}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	meta := Meta{Method: "vicreg", Encoder: c, Expander: head, Size: 8, Side: side, Dataset: "pairs.csv", Images: 3, Epochs: 1}
	if err := Save(path, meta, encoder, expander); err != nil {
		t.Fatal(err)
	}
	return path
}

// openedBytes is Open of a file that is not on disk.
func openedBytes(b []byte, path string) (*Model, error) {
	f, err := safetensors.NewFile(bytes.NewReader(b), int64(len(b)), path)
	if err != nil {
		return nil, err
	}
	return read(f, path)
}

// contents are those of a file, to be written again.
func contents(t testing.TB, path string) (tensors []safetensors.Tensor, meta map[string]string) {
	t.Helper()
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Tensors {
		v, err := f.Float32(i.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, safetensors.Tensor{Name: i.Name, Shape: i.Shape, Data: v})
	}
	delete(f.Metadata, safetensors.DataKey)
	delete(f.Metadata, safetensors.HeaderKey)
	return tensors, f.Metadata
}

// No byte of a model changes unseen.
func TestEveryByteCounts(t *testing.T) {
	path := tiny(t)
	if m, err := Open(path, 0); err != nil || len(m.Notes) != 0 {
		t.Fatalf("%v, notes %v", err, m.Notes)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if _, err := openedBytes(b, path); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("byte %d of %d: %v", i, len(good), err)
		}
	}
	b := bytes.Clone(good)
	b[len(b)-3] ^= 1
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 0); err == nil || !strings.Contains(err.Error(), "is damaged: the checksum of its data is") || !strings.Contains(err.Error(), "copy it again from where it was made, or train it again") {
		t.Errorf("a weight: %v", err)
	}
}

// Models without checksums open, with a note, if their format had none.
func TestEarlierFormats(t *testing.T) {
	path, meta, encoder, _ := saved(t)
	tensors, m := contents(t, path)
	m["format"] = bareFormat
	first := maps.Clone(m)
	first["format"], first["channels"] = firstFormat, "3"
	for _, key := range []string{"branch", "patch", "input", "side", "expander_norm", "expander_last", "step", "steps"} {
		delete(first, key)
	}
	for _, meta2 := range []map[string]string{m, first} {
		if err := safetensors.WriteFile(path, tensors, meta2); err != nil {
			t.Fatal(err)
		}
		old, err := Open(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(old.Notes) != 1 || !strings.Contains(old.Notes[0], path+" carries no checksum") || old.Seed != meta.Seed {
			t.Errorf("notes %q, %+v", old.Notes, old.Meta)
		}
		same(t, old.Encoder.Params(), encoder.Params())
	}
	m["format"] = format
	if err := safetensors.WriteFile(path, tensors, m); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, 0); err == nil || !strings.Contains(err.Error(), path+" has lost its checksum") {
		t.Errorf("without a checksum: %v", err)
	}
}

// Metadata that asks for something else than the file holds is refused before
// any memory is taken for it, and so are numbers that are none.
func TestMetadataMustFitTheFile(t *testing.T) {
	path, _, _, _ := saved(t)
	tensors, meta := contents(t, path)
	set := func(pairs ...string) func() ([]safetensors.Tensor, map[string]string) {
		return func() ([]safetensors.Tensor, map[string]string) {
			m := maps.Clone(meta)
			for i := 0; i < len(pairs); i += 2 {
				m[pairs[i]] = pairs[i+1]
			}
			return tensors, m
		}
	}
	square := func(size string) []string {
		return []string{"size", size, "input", fmt.Sprintf(`{"kind":"images","shape":[%s,%s,3]}`, size, size)}
	}
	weight := func(v float32) func() ([]safetensors.Tensor, map[string]string) {
		return func() ([]safetensors.Tensor, map[string]string) {
			all := slices.Clone(tensors)
			for i, x := range all {
				if x.Name == "layer1.0.conv2.weight" {
					all[i].Data = slices.Clone(x.Data.([]float32))
					all[i].Data.([]float32)[7] = v
				}
			}
			return all, meta
		}
	}
	for want, change := range map[string]func() ([]safetensors.Tensor, map[string]string){
		`its metadata describes no model: encoder width is 1000000000`:         set("width", "1000000000"),
		`has width "1000000000000000000000", which cannot be read`:             set("width", "1000000000000000000000"),
		`conv1.weight is [4 3 3 3], but [65536 3 3 3] in the resnet10`:         set("width", "65536"),
		`conv1.weight is [4 3 3 3], but [5 3 3 3] in the resnet10`:             set("width", "5"),
		`has width -4, but it must be at least 0`:                              set("width", "-4"),
		`has width "4.0", which cannot be read`:                                set("width", "4.0"),
		`has width "+4", which should be "4"`:                                  set("width", "+4"),
		`has width "", which cannot be read`:                                   set("width", ""),
		`has size 100000000, but it must be between`:                           set(square("100000000")...),
		`shape [60000 60000 3] have more than`:                                 set(square("60000")...),
		`has size 0, but`:                                                      set(square("0")...),
		`has size -20, but`:                                                    set(square("-20")...),
		`contradictory: input "{\"kind\":\"images\",\"shape\":[20,20,4]}"`:     set("input", `{"kind":"images","shape":[20,20,4]}`),
		`contradictory: input "{\"kind\":\"images\",\"shape\":[20,20,1]}"`:     set("input", `{"kind":"images","shape":[20,20,1]}`),
		`contradictory: input "{\"kind\":\"images\",\"shape\":[]}"`:            set("input", `{"kind":"images","shape":[]}`),
		`contradictory: input "{\"kind\":\"sequences\",\"shape\":[20,20,3]}"`:  set("input", `{"kind":"sequences","shape":[20,20,3]}`),
		`has input "{\"kind\":\"images\",\"shape\":[20,20,3],\"kind\":\"imag`:  set("input", `{"kind":"images","shape":[20,20,3],"kind":"images"}`),
		`has input "[20,20,3]", which cannot be read`:                          set("input", `[20,20,3]`),
		`has patch -1, but it must be`:                                         set("patch", "-1"),
		`images of 20 × 20 do not divide into patches of 21 × 21`:              set("arch", "vit-tiny", "patch", "21"),
		`has branch 2, but it must be between 0 and 1`:                         set("branch", "2"),
		`has images -1, but`:                                                   set("images", "-1"),
		`has epochs "x", which cannot be read`:                                 set("epochs", "x"),
		`has seed "-1", which cannot be read`:                                  set("seed", "-1"),
		`has std "[1,2,0]", but all must be above 0`:                           set("std", "[1,2,0]"),
		`has std "[1,2,-1]", but all must be above 0`:                          set("std", "[1,2,-1]"),
		`has std "[1,2,NaN]", which cannot be read`:                            set("std", "[1,2,NaN]"),
		`has std "[1,2,1e999]", which cannot be read`:                          set("std", "[1,2,1e999]"),
		`has mean "[0.1,0.2,null]", which should be "[0.1,0.2,0]"`:             set("mean", "[0.1,0.2,null]"),
		`contradictory: input "{\"kind\":\"images\",\"shape\":[20,20,3]}", me`: set("mean", "[0.1,0.2]"),
		`unknown encoder "resnet11"`:                                           set("arch", "resnet11"),
		`it has no layer1.1.conv1.weight, which the resnet18`:                  set("arch", "resnet18"),
		`it has no patch_embed.proj.weight, which the vit-tiny`:                set("arch", "vit-tiny", "patch", "4"),
		`encoder text reads texts`:                                             set("arch", "text"),
		`unknown stem "medium"`:                                                set("stem", "medium"),
		`conv1.weight is [4 3 3 3], but [4 3 7 7]`:                             set("stem", "imagenet"),
		`a layer of a head is 1000000000 wide`:                                 set("expander", "1000000000-8"),
		`a head of 101 layers`:                                                 set("expander", strings.Repeat("8-", 100)+"8"),
		`expander.0.weight is [16 32], but [8 32]`:                             set("expander", "8-8"),
		`it has expander.1.num_batches_tracked, which the resnet10`:            set("expander", "16"),
		`its metadata has expander "", which is none`:                          set("expander", ""),
		`unknown last layer "soft"`:                                            set("expander_last", "soft"),
		`it has no expander.3.bias`:                                            set("expander_last", "bias"),
		`has expander_norm "1", which should be "true"`:                        set("expander_norm", "1"),
		`has zero_init_residual "", which cannot be read`:                      set("zero_init_residual", ""),
		`has format "vicreg model 4", not "vicreg model 3"`:                    set("format", "vicreg model 4"),
		`unknown type "scent"`:                                                 set("side", "type: scent\n"),
		`unknown key "smell"`:                                                  set("side", "type: image\nsmell: 3\n"),
		`a second document begins here`:                                        set("side", "type: image\ncolumns: [a]\n---\ntype: image\n"),
		`contradictory: input [20 20 3] of image=a`:                            set("side", "type: image\ncolumns: [a]\nsize: 200000000\nchannels: 3\nmean: [1, 1, 1]\nstd: [1, 1, 1]\n"),
		`number 8 of layer1.0.conv2.weight is NaN, so no features`:             weight(float32(math.NaN())),
		`number 8 of layer1.0.conv2.weight is -Inf, so no features`:            weight(float32(math.Inf(-1))),
		`it has head.weight, which the resnet10`: func() ([]safetensors.Tensor, map[string]string) {
			return append(slices.Clone(tensors),
				safetensors.Tensor{Name: "head.weight", Shape: []int{1}, Data: []float32{1}}), meta
		},
	} {
		// With checksums of its own, or in the format that had none.
		for _, sealed := range []bool{false, true} {
			x, m := change()
			write, m := safetensors.WriteSealedFile, maps.Clone(m)
			if !sealed {
				write = safetensors.WriteFile
				if m["format"] == format {
					m["format"] = bareFormat
				}
			}
			if err := write(path, x, m); err != nil {
				t.Fatal(err)
			}
			check.Bounded(t, 16, time.Second, func() {
				_, err := Open(path, 0)
				if err == nil || !strings.Contains(err.Error(), want) ||
					!strings.HasSuffix(err.Error(), "; "+advice) && !strings.Contains(want, "has format") ||
					!strings.HasPrefix(err.Error(), path) || len(err.Error()) > 1000 {
					t.Errorf("want %s\n got %v", want, err)
				}
			})
		}
	}
}

// A model of the time before models told of their step is one of a finished run.
func TestModelWithoutSteps(t *testing.T) {
	path := tiny(t)
	_, known := contents(t, path)
	for what, c := range map[string]struct {
		without []string
		good    bool
	}{
		"both":  {[]string{"step", "steps"}, true},
		"step":  {[]string{"step"}, false},
		"steps": {[]string{"steps"}, false},
	} {
		tensors, meta := contents(t, path)
		for _, key := range c.without {
			delete(meta, key)
		}
		file := filepath.Join(t.TempDir(), "m.safetensors")
		if err := safetensors.WriteSealedFile(file, tensors, meta); err != nil {
			t.Fatal(err)
		}
		mine := Meta{}
		if err := mine.decode(known); err != nil {
			t.Fatal(err)
		}
		if err := mine.Replaces(file); err != nil {
			t.Errorf("without %s the run does not know its own model: %v", what, err)
		}
		m, err := Open(file, 0)
		if (err == nil) != c.good {
			t.Errorf("without %s: %v", what, err)
		}
		if err == nil && (m.Step != 0 || m.Steps != 0 || len(m.Notes) != 0) {
			t.Errorf("without %s: step %d of %d, notes %v", what, m.Step, m.Steps, m.Notes)
		}
	}
}
