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
	mostEpochs   = 14 // for ours to reach the score
	recipeGoal   = 2.5
)

// scored is what a run came to, or the means of several runs.
type scored struct {
	Seconds float64 `json:"train_seconds"` // of the steps and their data
	KNN     float64 `json:"knn"`
	Linear  float64 `json:"linear"`
	RSS     float64 `json:"peak_rss_mib"`
	How     string  `json:"how"` // PyTorch's
	epochs  int
	each    []float64 // kNN of every run
}

// sideBySide trains on each side, once with every seed: PyTorch's for the
// recipe's epochs, ours until whole runs score as well by kNN, on average.
// Scoring is not timed.
func (b *bench) sideBySide(ctx context.Context, t *table, root string) error {
	var them scored
	if b.peer != "" {
		b.progress("whole run, PyTorch: some 13 minutes each")
		var err error
		them, err = overSeeds(b.seeds, recipeEpochs, func(seed int) (s scored, err error) {
			err = output(ctx, &s, b.python, []string{filepath.Join(root, "bench", "recipe.py"), "--train-images", fmt.Sprint(recipeImages),
				"--epochs", fmt.Sprint(recipeEpochs), "--threads", fmt.Sprint(b.threads), "--seed", fmt.Sprint(seed)})
			return s, err
		})
		if err != nil {
			return err
		}
		b.progress("    %s", them)
	}
	var ours []scored
	for epochs := recipeEpochs; epochs <= mostEpochs; epochs++ {
		b.progress("whole run, vicreg: %d epochs", epochs)
		us, err := overSeeds(b.seeds, epochs, func(seed int) (scored, error) { return b.train(ctx, epochs, seed) })
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

// overSeeds runs with the seeds from 1 on and returns the means; of the memory
// the most.
func overSeeds(seeds, epochs int, run func(seed int) (scored, error)) (scored, error) {
	mean := scored{epochs: epochs}
	for seed := 1; seed <= seeds; seed++ {
		s, err := run(seed)
		if err != nil {
			return mean, err
		}
		n := float64(seeds)
		mean.Seconds, mean.KNN, mean.Linear = mean.Seconds+s.Seconds/n, mean.KNN+s.KNN/n, mean.Linear+s.Linear/n
		mean.RSS, mean.How, mean.each = max(mean.RSS, s.RSS), s.How, append(mean.each, s.KNN)
	}
	return mean, nil
}

// train trains ours.
func (b *bench) train(ctx context.Context, epochs, seed int) (s scored, err error) {
	run := filepath.Join(b.made.dir, fmt.Sprintf("run%d-%d", epochs, seed))
	cmd := exec.CommandContext(ctx, b.ours, "pretrain", "--recipe", "fashion-mnist", "--data", "fashion-mnist", "--limit", fmt.Sprint(recipeImages),
		"--epochs", fmt.Sprint(epochs), "--seed", fmt.Sprint(seed), "--threads", fmt.Sprint(b.threads), "--workers", fmt.Sprint(b.threads), "--out", run, "--quiet")
	if out, err := cmd.CombinedOutput(); err != nil {
		return s, fmt.Errorf("cannot train: %w\n%s", err, out)
	}
	raw, err := os.ReadFile(filepath.Join(run, "summary.json"))
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	return s, err
}

func (s scored) String() string {
	all := ""
	if len(s.each) > 1 {
		var each []string
		for _, knn := range s.each {
			each = append(each, fmt.Sprintf("%.2f", 100*knn))
		}
		all = " (" + strings.Join(each, ", ") + ")"
	}
	return fmt.Sprintf("%d epochs: %.0f s, kNN %.2f%%%s, linear probe %.2f%%, %.0f MiB", s.epochs, s.Seconds, 100*s.KNN, all, 100*s.Linear, s.RSS)
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
