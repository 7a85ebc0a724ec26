package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"vicreg"
	"vicreg/internal/show"
)

// printScores prints the scores of an encoder on some images or pairs.
func printScores(s *vicreg.Scores, what string, asJSON bool) error {
	if asJSON {
		byK := map[string]map[string]any{}
		for _, n := range s.Neighbours {
			byK[strconv.Itoa(n.K)] = map[string]any{"trained": topsOf(n.Trained), "random_init": topsOf(n.Untrained)}
		}
		all := map[string]any{
			"dataset": s.Dataset, "train_images": s.Train, "test_images": s.Test, "classes": s.Classes,
			"knn": s.KNN, "linear": s.Linear, "random_init_knn": s.RandomInitKNN, "random_init_linear": s.RandomInitLinear,
			"knn_by_k": byK, "linear_top5": s.Probe.Top5, "random_init_linear_top5": s.RandomInitProbe.Top5,
			"linear_by_class": classesOf(s.Probe), "knn_by_class": classesOf(s.Neighbours[0].Trained),
			"class_counts": countsOf(s.ByClass), "below_untrained": nil,
			"bad_images": len(s.Bad), "bad_image_list": append([]string{}, s.Bad...), "notes": append([]string{}, s.Notes...),
		}
		if s.Below != "" {
			all["below_untrained"] = s.Below
		}
		if s.Raw != nil {
			all["raw_knn"], all["raw_linear"] = s.Raw.KNN, s.Raw.Linear
			for i, n := range s.Neighbours {
				byK[strconv.Itoa(n.K)]["raw"] = topsOf(s.Raw.Votes[i])
			}
		}
		return printJSON(all)
	}
	writeNotes(stdout, s.Notes)
	writeBad(stdout, what == "pairs", s.Bad)
	fmt.Fprintf(stdout, "%s: %d classes, fitted on %d %s, scored on %d\n", s.Dataset, s.Classes, s.Train, what, s.Test)
	fmt.Fprintf(stdout, "%s\n", describeClasses(s.ByClass))
	writeTops(stdout, s)
	if s.Raw != nil {
		kinds := ""
		for i, n := range s.Neighbours {
			kinds += fmt.Sprintf("%s %s, ", nameOfVotes(s, n.K), percent(&s.Raw.Votes[i].Top1))
		}
		fmt.Fprintf(stdout, "The input values themselves: %slinear probe %s\n", kinds, percent(&s.Raw.Linear))
	}
	writeClasses(stdout, "Linear probe", s.Probe)
	if s.Below != "" {
		writeWarning(stdout, s.Below)
	}
	return nil
}

// countsOf are the classes as JSON has them.
func countsOf(classes []vicreg.ClassCount) map[string]any {
	all := map[string]any{}
	for _, c := range classes {
		all[show.Valid(c.Name)] = map[string]int{"train": c.Train, "test": c.Test}
	}
	return all
}

// describeClasses says how many there are of each class, the largest first.
func describeClasses(classes []vicreg.ClassCount) string {
	const most = 20
	classes = slices.Clone(classes)
	slices.SortStableFunc(classes, func(a, b vicreg.ClassCount) int { return b.Train + b.Test - a.Train - a.Test })
	var words []string
	for _, c := range classes[:min(most, len(classes))] {
		words = append(words, fmt.Sprintf("%s %d", show.Name(c.Name), c.Train+c.Test))
	}
	s := "Classes: " + strings.Join(words, ", ")
	if more := len(classes) - most; more > 0 {
		first, last := classes[most], classes[len(classes)-1]
		s += fmt.Sprintf(" and %d more of %d", more, last.Train+last.Test)
		if n := first.Train + first.Test; n > last.Train+last.Test {
			s += fmt.Sprintf(" to %d", n)
		}
	}
	return s
}

// topsOf are the shares that are right as JSON has them.
func topsOf(o vicreg.Outcome) map[string]any { return map[string]any{"top1": o.Top1, "top5": o.Top5} }

// nameOfVotes is what people call the votes of k neighbours.
func nameOfVotes(s *vicreg.Scores, k int) string {
	if len(s.Neighbours) == 1 {
		return "kNN"
	}
	return fmt.Sprintf("%d-NN", k)
}

// writeTops writes the shares that are right, of the trained encoder and the untrained.
func writeTops(out io.Writer, s *vicreg.Scores) {
	var rows []scoreRow
	add := func(name string, untrained, trained vicreg.Outcome) {
		rows = append(rows, scoreRow{name, &untrained.Top1, &trained.Top1})
		if trained.Top5 != nil {
			rows = append(rows, scoreRow{"top-5", untrained.Top5, trained.Top5})
		}
	}
	for _, n := range s.Neighbours {
		add(nameOfVotes(s, n.K), n.Untrained, n.Trained)
	}
	add("linear probe", s.RandomInitProbe, s.Probe)
	writeScoreRows(out, rows)
}
