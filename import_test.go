package vicreg_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vicreg"
)

const weights = "internal/foreign/testdata/torchvision.pth"

// An encoder of another project is taken, opened, and taken again; what stands in the way
// of its file is left alone.
func TestImport(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	folder := filepath.Join(dir, "one", "two")
	told := 0
	o := vicreg.ImportOptions{Size: 24, Mean: []float64{0.5}, Progress: func(done, total int) { told = done }}
	r, err := vicreg.Import(ctx, weights, folder, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Path != filepath.Join(folder, "model.safetensors") || r.Layout != "torchvision or timm" || r.Arrays == 0 || told != r.Arrays ||
		len(r.Left) != 1 || r.Left[0].Name != "fc" || r.Left[0].Classes != 10 || len(r.Notes) != 1 {
		t.Errorf("%+v, told %d", r, told)
	}
	m, err := vicreg.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Info(); i.Arch != "resnet10" || i.Size != 24 || i.Mean[2] != 0.5 || !strings.HasPrefix(i.Source, "torchvision.pth (checksum ") {
		t.Errorf("%+v", i)
	}
	again := filepath.Join(dir, "again")
	if _, err := vicreg.Import(ctx, r.Path, again, vicreg.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	m, err = vicreg.Open(again)
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Info().Source; !strings.Contains(s, "a model of vicreg, which was taken from torchvision.pth") {
		t.Errorf("source %q", s)
	}
	if _, err := vicreg.Import(ctx, weights, again, vicreg.ImportOptions{}); err != nil {
		t.Errorf("an imported model is not replaced: %v", err)
	}

	run := filepath.Join(dir, "run")
	other := filepath.Join(dir, "other", "model.safetensors")
	for path, text := range map[string]string{filepath.Join(run, "config.yaml"): "epochs: 3\n", other: "mine"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	for _, c := range []struct {
		ctx          context.Context
		file, folder string
		o            vicreg.ImportOptions
		want         string
	}{
		{ctx, weights, run, vicreg.ImportOptions{}, "run holds a run (config.yaml)"},
		{ctx, weights, filepath.Dir(other), vicreg.ImportOptions{}, "is there and was not imported"},
		{ctx, r.Path, folder, vicreg.ImportOptions{}, "is the file to take from"},
		{ctx, r.Path, again, vicreg.ImportOptions{Size: 8}, "is a model that vicreg wrote, which says itself what it is"},
		{ctx, weights, again, vicreg.ImportOptions{Std: []float64{0}}, "std has 0, but must have finite numbers above 0"},
		{ctx, weights, again, vicreg.ImportOptions{Size: -1}, "size is -1"},
		{ctx, weights, other, vicreg.ImportOptions{}, "cannot be made: not a directory"},
		{ctx, "nosuch.pth", again, vicreg.ImportOptions{}, "there is no file nosuch.pth"},
		{stopped, weights, again, vicreg.ImportOptions{}, "context canceled"},
	} {
		if _, err := vicreg.Import(c.ctx, c.file, c.folder, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v; want %q", c.file, c.folder, err, c.want)
		}
	}
	if b, err := os.ReadFile(other); err != nil || !bytes.Equal(b, []byte("mine")) {
		t.Errorf("another's file was changed: %q, %v", b, err)
	}
}
