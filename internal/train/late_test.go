package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/cuda/sim"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// onCard does a run on a simulated card and returns what it comes to, and the steps of its
// metrics.
func onCard(t *testing.T, c recipe.Config) (*runlog.Summary, error) {
	t.Helper()
	d := simulated(t, sim.Options{Seed: 1})
	c.Out = filepath.Join(t.TempDir(), "run")
	_, s, err := Pretrain(context.Background(), c, Options{Reporter: &breaker{}, Device: d})
	return s, err
}

// The figures of a run whose embeddings stay on a card are those of the CPU.
func TestFiguresOnACard(t *testing.T) {
	c := config(t)
	c.Epochs, c.Warmup = 1, 0
	want, err := pretrain(c, &breaker{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := onCard(t, c)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]float64{"loss": {got.Loss, want.Loss},
		"std": {float64(got.EmbeddingStd), float64(want.EmbeddingStd)}, "rank": {float64(got.Rank), float64(want.Rank)}} {
		if math.Abs(pair[0]-pair[1]) > 1e-3*pair[1] || pair[1] == 0 {
			t.Errorf("the %s is %v on the card, %v on the CPU", name, pair[0], pair[1])
		}
	}
}

// A card is told of the update before its numbers are known. A run whose numbers are not
// finite stops at the same step all the same, and says the same.
func TestNotFiniteOnACard(t *testing.T) {
	c := config(t)
	c.Optimizer.Name, c.Optimizer.BaseLR, c.Warmup = "sgd", 1e25, 0
	_, err := pretrain(c, &breaker{})
	var want, got *NotFinite
	if !errors.As(err, &want) {
		t.Fatal(err)
	}
	_, err = onCard(t, c)
	if !errors.As(err, &got) || got.Step != want.Step || got.What != want.What {
		t.Errorf("on the card: %v; on the CPU: %v", err, want)
	}
	if !strings.Contains(err.Error(), "the last good checkpoint is ") {
		t.Errorf("%q names no checkpoint", err)
	}
}
