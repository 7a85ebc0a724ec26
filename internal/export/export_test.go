package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vicreg/internal/durable"
	"vicreg/internal/model"
	"vicreg/internal/onnx"
)

// Every kind of encoder goes out in every format that has a form for it, and gives the
// same features when it is read back.
func TestEveryEncoder(t *testing.T) {
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			m := e.open(t)
			for _, format := range []string{"onnx", "safetensors", "torch"} {
				out := filepath.Join(t.TempDir(), "out")
				r, err := Write(context.Background(), m, out, Options{Format: format, Expander: m.Expander != nil})
				if err != nil {
					t.Fatalf("%s: %v", format, err)
				}
				outputs, values := 1, m.Encoder.Dim()
				if m.Expander != nil {
					outputs, values = 2, values+m.Expander.Dim()
				}
				if len(r.Outputs) != outputs || r.Values != r.Items*values || r.Bytes == 0 {
					t.Errorf("%s: %+v", format, r)
				}
				if exact := format != "onnx"; r.Difference > 1e-5 || exact && r.Difference > 0 {
					t.Errorf("%s differs by %v", format, r.Difference)
				}
			}
		})
	}
}

// What has no form in a format is refused in one sentence.
func TestRefusals(t *testing.T) {
	small := model.Config{Arch: "resnet10", Width: 4, Stem: "small", Input: model.ImageInput(9, 3)}
	narrow := model.Config{Arch: "resnet18", Width: 8, Stem: "imagenet", Input: model.ImageInput(33, 3)}
	vit := model.Config{Arch: "vit", Dim: 8, Blocks: 1, Heads: 2, Patch: 8, Input: model.ImageInput(16, 3)}
	_, _, err := timmResNet(model.ResNetConfig{Arch: "resnet50x2", Width: 64, Stem: "imagenet", Channels: 3})
	if err == nil || !strings.Contains(err.Error(), "timm has no resnet50x2, whose stages and stem are all wider") {
		t.Errorf("a wide network: %v", err)
	}
	for _, c := range []struct {
		example example
		options Options
		want    string
	}{
		{example{encoder: small}, Options{Format: "timm"}, "timm has no resnet10 with the stem small"},
		{example{encoder: narrow}, Options{Format: "timm"}, "timm has no resnet18 of width 8, only of 64"},
		{examples()[len(examples())-1], Options{Format: "timm"}, "timm has networks of images"},
		{example{encoder: vit, head: model.Head{Widths: "4-4"}}, Options{Format: "timm", Expander: true},
			"no place for an expander"},
		{example{encoder: small}, Options{Format: "onnx", Expander: true}, "has no expander that could be exported"},
		{example{encoder: small}, Options{Format: "gguf"},
			`unknown format "gguf"; known: onnx, timm, safetensors, torch`},
	} {
		m := c.example.open(t)
		out := filepath.Join(t.TempDir(), "out")
		_, err := Write(context.Background(), m, out, c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: something was written", c.want)
		}
	}
}

// What was damaged on the way to the disk is found, and what stood there stays.
func TestReadingBack(t *testing.T) {
	e := examples()[0]
	m := e.open(t)
	for _, format := range []string{"onnx", "safetensors", "torch"} {
		w := &work{m: m, input: newInput(m), path: filepath.Join(t.TempDir(), "out")}
		r, err := Write(context.Background(), m, w.path, Options{Format: format})
		if err != nil {
			t.Fatal(err)
		}
		w.Outputs = r.Outputs
		whole, err := os.ReadFile(w.path)
		if err != nil {
			t.Fatal(err)
		}
		check := func() error {
			switch format {
			case "onnx":
				return w.checkONNX(context.Background(), w.path)
			case "torch":
				return w.checkTorch(context.Background(), w.path)
			}
			return w.checkSafetensors(context.Background(), w.path)
		}
		if err := check(); err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(whole)
		values := m.Encoder.Params()[0].Torch() // conv1.weight
		if format == "onnx" {                   // with the normalisation in it
			file, err := onnx.Parse(whole)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(file.Graph.Constants, func(c onnx.Tensor) bool { return c.Name == "conv1.weight" })
			values = file.Graph.Constants[i].Values().Floats
		}
		weight, _ := binary.Append(nil, binary.LittleEndian, values)
		flipped[bytes.Index(flipped, weight)+3] ^= 0x40 // of an exponent
		for what, damaged := range map[string][]byte{
			"flipped": flipped, "cut": whole[:len(whole)*3/4], "empty": nil,
		} {
			if err := os.WriteFile(w.path, damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := check(); err == nil || !strings.Contains(err.Error(), "what was written ") {
				t.Errorf("%s, %s: %v", format, what, err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := durable.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	fmt.Fprint(f, "after")
	err = new(work).place(path, f, func() error { return errors.New("it is not the same") })
	f.Discard()
	kept, _ := os.ReadFile(path)
	if err == nil || string(kept) != "before" {
		t.Errorf("%v, and there is %q", err, kept)
	}
}

// Whatever the disk does, there is a sentence about it, and nothing or what was there.
func TestDiskFails(t *testing.T) {
	e := example{encoder: model.Config{Arch: "vit", Dim: 8, Blocks: 1, Heads: 2, Patch: 8, Input: model.ImageInput(16, 3)}}
	m := e.open(t)
	for _, format := range Formats() {
		for _, fails := range []string{"create", "write", "sync", "rename"} {
			path := filepath.Join(t.TempDir(), "out")
			restore := durable.Inject(func(op, _ string) error {
				if op == fails {
					return syscall.ENOSPC
				}
				return nil
			})
			_, err := Write(context.Background(), m, path, Options{Format: format})
			restore()
			if err == nil || !strings.HasSuffix(err.Error(), "cannot be written: the disk is full") {
				t.Errorf("%s, %s fails: %v", format, fails, err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
				t.Errorf("%s, %s fails: %v is left", format, fails, left)
			}
		}
	}
}

// The graph of a small network, node by node, and what the file says of itself.
func TestGraph(t *testing.T) {
	e := example{encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "imagenet", Input: model.ImageInput(40, 3)},
		head: model.Head{Widths: "6-5"}}
	m := e.open(t)
	path := filepath.Join(t.TempDir(), "encoder.onnx")
	r, err := Write(context.Background(), m, path, Options{Format: "onnx"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "the expander, 6-5, was left out; --with-expander takes it along"; !slices.Contains(r.Notes, want) {
		t.Errorf("notes %q, want %q", r.Notes, want)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := onnx.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	g := file.Graph
	var nodes []string
	for _, n := range g.Nodes {
		nodes = append(nodes, n.Op+" "+n.Name)
	}
	want := []string{"Sub centred", "Div normalised", "Conv conv1", "Relu conv1.relu", "MaxPool maxpool"}
	for stage := 1; stage <= 4; stage++ {
		b := fmt.Sprintf("layer%d.0", stage)
		want = append(want, "Conv "+b+".conv1", "Relu "+b+".conv1.relu", "Conv "+b+".conv2")
		if stage > 1 {
			want = append(want, "Conv "+b+".downsample.0")
		}
		want = append(want, "Add "+b+".sum", "Relu "+b)
	}
	want = append(want, "GlobalAveragePool avgpool", "Flatten flat")
	if !slices.Equal(nodes, want) {
		t.Errorf("got  %q\nwant %q", nodes, want)
	}
	if got := fmt.Sprint(g.Inputs, g.Outputs); got != "[{pixels 1 [n 3 40 40]}] [{features 1 [n 32]}]" {
		t.Errorf("inputs and outputs are %s", got)
	}
	for key, want := range map[string]string{
		"kind": "image", "channels": "RGB", "size": "40", "resize": "46", "mean": "[0.485,0.456,0.406]",
		"std": "[0.229,0.224,0.225]", "dim": "32", "arch": "resnet10", "source": filepath.ToSlash(m.Path),
	} {
		if file.Metadata[key] != want {
			t.Errorf("%s is %q, want %q", key, file.Metadata[key], want)
		}
	}
	if onnx.Producer(path) != Producer {
		t.Errorf("the producer is %q", onnx.Producer(path))
	}
}

// Weights that give no finite features are told as such, and nothing is written.
func TestNotFinite(t *testing.T) {
	e := examples()[0]
	m := e.open(t)
	p := m.Encoder.Params()[0]
	values := make([]float32, p.Value.Len())
	for i := range values {
		values[i] = 1e38
	}
	p.SetTorch(values)
	for _, format := range []string{"safetensors", "torch"} {
		out := filepath.Join(t.TempDir(), "out")
		_, err := Write(context.Background(), m, out, Options{Format: format})
		if want := "of a made-up item are not finite (number 1 is NaN): the weights are damaged"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", format, err, want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: something was written", format)
		}
	}
}
