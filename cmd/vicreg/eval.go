package main

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/runlog"
)

const labelsUsage = "classes for scoring: auto, folders (first on an image's path), leaf (last), none, a `file` (CSV, TSV, JSON) of paths and labels, a pattern such as {label}_{number}.jpg, @cls or @json.key"

func newEval() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "eval RUN",
		Short: "Score a run's encoder on labelled images",
		Long: `Scores the frozen encoder of a run folder (or of a model.safetensors file) on
labelled images, and beside it the same encoder untrained: nearest neighbours by
cosine, and a linear probe. Both are fitted on the training part of the data and
scored on its test part, or on a share held out where it has none. Of a run on
pairs it takes those the run held out, or another manifest with the same columns;
of a run on images, without --data, those the run was trained with. Where these
have no labels, it says what the encoder has learned without. Features that
memory has no room for are kept in a temporary file (in TMPDIR).

With --protocol it trains the probe as a paper does, by SGD on crops drawn anew
each epoch, in a folder inside the run's; if that was stopped, asking again goes
on, and once it has ended the result is there at once.`,
		Example: `  vicreg eval runs/photos --data labelled/
  vicreg eval runs/photos --data labelled/ --k 20,200 --json
  vicreg eval runs/photos --data labelled/ --confusion confusion.csv
  vicreg eval runs/photos --labels labels.csv      # of the run's own images
  vicreg eval runs/photos --labels leaf            # each folder is a class
  vicreg eval runs/photos --labels '{label}_{number}.jpg'
  vicreg eval runs/photos --data labelled/ --raw   # beside the pixels themselves
  vicreg eval runs/photos --data unseen/ --unlabelled   # is it any good, without labels
  vicreg eval runs/photos --data labelled/ --protocol released
  vicreg eval runs/photos --data VOC/ --labels voc.csv --multilabel
  vicreg eval runs/calls --retrieval               # R@1, R@5, R@10
  vicreg eval runs/calls --branch b --label caller`,
		Args: oneArg("run folder"),
	}
	var (
		o                 vicreg.EvalOptions
		retrieval, asJSON bool
		g                 guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	config.holdout()
	model := newModelFlags(flags)
	model.scoring()
	flags.BoolVar(&retrieval, "retrieval", false, "of a run on pairs: how often the partner is among the nearest, both ways")
	flags.BoolVar(&o.Raw, "raw", false, "score the values that the encoder reads as well: pixels, samples, mel bands")
	flags.IntSliceVar(&o.Ks, "k", []int{20}, "`neighbours` that vote, or several numbers of them, each scored, such as 20,200")
	flags.Lookup("k").DefValue = "20"
	flags.Float64Var(&o.Temperature, "temperature", 0.07, "`temperature` of the votes")
	model.whichBranch()
	config.machine()
	where := newDeviceFlag(flags)
	confusion := newConfusionFlag(flags, "the linear probe (or that of --protocol)")
	g.forcible(flags)
	others := asks()
	for i := range others {
		others[i].register(flags)
	}
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if k := slices.Min(o.Ks); k < 1 {
			return usagef("--k is %d, but must be at least 1", k)
		}
		if sorted := slices.Sorted(slices.Values(o.Ks)); len(slices.Compact(sorted)) < len(o.Ks) {
			return usagef("--k names a number of neighbours twice")
		}
		if !(o.Temperature > 0) || math.IsInf(o.Temperature, 0) {
			return usagef("--temperature is %v, but must be a number above 0", o.Temperature)
		}
		other, err := asked(others, flags)
		if err != nil {
			return err
		}
		if other != nil && retrieval {
			return usagef("--%s and --retrieval are different ways to score; give one", other.flag)
		}
		if other != nil || retrieval {
			for _, name := range ofProbes {
				if flags.Changed(name) && !(name == "confusion" && other != nil && other.counts) {
					return usagef("--%s is about neighbours and a linear probe, which are not asked for here; leave it out", name)
				}
			}
		}
		in, err := model.open(args[0], config)
		if err != nil {
			return err
		}
		vicreg.SetThreads(in.threads)
		o.Workers, o.Device = in.workers, where.name
		g.looks(args[0], in)
		if err := confusion.open(flags, &g); err != nil {
			return err
		}
		defer confusion.close()
		switch {
		case other != nil:
			return other.run(evaluation{args[0], flags, in, o, asJSON, confusion})
		case retrieval:
			return evalRetrieval(args[0], in.pairs, o, asJSON)
		case in.paired:
			o.Limit = in.pairs.Limit
			err := evalClasses(in.model.EvaluatePairs, in.pairs, "pairs", o, confusion, asJSON)
			if errors.Is(err, vicreg.ErrNoLabels) && !slices.ContainsFunc(ofScores, flags.Changed) {
				return evalRetrieval(args[0], in.pairs, o, asJSON)
			}
			return err
		default:
			o.Limit = in.images.Limit
			err := evalClasses(in.model.Evaluate, in.images, "images", o, confusion, asJSON)
			if errors.Is(err, vicreg.ErrNoLabels) && !slices.ContainsFunc(ofScores, flags.Changed) {
				return evalViews(args[0], in.model, in.images, o, false, asJSON) // of the run's own images
			}
			return err
		}
	}
	return cmd
}

// ofScores are the flags that ask for scores, or for data that should have labels.
var ofScores = append([]string{"data", "holdout", "pairs", "label", "split", "branch"}, ofProbes...)

// ofProbes are the flags of neighbours and the linear probe.
var ofProbes = []string{"raw", "k", "temperature", "confusion"}

// evalClasses prints the scores of an encoder on labelled data, which evaluate
// takes.
func evalClasses[D any](evaluate func(context.Context, D, vicreg.EvalOptions) (*vicreg.Scores, error), data D,
	what string, o vicreg.EvalOptions, confusion *confusionFlag, asJSON bool) error {
	s, err := counting(func(ctx context.Context, c *counter) (*vicreg.Scores, error) {
		o.Progress = c.describe
		return evaluate(ctx, data, o)
	})
	if err != nil {
		return err
	}
	notes, err := confusion.write(s.Probe)
	if err != nil {
		return err
	}
	s.Notes = append(s.Notes, notes...)
	return printScores(s, what, asJSON)
}

// evalRetrieval prints the retrieval of a run.
func evalRetrieval(folder string, data vicreg.PairData, o vicreg.EvalOptions, asJSON bool) error {
	found, err := counting(func(ctx context.Context, c *counter) (*vicreg.Retrieved, error) {
		o.Progress = c.describe
		return vicreg.Retrieve(ctx, folder, data, o)
	})
	if err != nil {
		return err
	}
	both := runlog.Retrieval{AToB: runlog.Recall(found.AToB), BToA: runlog.Recall(found.BToA)}
	if asJSON {
		return printJSON(map[string]any{"a_to_b": both.AToB, "b_to_a": both.BToA, "bad_images": len(found.Bad),
			"bad_image_list": append([]string{}, found.Bad...), "notes": append([]string{}, found.Notes...)})
	}
	writeNotes(stdout, found.Notes)
	writeBad(stdout, true, found.Bad)
	writeRetrieval(stdout, &both)
	return nil
}
