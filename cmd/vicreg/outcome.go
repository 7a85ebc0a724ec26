package main

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

const (
	confusionHead = `class \ predicted` // the corner of a matrix
	otherClass    = "(not fitted on)"   // a row of classes without a name
	mostSquare    = 2000                // classes of a matrix that is written whole
)

// confusionList are the columns of a matrix of more classes than mostSquare.
var confusionList = []string{"class", "predicted", "count"}

// confusionFlag is a file for a confusion matrix.
type confusionFlag struct {
	path string
	file *durable.File
}

// newConfusionFlag registers --confusion; of says of which classifier the matrix is.
func newConfusionFlag(flags *pflag.FlagSet, of string) *confusionFlag {
	f := new(confusionFlag)
	flags.StringVar(&f.path, "confusion", "", "CSV `file` to write: how many items of each class (a row) "+of+" took for each class (a column)")
	return f
}

// open begins to write, if the flag was given: before the work, so that a place where
// nothing can be written is found then. It is to be closed.
func (f *confusionFlag) open(flags *pflag.FlagSet, g *guard) error {
	if !flags.Changed("confusion") {
		return nil
	}
	path, err := g.output("--confusion", f.path, confusionMatrix)
	if err != nil {
		return err
	}
	if f.file, err = durable.Create(path); err != nil {
		return fmt.Errorf("--confusion %s cannot be written: %w", path, err)
	}
	return nil
}

func (f *confusionFlag) close() {
	if f.file != nil {
		f.file.Discard()
	}
}

// write puts the matrix in place, if it was asked for, and returns a note if it is in
// another form than usual.
func (f *confusionFlag) write(o vicreg.Outcome) (notes []string, err error) {
	if f.file == nil {
		return nil, nil
	}
	if n := len(o.Classes); n > mostSquare {
		notes = append(notes, fmt.Sprintf("%s: %d classes are too many for a square of columns; it has a row for each pair of class and predicted class that occurs",
			show.Name(f.path), n))
	}
	w := bufio.NewWriter(f.file)
	if err = writeConfusion(w, o); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.file.Commit()
	}
	if err != nil {
		return nil, fmt.Errorf("--confusion %s cannot be written: %w", f.path, durable.Reason(err))
	}
	return notes, nil
}

// writeConfusion writes a matrix row by row, or as a list if the classes are many. Only
// one row is held at a time.
func writeConfusion(to io.Writer, o vicreg.Outcome) error {
	w := csv.NewWriter(to)
	column := make(map[int]int, len(o.Classes))
	names := make([]string, len(o.Classes))
	for i, c := range o.Classes {
		column[c.Class], names[i] = i, className(c)
	}
	name := func(class int) string {
		if i, ok := column[class]; ok {
			return names[i]
		}
		return otherClass
	}
	if len(names) > mostSquare {
		w.Write(confusionList) // errors stay and are told at the end
		for _, c := range o.Confusion {
			w.Write([]string{name(c.Class), name(c.Predicted), strconv.Itoa(c.Items)})
		}
		w.Flush()
		return w.Error()
	}
	w.Write(append([]string{confusionHead}, names...))
	row := make([]string, 1+len(names))
	var rest, others []vicreg.Confused // those of classes without a name are written last
	for _, c := range o.Confusion {
		if _, known := column[c.Class]; known {
			rest = append(rest, c)
		} else {
			others = append(others, c)
		}
	}
	write := func(class int) {
		row[0] = name(class)
		for i := range names {
			row[1+i] = "0"
		}
		for ; len(rest) > 0 && rest[0].Class == class; rest = rest[1:] {
			row[1+column[rest[0].Predicted]] = strconv.Itoa(rest[0].Items)
		}
		w.Write(row)
	}
	for _, c := range o.Classes {
		write(c.Class)
	}
	for rest = others; len(rest) > 0; {
		write(rest[0].Class)
	}
	w.Flush()
	return w.Error()
}

// outcomeOf is what a trained classifier got right, as a run's summary has it.
func outcomeOf(c *runlog.Classifier) vicreg.Outcome {
	o := vicreg.Outcome{Items: c.Scored, Top1: c.Top1, Top5: c.Top5}
	for i, class := range c.Classes {
		o.Classes = append(o.Classes, vicreg.ClassOutcome{Class: i, Name: class.Name, Items: class.Items,
			Right: class.Right, Right5: class.Right5, Fitted: true})
	}
	for _, at := range c.Confusion {
		o.Confusion = append(o.Confusion, vicreg.Confused{Class: at[0], Predicted: at[1], Items: at[2]})
	}
	return o
}

// className is a class for people.
func className(c vicreg.ClassOutcome) string { return cmp.Or(c.Name, strconv.Itoa(c.Class)) }

// isConfusion reports whether a file begins as a confusion matrix does.
func isConfusion(path string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64)
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(string(head[:n]), confusionHead+",") ||
		strings.HasPrefix(string(head[:n]), strings.Join(confusionList, ",")+"\n")
}

// writeClasses says which classes a classifier gets right least and most often.
func writeClasses(out io.Writer, what string, o vicreg.Outcome) {
	const worst, best = 5, 3
	all := slices.DeleteFunc(slices.Clone(o.Classes), func(c vicreg.ClassOutcome) bool { return c.Items == 0 })
	slices.SortStableFunc(all, func(a, b vicreg.ClassOutcome) int { return a.Right*b.Items - b.Right*a.Items })
	list := func(classes []vicreg.ClassOutcome) string {
		var words []string
		for _, c := range classes {
			share := float64(c.Right) / float64(c.Items)
			words = append(words, fmt.Sprintf("%s %s of %d", show.Name(className(c)), percent(&share), c.Items))
		}
		return strings.Join(words, ", ")
	}
	switch n := len(all); {
	case n < 2:
	case n <= worst+best:
		fmt.Fprintf(out, "%s by class, the worst first: %s\n", what, list(all))
	default:
		fmt.Fprintf(out, "%s by class, the worst of %d: %s; the best: %s\n", what, n, list(all[:worst]), list(all[n-best:]))
	}
}

// classesOf are the outcomes of the classes as JSON has them.
func classesOf(o vicreg.Outcome) map[string]any {
	all := map[string]any{}
	for _, c := range o.Classes {
		all[show.Valid(className(c))] = map[string]any{"items": c.Items, "right": c.Right, "right5": c.Right5, "accuracy": shareOf(c.Right, c.Items)}
	}
	return all
}

// shareOf is a share, nil of nothing.
func shareOf(n, of int) *float64 {
	if of == 0 {
		return nil
	}
	return new(float64(n) / float64(of))
}
