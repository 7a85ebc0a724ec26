package train

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// chosen is a run on images of the user's own that leaves to be chosen what it may.
func chosen(t *testing.T) recipe.Config {
	c, err := recipe.Load(recipe.Photos)
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Source, c.Out = photos(t, 40, 4), filepath.Join(t.TempDir(), "run")
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet10", 2, "8-8"
	c.LogEvery = 1
	return c
}

// What is chosen stands in the configuration, and the run that had steps timed ends
// with the bits of one that was told all of it.
func TestTimingChangesNothing(t *testing.T) {
	c := chosen(t)
	c.Minutes = 1e-9
	b := &breaker{}
	if _, err := pretrain(c, b); err != nil {
		t.Fatal(err)
	}
	got, err := recipe.ReadFile(filepath.Join(c.Out, runlog.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if got.Size == 0 || got.Batch != 16 || got.Epochs != 10 || got.Encoder.Stem != "small" || got.Warmup != 1 ||
		got.Eval.Every != 1 || got.Minutes != 0 || len(got.Open()) != 0 {
		t.Fatalf("chosen: %+v", got)
	}
	model, metrics := lines(t, c.Out)

	told := chosen(t)
	told.Data.Source = c.Data.Source
	told.Size, told.Batch, told.Epochs, told.Encoder.Stem, told.Warmup, told.Eval.Every = got.Size, got.Batch,
		got.Epochs, got.Encoder.Stem, got.Warmup, got.Eval.Every
	if _, err := pretrain(told, &breaker{}); err != nil {
		t.Fatal(err)
	}
	if again, other := lines(t, told.Out); !bytes.Equal(model, again) || metrics != other {
		t.Errorf("the run that was timed ends otherwise:\n%s\nwant\n%s", metrics, other)
	}

	// Nor does stopping change anything.
	cut := chosen(t)
	cut.Data.Source, cut.Minutes = c.Data.Source, c.Minutes
	if _, err := pretrain(cut, &breaker{step: 5}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), cut.Out, Options{}); err != nil {
		t.Fatal(err)
	}
	if again, other := lines(t, cut.Out); !bytes.Equal(model, again) || metrics != other {
		t.Errorf("the run that was stopped ends otherwise:\n%s\nwant\n%s", other, metrics)
	}
}

// lines are the model's bytes and the losses of a run without scores.
func lines(t *testing.T, folder string) (model []byte, losses string) {
	t.Helper()
	model, err := os.ReadFile(filepath.Join(folder, runlog.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	m, err := runlog.ReadMetrics(folder)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, s := range m.Steps {
		fmt.Fprintln(&b, s.Step, s.Loss, s.LR, s.GradNorm)
	}
	return model, b.String()
}

// A preview makes no folder, and says what the run then is.
func TestPreview(t *testing.T) {
	c := chosen(t)
	c.Minutes = 1e-9
	p, err := Preview(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a folder: %v", err)
	}
	if p.Images != 40 || p.StepsPerEpoch != 2 || p.Steps != 20 || !(p.Seconds > 0) || !(p.Bytes > 1e6) {
		t.Errorf("%+v", p)
	}
	var keys []string
	for _, choice := range p.Choices {
		keys = append(keys, choice.Key)
	}
	if !slices.Equal(keys, []string{"size", "stem", "batch", "epochs", "warmup"}) {
		t.Errorf("chosen: %v", p.Choices)
	}
	if all := strings.Join(p.Warnings, "\n"); !strings.Contains(all, "only 2 steps of 16") || !strings.Contains(all, "only 20 steps in all") {
		t.Errorf("warnings %q", p.Warnings)
	}
}

// A warm-up longer than the run is made shorter, and that is said.
func TestLongWarmupIsAdapted(t *testing.T) {
	c := config(t)
	c.Warmup = 10
	b := &breaker{}
	if _, err := pretrain(c, b); err != nil {
		t.Fatal(err)
	}
	if len(b.warnings) == 0 || b.warnings[0] != "a warm-up of 10 epochs is longer than the run of 2, so it takes 0.2" {
		t.Errorf("warnings %q", b.warnings)
	}
	got, err := recipe.ReadFile(filepath.Join(c.Out, runlog.ConfigFile))
	if err != nil || got.Warmup != 0.2 {
		t.Errorf("a warm-up of %v, %v", got.Warmup, err)
	}
}

// A run whose configuration leaves something open has not begun.
func TestNothingOpenIsResumed(t *testing.T) {
	c := chosen(t)
	raw, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := runlog.WriteConfig(c.Out, raw); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), c.Out, Options{}); err == nil || !strings.Contains(err.Error(), "leaves open what a run has chosen before it begins: size, encoder.stem, batch") {
		t.Errorf("resumed: %v", err)
	}
}

// Images stay decoded as long as there is room for them; what does not fit leaves room
// for smaller ones after it.
func TestWhatStaysDecoded(t *testing.T) {
	for _, c := range []struct {
		areas       []float64
		n           int
		room        float64
		stays       []bool
		again, mean float64
	}{
		{[]float64{10, 10, 10, 10}, 4, 1000, []bool{true, true, true, true}, 0, 10},
		{[]float64{10, 10, 10, 10}, 4, 60, []bool{true, true, false, false}, 5, 10},
		{[]float64{10, 1000, 10, 10}, 4, 90, []bool{true, false, true, true}, 250, 1030.0 / 4},
		{[]float64{10, 10}, 200, 3000, []bool{true, false}, 5, 10}, // a sample of a hundredth
		{[]float64{10}, 1, 0, []bool{false}, 10, 10},
		{nil, 5, 100, []bool{}, 0, 0},
	} {
		if stays, again, mean := stay(c.areas, c.n, 3, c.room); !slices.Equal(stays, c.stays) || again != c.again ||
			mean != c.mean {
			t.Errorf("%v of %d: %v stay, %v of %v decoded again; want %v, %v of %v", c.areas, c.n, stays, again, mean, c.stays, c.again, c.mean)
		}
	}
}
