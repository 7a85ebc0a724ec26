package export

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"vicreg/internal/model"
	"vicreg/internal/tensor"
)

// python returns an interpreter that imports some modules. That of Debian's packages is
// tried too, where another is first.
func python(t *testing.T, modules ...string) string {
	t.Helper()
	try := "import torch, numpy"
	for _, m := range modules {
		try += ", " + m
	}
	var said []byte
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		var err error
		if said, err = exec.Command(name, "-c", try).CombinedOutput(); err == nil {
			return name
		}
	}
	lines := bytes.Split(bytes.TrimSpace(said), []byte("\n"))
	t.Skipf("no Python imports torch, numpy and %v: %s", modules, lines[len(lines)-1])
	return ""
}

// pythonJob is what testdata/check.py computes: normalised input, channels first.
type pythonJob struct {
	Format string `json:"format"`
	Model  string `json:"model"`
	Arch   string `json:"arch"`
	Stem   string `json:"stem"`
	Shape  []int  `json:"shape"`
	Data   []byte `json:"data"`
}

// normalised is a batch as PyTorch's networks read it.
func (in *input) normalised(x *tensor.Tensor) (shape []int, data []byte) {
	n, each := x.Shape[0], tensor.Count(in.shape)
	values := make([]float32, n*each)
	for item := range n {
		for i := range each {
			values[item*each+i] = x.Data[item*each+in.place(i)]
		}
	}
	data, _ = binary.Append(nil, binary.LittleEndian, values)
	return append([]int{n}, in.shape...), data
}

// agree has a script compute models that were exported in a format, and compares with
// their own features, or the logits of a classifier.
func agree(t *testing.T, format, interpreter string, examples []example) {
	var jobs []pythonJob
	var want [][]float32
	for i, e := range examples {
		m := e.open(t)
		w := &work{m: m, input: newInput(m)}
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		r, err := Write(context.Background(), m, path, Options{Format: format})
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		w.Outputs = r.Outputs
		_, x := w.input.batch(2)
		y, err := w.outputs(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		j := pythonJob{Format: format, Model: path, Arch: e.encoder.Arch, Stem: e.encoder.Stem}
		j.Shape, j.Data = w.input.normalised(x)
		jobs, want = append(jobs, j), append(want, y[r.Outputs[len(r.Outputs)-1].Name])
	}
	asked, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter, filepath.Join("testdata", "check.py"))
	cmd.Stdin = bytes.NewReader(asked)
	var said bytes.Buffer
	cmd.Stderr = &said
	answer, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &said)
	}
	var got []struct{ Data []byte }
	if err := json.Unmarshal(answer, &got); err != nil || len(got) != len(jobs) {
		t.Fatalf("%d results of %d: %v", len(got), len(jobs), err)
	}
	for i, y := range want {
		values := make([]float32, len(got[i].Data)/4)
		if _, err := binary.Decode(got[i].Data, binary.LittleEndian, values); err != nil {
			t.Fatal(err)
		}
		if len(values) != len(y) {
			t.Errorf("%s: %d values, want %d", examples[i].name, len(values), len(y))
			continue
		}
		d := difference(values, y)
		if !(d <= Tolerance) {
			t.Errorf("%s: off by %.2g of the largest value", examples[i].name, d)
		}
		t.Logf("%s: %.2g of the largest value", examples[i].name, d)
	}
}

// The usual networks, as torchvision has them.
func TestTorchvisionLoadsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts PyTorch")
	}
	agree(t, "torch", python(t, "torchvision"), []example{
		{name: "resnet18 small", encoder: model.Config{Arch: "resnet18", Width: 64, Stem: "small",
			Input: model.ImageInput(12, 1)}, mean: []float64{0.5}, std: []float64{0.25}},
		{name: "resnet50", encoder: model.Config{Arch: "resnet50", Width: 64, Stem: "imagenet",
			Input: model.ImageInput(33, 3)}, head: model.Head{Widths: "7", Last: model.Bias}, method: "supervised"},
		{name: "resnet18 of thirteen channels", encoder: model.Config{Arch: "resnet18", Width: 64, Stem: "imagenet",
			Input: model.ImageInput(40, 13)}, mean: thousands, std: hundreds},
	})
}

// What timm has, of colour and grey images.
func TestTimmLoadsIt(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts PyTorch")
	}
	agree(t, "timm", python(t, "timm"), []example{
		{name: "resnet10 grey", encoder: model.Config{Arch: "resnet10", Width: 64, Stem: "imagenet",
			Input: model.ImageInput(40, 1)}, mean: []float64{0.5}, std: []float64{0.25}},
		{name: "resnet18", encoder: model.Config{Arch: "resnet18", Width: 64, Stem: "imagenet",
			Input: model.ImageInput(40, 3)}, head: model.Head{Widths: "7", Last: model.Bias}, method: "supervised"},
		{name: "resnet50", encoder: model.Config{Arch: "resnet50", Width: 64, Stem: "imagenet",
			Input: model.ImageInput(33, 3)}, head: model.Head{Widths: "16-8"}},
		{name: "vit-tiny", encoder: model.Config{Arch: "vit-tiny", Patch: 8, Input: model.ImageInput(32, 3)}},
		{name: "vit", encoder: model.Config{Arch: "vit", Dim: 48, Blocks: 2, Heads: 4, Patch: 8, Positions: "sincos",
			Input: model.ImageInput(32, 1)}, mean: []float64{0.5}, std: []float64{0.25},
			head: model.Head{Widths: "7", Last: model.Bias}, method: "supervised"},
		{name: "vit mean", encoder: model.Config{Arch: "vit-small", Dim: 48, Blocks: 2, Heads: 4, Patch: 16, Pool: "mean",
			Input: model.ImageInput(32, 3)}},
	})
}
