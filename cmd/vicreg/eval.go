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
cosine, and a linear probe. Both are fitted on the training part of the data and
scored on its test part, or on a share held out where it has none.`,
		Example: `  vicreg eval runs/photos --data labelled/
  vicreg eval runs/photos --data labelled/ --k 5 --json`,
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
	flags.IntVar(&o.K, "k", 20, "`neighbours` that vote")
	flags.Float64Var(&o.Temperature, "temperature", 0.07, "`temperature` of the votes")
	branchFlag(flags, &branch)
	config.machine()
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		data, threads, workers, err := config.source()
		if err != nil {
			return err
		}
		if o.K < 1 {
			return usagef("--k is %d, but must be at least 1", o.K)
		}
		if branch != "a" && branch != "b" {
			return usagef("--branch %q is unknown; known: a, b", branch)
		}
		if !(o.Temperature > 0) {
			return usagef("--temperature is %v, but must be above 0", o.Temperature)
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
		if asJSON {
			return printJSON(map[string]any{
				"dataset": s.Dataset, "train_images": s.Train, "test_images": s.Test, "classes": s.Classes,
				"knn": s.KNN, "linear": s.Linear, "random_init_knn": s.RandomInitKNN, "random_init_linear": s.RandomInitLinear,
				"bad_images": len(s.Bad), "bad_image_list": append([]string{}, s.Bad...),
			})
		}
		writeBad(os.Stdout, s.Bad)
		fmt.Printf("%s: %d classes, fitted on %d images, scored on %d\n", s.Dataset, s.Classes, s.Train, s.Test)
		writeScores(os.Stdout, runlog.Summary{Scores: runlog.Scores{KNN: &s.KNN, Linear: &s.Linear, RandomInitKNN: &s.RandomInitKNN, RandomInitLinear: &s.RandomInitLinear}})
		return nil
	}
	return cmd
}
