package vicreg_test

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"vicreg"
)

// Judge measures what the run's end did; with more images and views, others, and never
// changes the verdict by it.
func TestJudgeMeasures(t *testing.T) {
	c, err := vicreg.Recipe("")
	if err != nil {
		t.Fatal(err)
	}
	c.Out = t.TempDir() + "/run"
	c.Data.Limit, c.Data.Labels, c.Batch, c.Epochs, c.Encoder.Width, c.Expander, c.Size = 40, "none", 8, 1, 2, "8-8", 12
	ctx := t.Context()
	run, err := vicreg.Pretrain(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	u := run.Summary.Unlabelled
	if u == nil || u.Images != 40 || u.Views != 8 || u.HeldOut || u.Trained.Embedding.Width != 8 ||
		u.Trained.Representation.RankMe <= 1 || u.Trained == u.Untrained {
		t.Fatalf("the run measured %+v", u)
	}
	m, err := vicreg.Open(run.Folder)
	if err != nil {
		t.Fatal(err)
	}
	j, err := m.Judge(ctx, c.Data, vicreg.EvalOptions{})
	if err != nil || !reflect.DeepEqual(&j.Unlabelled, u) {
		t.Errorf("%v: measured %+v\nthe run %+v", err, j.Unlabelled, u)
	}
	more, err := m.Judge(ctx, c.Data, vicreg.EvalOptions{Images: 30, Views: 4})
	if err != nil || more.Unlabelled.Images != 30 || more.Unlabelled.Views != 4 ||
		!reflect.DeepEqual(more.Verdict, j.Verdict) ||
		more.Unlabelled.Trained.Representation == j.Unlabelled.Trained.Representation {
		t.Errorf("%v: 4 views of 30 images: %+v", err, more)
	}

	// Of other images none are held out, whatever their folders say.
	dir := t.TempDir()
	for i := range 20 {
		m := image.NewGray(image.Rect(0, 0, 12, 12))
		for k := range m.Pix {
			m.Pix[k] = uint8(k * (i + 3))
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprint("class", i%2), fmt.Sprint(i, ".png"))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	other := vicreg.Data{Source: dir, Holdout: 0.2}
	if j, err = m.Judge(ctx, other, vicreg.EvalOptions{}); err != nil || j.Items != 20 || j.HeldOut {
		t.Errorf("%v: judged by %+v", err, j)
	}
}
