package vicreg_test

import (
	"context"
	"image"
	"image/color"
	"math"
	"path/filepath"
	"testing"

	"vicreg"
	"vicreg/internal/parallel"
)

// What a run says of itself must be what its model gives when opened again.
func TestPretrainOpenEmbedEvaluate(t *testing.T) {
	c, err := vicreg.Recipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	c.Out = filepath.Join(t.TempDir(), "run")
	c.Encoder.Arch, c.Encoder.Width, c.Expander, c.Size = "resnet10", 4, "32-32", 16
	c.Data.Limit, c.Batch, c.Epochs, c.Warmup, c.Eval.Every = 256, 64, 1, 0, 0
	run, err := vicreg.Pretrain(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vicreg.Open(run.Folder)
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Info(); i.Features != 32 || i.Embedding != 32 || i.Channels != 1 || i.Size != 16 || i.Images != 256 ||
		i.Seed != c.Seed {
		t.Errorf("info %+v", i)
	}

	s, err := m.Evaluate(context.Background(), c.Data, vicreg.EvalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.KNN != *run.Summary.KNN || s.Linear != *run.Summary.Linear || s.RandomInitKNN != *run.Summary.RandomInitKNN ||
		s.RandomInitLinear != *run.Summary.RandomInitLinear || s.Train != 256 || s.Test != 2000 || s.Classes != 10 {
		t.Errorf("scores %+v\nthe run's own %+v", s, run.Summary)
	}
	many, err := m.Evaluate(context.Background(), c.Data, vicreg.EvalOptions{Ks: []int{5, 20}})
	if err != nil {
		t.Fatal(err)
	}
	if n := many.Neighbours; len(n) != 2 || n[0].K != 5 || n[1].K != 20 || many.KNN != n[0].Trained.Top1 ||
		n[1].Trained.Top1 != s.KNN || n[1].Untrained.Top1 != s.RandomInitKNN || many.Probe.Top1 != s.Linear ||
		len(many.Probe.Classes) != 10 || many.Probe.Classes[3].Name != "Dress" || *many.Probe.Top5 < s.Linear {
		t.Errorf("by 5 and 20 neighbours %+v", many)
	}

	data := c.Data
	data.Limit = 3
	e, err := m.EmbedData(context.Background(), data, vicreg.EmbedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Features) != 3 || len(e.Features[0]) != 32 || len(e.Names) != 3 || e.Labels[0] < 0 {
		t.Errorf("%d features of %d for %q, labels %v", len(e.Features), len(e.Features[0]), e.Names, e.Labels)
	}
	if _, err := m.EmbedData(context.Background(), data, vicreg.EmbedOptions{Layer: "nosuch"}); err == nil {
		t.Error("an unknown layer was accepted")
	}
}

func TestEmbedTakesAnyImage(t *testing.T) {
	c, err := vicreg.Recipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	c.Out = filepath.Join(t.TempDir(), "run")
	c.Encoder.Arch, c.Encoder.Width, c.Expander, c.Size = "resnet10", 4, "8-8", 16
	c.Data.Labels, c.Data.Limit, c.Batch, c.Epochs, c.Warmup = "none", 32, 32, 1, 0
	before := parallel.Workers()
	c.Threads = before + 1
	run, err := vicreg.Pretrain(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if n := parallel.Workers(); n != before {
		t.Errorf("%d goroutines compute after the run, %d before", n, before)
	}
	m, err := vicreg.Open(run.Folder)
	if err != nil {
		t.Fatal(err)
	}
	grey := image.NewGray(image.Rect(0, 0, 16, 16))
	wide := image.NewRGBA(image.Rect(5, 5, 95, 45))
	for i := range 16 {
		grey.SetGray(i, i, color.Gray{200})
		wide.Set(5+i, 5+i, color.RGBA{255, 0, 0, 255})
	}
	together, err := m.Embed(context.Background(), grey, wide)
	if err != nil {
		t.Fatal(err)
	}
	for i, img := range []image.Image{grey, wide} {
		alone, err := m.Embed(context.Background(), img)
		if err != nil {
			t.Fatal(err)
		}
		for j, v := range alone[0] {
			if d := math.Abs(float64(v - together[i][j])); d > 1e-5*(1+math.Abs(float64(v))) {
				t.Errorf("image %d, feature %d: %v alone, %v in company", i, j, v, together[i][j])
			}
		}
	}
	if _, err := m.Embed(context.Background(), image.NewGray(image.Rectangle{})); err == nil {
		t.Error("an empty image was accepted")
	}
}
