package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The whole run that is compared: the recipe fashion-mnist on its first images.
const (
	recipeImages = 20000
	recipeEpochs = 10
	moreEpochs   = 2  // that a run of ours is longer than the one before it
	mostEpochs   = 16 // for ours to reach the score
	recipeGoal   = 2.5
)

// scored is what a run came to.
type scored struct {
	Seconds float64 `json:"train_seconds"` // of the steps and their data
	KNN     float64 `json:"knn"`
	Linear  float64 `json:"linear"`
	RSS     float64 `json:"peak_rss_mib"`
	How     string  `json:"how"` // PyTorch's
	epochs  int
}

// sideBySide trains on each side: PyTorch's for the recipe's epochs, ours until
// a whole run scores as well by kNN. Scoring is not timed.
func (b *bench) sideBySide(ctx context.Context, t *table, root string) error {
	var them scored
	if b.peer != "" {
		b.progress("whole run, PyTorch: some 13 minutes")
		err := output(ctx, &them, b.python, []string{filepath.Join(root, "bench", "recipe.py"), "--train-images", fmt.Sprint(recipeImages),
			"--epochs", fmt.Sprint(recipeEpochs), "--threads", fmt.Sprint(b.threads)})
		if err != nil {
			return err
		}
		them.epochs = recipeEpochs
		b.progress("    %s", them)
	}
	var ours []scored
	for epochs := recipeEpochs; epochs <= mostEpochs; epochs += moreEpochs {
		b.progress("whole run, vicreg: %d epochs", epochs)
		us, err := b.train(ctx, epochs)
		if err != nil {
			return err
		}
		b.progress("    %s", us)
		if ours = append(ours, us); us.KNN >= them.KNN {
			break
		}
	}
	t.recipe = recipeText(ours, them, b.peer != "")
	return nil
}

// train trains ours.
func (b *bench) train(ctx context.Context, epochs int) (s scored, err error) {
	run := filepath.Join(b.made.dir, fmt.Sprintf("run%d", epochs))
	cmd := exec.CommandContext(ctx, b.ours, "pretrain", "--recipe", "fashion-mnist", "--data", "fashion-mnist", "--limit", fmt.Sprint(recipeImages),
		"--epochs", fmt.Sprint(epochs), "--threads", fmt.Sprint(b.threads), "--workers", fmt.Sprint(b.threads), "--out", run, "--quiet")
	if out, err := cmd.CombinedOutput(); err != nil {
		return s, fmt.Errorf("cannot train: %w\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(run, "summary.json"))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	s.epochs = epochs
	return s, err
}

func (s scored) String() string {
	return fmt.Sprintf("%d epochs: %.0f s, kNN %.2f%%, linear probe %.2f%%, %.0f MiB", s.epochs, s.Seconds, 100*s.KNN, 100*s.Linear, s.RSS)
}

// recipeText tells what came out; the last of ours is the one that counts.
func recipeText(ours []scored, them scored, havePeer bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "A whole run: ResNet-18 of width 16, 28 px, expander 512³, batch 256, on %d images of\nFashion-MNIST, scored on its 10,000 test images; seconds are those of the steps and their data.\n\n", recipeImages)
	for _, s := range ours {
		fmt.Fprintf(&b, "- vicreg, %s\n", s)
	}
	if !havePeer || len(ours) == 0 {
		return strings.TrimSpace(b.String())
	}
	fmt.Fprintf(&b, "- PyTorch (%s), %s\n\n", them.How, them)
	last := ours[len(ours)-1]
	ratio := them.Seconds / last.Seconds
	if last.KNN >= them.KNN {
		fmt.Fprintf(&b, "Time to PyTorch's kNN score: %s× (%s).", figures(ratio), goal(recipeGoal, ratio, true))
	} else {
		fmt.Fprintf(&b, "PyTorch's kNN score was not reached in %d epochs (%s **missed**).", last.epochs, goal(recipeGoal, 0, true))
	}
	return b.String()
}
