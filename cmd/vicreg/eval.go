package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/runlog"
)

func newEval() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval RUN",
		Short: "Score a run's encoder on labelled images",
		Long: `Scores the frozen encoder of a run folder (or of a model.safetensors file) on
labelled images, and beside it the same encoder untrained: nearest neighbours by
cosine, and a linear probe. Of a run on pairs it takes those the run held out, or
another manifest with the same columns. Both are fitted on the training part of the data and
scored on its test part, or on a share held out where it has none.`,
		Example: `  vicreg eval runs/photos --data labelled/
  vicreg eval runs/photos --data labelled/ --k 5 --json
  vicreg eval runs/photos --data labelled/ --raw            # beside the pixels themselves
  vicreg eval runs/calls --retrieval                        # R@1, R@5, R@10
  vicreg eval runs/calls --branch b --label caller`,
		Args: oneArg("run folder"),
	}
	var (
		o      vicreg.EvalOptions
		asJSON bool
		branch string
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	config.holdout()
	pair := newPairFlags(flags)
	pair.scoring()
	var retrieval bool
	flags.BoolVar(&retrieval, "retrieval", false, "of a run on pairs: how often the partner is among the nearest, both ways")
	flags.BoolVar(&o.Raw, "raw", false, "score the values that the encoder reads as well: pixels, samples, mel bands")
	flags.IntVar(&o.K, "k", 20, "`neighbours` that vote")
	flags.Float64Var(&o.Temperature, "temperature", 0.07, "`temperature` of the votes")
	branchFlag(flags, &branch)
	config.machine()
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if o.K < 1 {
			return usagef("--k is %d, but must be at least 1", o.K)
		}
		if branch != "a" && branch != "b" {
			return usagef("--branch %q is unknown; known: a, b", branch)
		}
		if !(o.Temperature > 0) {
			return usagef("--temperature is %v, but must be above 0", o.Temperature)
		}
		if m, err := pair.open(args[0], branch); err != nil {
			return err
		} else if m != nil {
			return evalPairs(m, args[0], pair, config, o, retrieval, asJSON)
		}
		data, threads, workers, err := config.source()
		if err != nil {
			return err
		}
		o.Threads, o.Workers = threads, workers
		m, err := vicreg.OpenBranch(args[0], branch)
		if err != nil {
			return err
		}
		ctx, release := interruptible(context.Background())
		defer release()
		progress := newCounter()
		o.Progress = progress.describe
		s, err := m.Evaluate(ctx, data, o)
		progress.clear()
		if err != nil {
			return err
		}
		return printScores(s, "images", asJSON)
	}
	return cmd
}

// evalPairs scores a run on pairs.
func evalPairs(m *vicreg.Model, folder string, pair *pairFlags, config *configFlags, o vicreg.EvalOptions, retrieval, asJSON bool) error {
	data, threads, workers, err := pair.given(config)
	if err != nil {
		return err
	}
	o.Threads, o.Workers = threads, workers
	if retrieval {
		return evalRetrieval(folder, data, o, asJSON)
	}
	ctx, release := interruptible(context.Background())
	defer release()
	progress := newCounter()
	o.Progress = progress.describe
	s, err := m.EvaluatePairs(ctx, data, o)
	progress.clear()
	if err != nil {
		return err
	}
	return printScores(s, "pairs", asJSON)
}

func printScores(s *vicreg.Scores, what string, asJSON bool) error {
	if asJSON {
		all := map[string]any{
			"dataset": s.Dataset, "train_images": s.Train, "test_images": s.Test, "classes": s.Classes,
			"knn": s.KNN, "linear": s.Linear, "random_init_knn": s.RandomInitKNN, "random_init_linear": s.RandomInitLinear,
			"bad_images": len(s.Bad), "bad_image_list": append([]string{}, s.Bad...),
		}
		if s.Raw != nil {
			all["raw_knn"], all["raw_linear"] = s.Raw.KNN, s.Raw.Linear
		}
		return printJSON(all)
	}
	writeBad(os.Stdout, s.Bad)
	fmt.Printf("%s: %d classes, fitted on %d %s, scored on %d\n", s.Dataset, s.Classes, s.Train, what, s.Test)
	writeScores(os.Stdout, runlog.Summary{Scores: runlog.Scores{KNN: &s.KNN, Linear: &s.Linear, RandomInitKNN: &s.RandomInitKNN, RandomInitLinear: &s.RandomInitLinear}})
	if s.Raw != nil {
		fmt.Printf("The input values themselves: kNN %s, linear probe %s\n", percent(&s.Raw.KNN), percent(&s.Raw.Linear))
	}
	return nil
}
