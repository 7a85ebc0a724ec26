package pretrained

import (
	"reflect"
	"strings"
	"testing"

	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/method"
	"vicreg/internal/model"
)

// Where memory has no room for the features that are fitted on, a file has, the scores are
// the same, and it is told.
func TestScoreFromFile(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := model.Config{Arch: "resnet10", Width: 4, Stem: "small", Input: model.ImageInput(12, 1)}
	encoder, err := method.NewEncoder(c, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	e := &Embedder{Encoder: encoder, Size: 12, Mean: []float64{0.5}, Std: []float64{0.5}, Batch: 16}
	train, test := e.Images(source(60), nil), e.Images(source(40), nil)
	train.Labels[7], train.Labels[16], train.Labels[59] = -1, -1, -1
	want, err := e.Score(t.Context(), encoder, train, test, eval.Options{}, func(string) {})
	if err != nil || want.Trained.Note != "" {
		t.Fatal(want.Trained.Note, err)
	}
	t.Setenv(host.MemoryVariable, "1MB")
	got, err := e.Score(t.Context(), encoder, train, test, eval.Options{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*eval.Scores{&got.Trained, &got.Untrained} {
		if !strings.HasPrefix(s.Note, "the features of 60 images to fit on (") ||
			!strings.HasSuffix(s.Note, "but VICREG_MEMORY allows 1.0 MB") {
			t.Error(s.Note)
		}
		s.Note = ""
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("from a file %+v, in memory %+v", got, want)
	}
	// A model is not even tried where that would not do.
	e.model = &Model{Meta: Meta{Encoder: c}, Encoder: encoder}
	_, err = e.Score(t.Context(), encoder, train, test, eval.Options{}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "scoring 40 by 60, 32 features each, takes about") {
		t.Error(err)
	}
}
