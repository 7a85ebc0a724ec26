package eval

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// What a set of images with several labels says of an image and a class.
const (
	Absent    int8 = 0
	Present   int8 = 1
	Difficult int8 = -1 // absent for training, and not scored, as VISSL has it
	Unknown   int8 = -2 // neither trained on nor scored
)

// Marked is the features of images of which each may be of several classes.
type Marked struct {
	X     []float32 // n × D
	D     int
	Marks []int8 // n × classes
}

// Costs are those that are tried, as in VISSL's benchmark of ResNets on VOC07
// (configs/config/benchmark/linear_image_classification/voc07/eval_resnet_8gpu_transfer_voc07_svm.yaml).
var Costs = []float64{0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000}

// Machines are the scores of a support vector machine a class.
type Machines struct {
	MAP     float64         `json:"map"`    // mean of AP
	MAP11   float64         `json:"map_11"` // mean of AP11
	Classes []ClassMachine  `json:"classes"`
	Left    []UnscoredClass `json:"left_out"`
}

// ClassMachine is the score of a class.
type ClassMachine struct {
	Class    int     `json:"class"` // its number
	Name     string  `json:"name"`
	AP       float64 `json:"ap"`       // area under the interpolated curve of precision over recall
	AP11     float64 `json:"ap_11"`    // mean of that curve at the recalls 0, 0.1 … 1
	Cost     float64 `json:"cost"`     // that was chosen
	Chosen   float64 `json:"cross_ap"` // average precision of cross-validation with it; 0: there was none
	Train    int     `json:"train"`    // images that have the class
	Test     int     `json:"test"`     // images that have it, of those scored
	Scored   int     `json:"scored"`
	Settled  bool    `json:"settled"` // the minimum was found
	decision []float64
}

// UnscoredClass is one that has no score.
type UnscoredClass struct {
	Class int    `json:"class"`
	Name  string `json:"name"`
	Why   string `json:"why"`
}

const folds = 3

// Fit fits a linear support vector machine a class and scores it, as VISSL does on VOC07
// (vissl/utils/svm_utils/svm_trainer.py): features divided by their length + 1e-5, squared
// hinge, images that have the class count twice, the cost of each class out of [Costs] by
// the mean average precision of cross-validation in three folds. When ctx ends it returns
// ctx's error within a second.
func Fit(ctx context.Context, train, test Marked, classes int, o Options) (Machines, error) {
	o = o.filled()
	var out Machines
	for what, s := range map[string]Marked{"training": train, "test": test} {
		if s.D < 1 || len(s.X)%s.D != 0 || len(s.Marks) != len(s.X)/s.D*classes || s.D != train.D {
			panic(fmt.Sprintf("eval: %s set of %d marks of %d classes, %d values, %d features", what, len(s.Marks), classes, len(s.X), s.D))
		}
	}
	count := func(s Marked, k int) (present, absent, difficult int) {
		for i := k; i < len(s.Marks); i += classes {
			switch s.Marks[i] {
			case Present:
				present++
			case Absent:
				absent++
			case Difficult:
				difficult++
			}
		}
		return present, absent, difficult
	}
	var kept []int
	for k := range classes {
		present, absent, difficult := count(train, k)
		scored, _, _ := count(test, k)
		why := ""
		switch {
		case present == 0:
			why = "no image to train on has it"
		case absent+difficult == 0:
			why = "every image to train on has it"
		case scored == 0:
			why = "no image to score on has it"
		}
		if why != "" {
			out.Left = append(out.Left, UnscoredClass{Class: k, Why: why})
			continue
		}
		kept = append(kept, k)
	}
	if len(kept) == 0 {
		return out, fmt.Errorf("no class can be scored: of the first, %s", out.Left[0].Why)
	}
	m := newMachines(ctx, train, kept, classes)
	best, at := m.choose(train, kept, classes, o)
	if err := ctx.Err(); err != nil {
		return out, err
	}
	o.Progress("support vector machines: the chosen costs", 0, 1)
	m.weigh(func(a, i int) float64 { return Costs[best[a]] })
	w := make([]float64, m.k*m.e)
	settled := m.fit(w, 1e-6, true)
	held := newMachines(ctx, test, kept, classes)
	decisions := held.values(w, nil, true)
	if err := ctx.Err(); err != nil {
		return out, err
	}
	for a, k := range kept {
		c := ClassMachine{Class: k, Cost: Costs[best[a]], Chosen: at[a], Settled: settled[a]}
		c.Train, _, _ = count(train, k)
		var scores []float64
		var present []bool
		for i := range held.n {
			c.decision = append(c.decision, decisions[i*m.k+a])
			if mark := test.Marks[i*classes+k]; mark >= 0 {
				scores, present = append(scores, decisions[i*m.k+a]), append(present, mark == Present)
				c.Test += int(mark)
			}
		}
		c.Scored = len(scores)
		c.AP, c.AP11 = interpolated(scores, present)
		out.MAP += c.AP / float64(len(kept))
		out.MAP11 += c.AP11 / float64(len(kept))
		out.Classes = append(out.Classes, c)
	}
	return out, nil
}

// newMachines prepares machines of some of the classes, on normalised features.
func newMachines(ctx context.Context, s Marked, kept []int, classes int) *machines {
	n, d := len(s.X)/s.D, s.D
	m := &machines{n: n, e: d + 1, k: len(kept), ctx: ctx}
	m.x, m.y, m.c = make([]float32, n*m.e), make([]int8, n*m.k), make([]float64, n*m.k)
	rows(n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			var sum float64
			from, to := s.X[i*d:(i+1)*d], m.x[i*m.e:(i+1)*m.e]
			for _, v := range from {
				sum += float64(v) * float64(v)
			}
			inv := 1 / (math.Sqrt(sum) + 1e-5)
			for j, v := range from {
				to[j] = float32(float64(v) * inv)
			}
			to[d] = 1
			for a, k := range kept {
				m.y[i*m.k+a] = map[bool]int8{true: 1, false: -1}[s.Marks[i*classes+k] == Present]
				if s.Marks[i*classes+k] == Unknown {
					m.y[i*m.k+a] = 0
				}
			}
		}
	})
	return m
}

// weigh gives each image its cost for each class; images that have the class cost twice.
func (m *machines) weigh(cost func(a, i int) float64) {
	for i := range m.n {
		for a := range m.k {
			c := cost(a, i)
			switch m.y[i*m.k+a] {
			case 1:
				c *= 2
			case 0:
				c = 0
			}
			m.c[i*m.k+a] = c
		}
	}
}

// choose returns for each class the index of the cost of the greatest mean average
// precision over the folds, and that precision. Of equal ones it is the first. A class of
// which fewer than two images can be trained on has cost 1.
func (m *machines) choose(train Marked, kept []int, classes int, o Options) (best []int, at []float64) {
	fold := make([]int8, m.n*m.k) // of each image and class; -1: none
	for a := range kept {
		m.split(fold, a)
	}
	sum, counted := make([]float64, m.k*len(Costs)), make([]int, m.k)
	for f := range folds {
		usable := make([]bool, m.k)
		for a := range m.k {
			in := map[[2]bool]bool{} // has the class, is held out
			for i := range m.n {
				if fold[i*m.k+a] >= 0 {
					in[[2]bool{m.y[i*m.k+a] > 0, int(fold[i*m.k+a]) == f}] = true
				}
			}
			if usable[a] = in[[2]bool{true, false}] && in[[2]bool{false, false}] && in[[2]bool{true, true}]; usable[a] {
				counted[a]++
			}
		}
		w := make([]float64, m.k*m.e)
		for c, cost := range Costs { // each goes on from the one before
			if m.ctx.Err() != nil {
				return nil, nil
			}
			o.Progress("support vector machines: cross-validation", f*len(Costs)+c, folds*len(Costs))
			m.weigh(func(a, i int) float64 {
				if !usable[a] || int(fold[i*m.k+a]) == f {
					return 0
				}
				return cost
			})
			m.fit(w, 1e-4, false)
			decisions := m.values(w, nil, false)
			rows(m.k, func(lo, hi int) {
				for a := lo; a < hi; a++ {
					if usable[a] {
						sum[a*len(Costs)+c] += m.precision(decisions, fold, a, f)
					}
				}
			})
		}
	}
	best, at = make([]int, m.k), make([]float64, m.k)
	for a := range m.k {
		best[a] = slices.Index(Costs, 1)
		if counted[a] > 0 {
			of := sum[a*len(Costs) : (a+1)*len(Costs)]
			best[a] = slices.Index(of, slices.Max(of))
			at[a] = of[best[a]] / float64(counted[a])
		}
	}
	return best, at
}

// precision is the average precision of a class on the images of a fold.
func (m *machines) precision(decisions []float64, fold []int8, a, f int) float64 {
	var scores []float64
	var present []bool
	for i := range m.n {
		if int(fold[i*m.k+a]) == f {
			scores, present = append(scores, decisions[i*m.k+a]), append(present, m.y[i*m.k+a] > 0)
		}
	}
	return averagePrecision(scores, present)
}

// split puts the images into folds for class a as scikit-learn's StratifiedKFold does without
// shuffling: the images with the class and those without are cut into runs, so that each fold
// has as many of either as it would have if the sorted list were dealt out.
func (m *machines) split(fold []int8, a int) {
	var label []int8 // of the images that count, 0: as the first of them
	var first int8
	for i := range m.n {
		fold[i*m.k+a] = -1
		if y := m.y[i*m.k+a]; y != 0 {
			if first == 0 {
				first = y
			}
			label = append(label, map[bool]int8{false: 1}[y == first])
		}
	}
	sorted := slices.Sorted(slices.Values(label))
	var size [folds][2]int
	for i, l := range sorted {
		size[i%folds][l]++
	}
	var next [2]int
	for i := range m.n {
		y := m.y[i*m.k+a]
		if y == 0 {
			continue
		}
		l := 0
		if y != first {
			l = 1
		}
		for size[next[l]][l] == 0 {
			next[l]++
		}
		size[next[l]][l]--
		fold[i*m.k+a] = int8(next[l])
	}
}
