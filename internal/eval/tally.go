package eval

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// None and Outside are labels that are no class.
const (
	None    = -1 // the item has no label and is not counted
	Outside = -2 // its class is one that the classifier was not fitted on: it is wrong
)

// Tally counts what a classifier gets right, batch by batch. It keeps a count for each pair
// of classes that occurs, and so never more of them than items.
type Tally struct {
	fitted  int
	classes []ClassOutcome
	outside int
	cells   map[[2]int]int // items by class and by predicted class

	predicted, rank []int // of a batch
}

// Outcome is what a classifier got right.
type Outcome struct {
	Items   int            `json:"items"`   // that have a label
	Top1    float64        `json:"top1"`    // share whose class is ranked first
	Top5    *float64       `json:"top5"`    // among the first five; nil with 5 classes or fewer
	Outside int            `json:"outside"` // items of classes without a number that it was not fitted on; all wrong
	Classes []ClassOutcome `json:"classes"` // that it was fitted on, or that have items, in order

	// Confusion counts items by class and predicted class, in order, without pairs that
	// did not occur.
	Confusion []Confused `json:"-"`
}

// ClassOutcome is what a classifier got right of a class.
type ClassOutcome struct {
	Class  int    `json:"class"` // its number
	Name   string `json:"name,omitempty"`
	Items  int    `json:"items"`
	Right  int    `json:"right"`  // its class is ranked first
	Right5 int    `json:"right5"` // or among the first five
	Fitted bool   `json:"fitted"` // the classifier knows the class
}

// Confused counts items of a class that a classifier took for a class.
type Confused struct {
	Class     int `json:"class"` // Outside: one without a number
	Predicted int `json:"predicted"`
	Items     int `json:"items"`
}

// NewTally counts for a classifier of some classes.
func NewTally(classes int) *Tally {
	t := &Tally{fitted: classes, cells: map[[2]int]int{}}
	t.grow(classes)
	for i := range t.classes {
		t.classes[i].Fitted = true
	}
	return t
}

func (t *Tally) grow(classes int) {
	for i := len(t.classes); i < classes; i++ {
		t.classes = append(t.classes, ClassOutcome{Class: i})
	}
}

// Add counts a batch. scores are n × classes, the higher the likelier; -∞ is never taken.
// Of equal scores the earlier class ranks first. labels are classes, None or Outside; a
// number beyond the classes is one that the classifier was not fitted on.
func (t *Tally) Add(scores []float32, labels []int) {
	n, k := len(labels), t.fitted
	if len(scores) != n*k {
		panic(fmt.Sprintf("eval: %d scores of %d items and %d classes", len(scores), n, k))
	}
	t.predicted, t.rank = slices.Grow(t.predicted[:0], n)[:n], slices.Grow(t.rank[:0], n)[:n]
	rows(n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			t.predicted[i], t.rank[i] = place(scores[i*k:(i+1)*k], labels[i])
		}
	})
	for i, label := range labels {
		t.count(label, t.predicted[i], t.rank[i])
	}
}

// place returns the class of the greatest score and how many rank before a label; as many
// as there are if that is none of them.
func place(scores []float32, label int) (predicted, rank int) {
	for j, v := range scores {
		if v > scores[predicted] {
			predicted = j
		}
	}
	if label < 0 || label >= len(scores) || math.IsInf(float64(scores[label]), -1) {
		return predicted, len(scores)
	}
	own := scores[label]
	for j, v := range scores {
		if v > own || v == own && j < label {
			rank++
		}
	}
	return predicted, rank
}

// count adds an item for which a class was predicted and its own had a rank, counted from
// 0.
func (t *Tally) count(label, predicted, rank int) {
	switch {
	case label == None:
		return
	case label == Outside:
		t.outside++
	case label < 0:
		panic(fmt.Sprintf("eval: label %d", label))
	default:
		t.grow(label + 1)
		c := &t.classes[label]
		c.Items++
		if label == predicted {
			c.Right++
		}
		if label < t.fitted && rank < 5 {
			c.Right5++
		}
	}
	t.cells[[2]int{label, predicted}]++
}

// Outcome returns what was counted so far.
func (t *Tally) Outcome() Outcome {
	o := Outcome{Items: t.outside, Outside: t.outside}
	right, right5 := 0, 0
	for _, c := range t.classes {
		o.Items += c.Items
		right += c.Right
		right5 += c.Right5
		if c.Items > 0 || c.Fitted {
			o.Classes = append(o.Classes, c)
		}
	}
	of := float64(max(1, o.Items))
	o.Top1 = float64(right) / of
	if t.fitted > 5 {
		o.Top5 = new(float64(right5) / of)
	}
	for at, n := range t.cells {
		o.Confusion = append(o.Confusion, Confused{at[0], at[1], n})
	}
	slices.SortFunc(o.Confusion, func(a, b Confused) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Predicted, b.Predicted))
	})
	return o
}

// renumbered gives the classes other numbers.
func (o Outcome) renumbered(numbers []int) Outcome {
	o.Classes, o.Confusion = slices.Clone(o.Classes), slices.Clone(o.Confusion)
	for i := range o.Classes {
		o.Classes[i].Class = numbers[o.Classes[i].Class]
	}
	slices.SortFunc(o.Classes, func(a, b ClassOutcome) int { return cmp.Compare(a.Class, b.Class) })
	for i, c := range o.Confusion {
		if c.Class >= 0 {
			o.Confusion[i].Class = numbers[c.Class]
		}
		o.Confusion[i].Predicted = numbers[c.Predicted]
	}
	slices.SortFunc(o.Confusion, func(a, b Confused) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Predicted, b.Predicted))
	})
	return o
}

// Named returns o with the names of its classes.
func (o Outcome) Named(names []string) Outcome {
	o.Classes = slices.Clone(o.Classes)
	for i := range o.Classes {
		o.Classes[i].Name = names[o.Classes[i].Class]
	}
	return o
}
