package pretrained

import (
	"fmt"
	"strings"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/imagefile"
	"vicreg/internal/method"
	"vicreg/internal/model"
)

// source holds n images, upright stripes and level ones in turn.
func source(n int) *batch.Source {
	const side = 12
	d := &dataset.Dataset{Name: "stripes", Classes: []string{"upright", "level"}, Channels: 1}
	for i := range n {
		m := imagefile.Image{W: side, H: side, C: 1, Pix: make([]uint8, side*side)}
		for j := range m.Pix {
			at := []int{j % side, j / side}[i%2]
			m.Pix[j] = uint8((at+i)/2%2*150 + (i*j)%50)
		}
		d.Items = append(d.Items, dataset.Item{Name: fmt.Sprint(i), Label: i % 2, Image: &m})
	}
	return batch.NewSource(d, batch.SourceOptions{Channels: 1})
}

// An encoder that has unlearned everything is told from one that has not begun.
func TestScoreTellsTrainedFromUntrained(t *testing.T) {
	c := model.Config{Arch: "resnet10", Width: 4, Stem: "small", Input: model.ImageInput(12, 1)}
	var encoders [2]model.Encoder
	for i := range encoders {
		var err error
		if encoders[i], err = method.NewEncoder(c, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range encoders[0].Params() {
		clear(p.Value.Host())
	}
	e := &Embedder{Encoder: encoders[0], Size: 12, Mean: []float64{0.5}, Std: []float64{0.5}, Batch: 16}
	train, test := source(60), source(40)
	var phases int
	s, err := e.Score(t.Context(), encoders[1], e.Images(train, nil), e.Images(test, nil), eval.Options{},
		func(string) { phases++ })
	if err != nil {
		t.Fatal(err)
	}
	if s.Trained.Linear > 0.5 || s.Trained.KNN > 0.5 || s.Untrained.Linear < 0.9 || s.Untrained.KNN < 0.9 ||
		phases != 4 {
		t.Errorf("scores %+v in %d phases", s, phases)
	}
	// Of the listed images alone.
	s, err = e.Score(t.Context(), encoders[1], e.Images(train, []int{0, 1, 2, 3, 8}), e.Images(test, []int{1, 2}),
		eval.Options{}, func(string) {})
	if err != nil || s.Trained.Train != 5 || s.Trained.Test != 2 || s.Untrained.Train != 5 {
		t.Errorf("of a few images: %+v, %v", s, err)
	}
}

// The values themselves are scored as evaluation reads them: pixels of stripes
// in two directions are told apart by a linear probe.
func TestRaw(t *testing.T) {
	e := &Embedder{Size: 12, Mean: []float64{0.5}, Std: []float64{0.5}, Batch: 16}
	train, test := e.Images(source(60), nil), e.Images(source(40), []int{0, 1, 2, 3, 8})
	s, err := Raw(t.Context(), train, test, eval.Options{})
	if err != nil || s.Linear < 0.8 || s.Train != 60 || s.Test != 5 {
		t.Errorf("scores %+v, %v", s, err)
	}
	x, note, err := test.values(t.Context(), 60, nil)
	if note != "" || err != nil || x.D != 144 || len(x.X) != 5*144 {
		t.Fatalf("%d values of width %d, %v", len(x.X), x.D, err)
	}
	pixels := source(40).Data().Items[3].Image.Pix
	for i, v := range x.X[3*144 : 4*144] {
		if want := (float32(pixels[i])/255 - 0.5) / 0.5; v-want > 1e-5 || want-v > 1e-5 {
			t.Fatalf("pixel %d is %v, want %v", i, v, want)
		}
	}

	// What is too much to keep is projected, and still tells the stripes apart.
	defer func(most int) { mostRaw = most }(mostRaw)
	mostRaw = 60*144 - 1
	s, err = Raw(t.Context(), train, test, eval.Options{})
	if err != nil || s.Note != "" || s.Linear < 0.8 { // no narrower than it was
		t.Errorf("scores %+v, %v", s, err)
	}
	mostRaw = 60 * 70 / 2
	s, err = Raw(t.Context(), train, test, eval.Options{})
	if err != nil || !strings.Contains(s.Note, "144 values of each of 60 items are projected to 70 at random") || s.Linear < 0.8 {
		t.Errorf("projected: scores %+v, %v", s, err)
	}
}

// A model that needs more memory for one item than there is says so; where it
// fits, batches are as large as do.
func TestMemory(t *testing.T) {
	path, _, _, _ := saved(t)
	m, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Embedder(0, 0).Batch; n != 256 {
		t.Errorf("batches of %d", n)
	}
	if n := m.Embedder(1000, 0).Batch; n != 1000 {
		t.Errorf("batches of %d, want 1000", n)
	}
	m.Meta.Encoder.Input, m.Size = model.ImageInput(2048, 1), 2048
	t.Setenv(host.MemoryVariable, "900MB")
	n := m.Embedder(0, 0).Batch
	if n != 1 {
		t.Errorf("batches of %d large images", n)
	}
	t.Setenv(host.MemoryVariable, "20MB")
	e := m.Embedder(0, 0)
	_, err = e.Embed(t.Context(), e.Images(source(3), nil))
	if want := path + ": embedding one of its images, [2048 2048 1] values, takes about "; err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "of memory, but VICREG_MEMORY allows 20 MB; use a machine with more") {
		t.Errorf("want %s…, got %v", want, err)
	}
	e = m.Embedder(3, 0)
	if _, err := e.Embed(t.Context(), e.Images(source(3), nil)); err == nil ||
		!strings.Contains(err.Error(), "embedding 3 of its images") || !strings.HasSuffix(err.Error(), "; take a smaller batch") {
		t.Errorf("three: %v", err)
	}
}

// Features that are not finite are an error that names the item.
func TestFeaturesMustBeFinite(t *testing.T) {
	path, _, _, _ := saved(t)
	m, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := m.Embedder(2, 0)
	e.Size, e.Mean, e.Std = 12, []float64{0.1, 0.2, 0.3}, []float64{1, 1, 1e-300}
	s := batch.NewSource(source(9).Data(), batch.SourceOptions{Channels: 3})
	for first, items := range map[string][]int{"0": nil, "4": {4, 8}} {
		_, err := e.Embed(t.Context(), e.Images(s, items))
		if want := "the features of " + first + " are not finite (number "; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %s…, got %v", want, err)
		}
		if _, err := Raw(t.Context(), e.Images(s, items), e.Images(s, items), eval.Options{}); err == nil ||
			!strings.HasPrefix(err.Error(), "the values of "+first+" are not finite") {
			t.Errorf("raw: %v", err)
		}
	}
}
