package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/dataset"
	"vicreg/internal/show"
)

// askMultilabel is eval --multilabel: images of several classes, a support vector machine a
// class.
func askMultilabel() ask {
	return ask{
		flag: "multilabel",
		bind: func(flags *pflag.FlagSet) {
			flags.Bool("multilabel", false, "the file of --labels gives an image several classes: fit a linear SVM a class, print mAP")
		},
		run: func(e evaluation) error {
			if e.in.paired {
				return usagef("--multilabel is about images, but this run was trained on pairs; leave it out")
			}
			if dataset.LabelFile(e.in.images.Labels) == "" {
				return usagef("--multilabel needs a file that says which classes each image has; name it, as in --labels voc.csv")
			}
			e.o.Limit = e.in.images.Limit
			s, err := counting(func(ctx context.Context, c *counter) (*vicreg.MultilabelScores, error) {
				e.o.Progress = c.describe
				return e.in.model.EvaluateMultilabel(ctx, e.in.images, e.o)
			})
			if err != nil {
				return err
			}
			return printMultilabel(s, e.json)
		},
	}
}

func printMultilabel(s *vicreg.MultilabelScores, asJSON bool) error {
	var unsettled []string
	for _, c := range s.ByClass {
		if !c.Settled {
			unsettled = append(unsettled, c.Name)
		}
	}
	if n := len(unsettled); n > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s not fitted to the end: %s", show.Plural(n, "machine was", "machines were"), show.Some(unsettled, 5)))
	}
	if n := len(s.LeftOut); n > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s left out of the means, without a score: %s", show.Plural(n, "class is", "classes are"), strings.Join(s.LeftOut[:min(n, 5)], "; ")))
	}
	if asJSON {
		classes := map[string]any{}
		for _, c := range s.ByClass {
			classes[show.Valid(c.Name)] = map[string]any{"ap": c.AP, "ap_11": c.AP11, "random_init_ap": c.RandomInitAP, "cost": c.Cost,
				"train": c.Train, "test": c.Test, "scored": c.Scored}
		}
		return printJSON(map[string]any{"dataset": s.Dataset, "train_images": s.Train, "test_images": s.Test,
			"map": s.MAP, "map_11": s.MAP11, "random_init_map": s.RandomInitMAP, "random_init_map_11": s.RandomInitMAP11,
			"by_class": classes, "left_out": append([]string{}, s.LeftOut...),
			"bad_images": len(s.Bad), "bad_image_list": append([]string{}, s.Bad...), "notes": append([]string{}, s.Notes...)})
	}
	writeNotes(stdout, s.Notes)
	writeBad(stdout, false, s.Bad)
	fmt.Fprintf(stdout, "%s: %d classes, an image may have several; fitted on %d images, scored on %d\n",
		show.Line(s.Dataset), len(s.ByClass), s.Train, s.Test)
	writeScoreRows(stdout, []scoreRow{{"mAP", &s.RandomInitMAP, &s.MAP}, {"mAP at 11 recalls", &s.RandomInitMAP11, &s.MAP11}})
	writeMachines(s.ByClass)
	return nil
}

// writeMachines writes a row for each class, of very many those of the least and the
// greatest precision.
func writeMachines(classes []vicreg.ClassPrecision) {
	const most, ends = 100, 10
	omitted := 0
	if len(classes) > most {
		omitted = len(classes) - 2*ends
		classes = slices.Clone(classes)
		slices.SortStableFunc(classes, func(a, b vicreg.ClassPrecision) int {
			switch {
			case a.AP < b.AP:
				return -1
			case a.AP > b.AP:
				return 1
			}
			return 0
		})
		classes = append(classes[:ends], classes[len(classes)-ends:]...)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "class\tAP\tat 11\tuntrained\tC\tfitted on\tfound in\t")
	for i, c := range classes {
		if omitted > 0 && i == ends {
			fmt.Fprintf(w, "(%d more)\t\t\t\t\t\t\t\n", omitted)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%g\t%d\t%d of %d\t\n", show.Name(c.Name), percent(&c.AP), percent(&c.AP11),
			percent(&c.RandomInitAP), c.Cost, c.Train, c.Test, c.Scored)
	}
	w.Flush()
}
