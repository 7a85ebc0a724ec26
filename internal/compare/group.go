package compare

import (
	"math"
	"slices"

	"gonum.org/v1/plot/plotter"
)

// Stat is the mean of a number over the runs of a group that have it, and their
// standard deviation (by n−1; 0 of one run).
type Stat struct {
	Mean, Deviation float64
	N               int
}

// Group is a run, or several that differ in their seed alone.
type Group struct {
	Name string
	Runs []Run

	KNN, Linear, UntrainedKNN, UntrainedLinear Stat // per cent
}

// Groups puts runs of the same name together, in the order of the first of each.
func Groups(runs []Run) []Group {
	at := map[string]int{}
	var groups []Group
	for _, r := range runs {
		i, ok := at[r.Name]
		if !ok {
			i = len(groups)
			at[r.Name] = i
			groups = append(groups, Group{Name: r.Name})
		}
		groups[i].Runs = append(groups[i].Runs, r)
	}
	for i := range groups {
		g := &groups[i]
		g.KNN = g.stat(func(r Run) *float64 { return r.Summary.KNN })
		g.Linear = g.stat(func(r Run) *float64 { return r.Summary.Linear })
		g.UntrainedKNN = g.stat(func(r Run) *float64 { return r.Summary.RandomInitKNN })
		g.UntrainedLinear = g.stat(func(r Run) *float64 { return r.Summary.RandomInitLinear })
	}
	return groups
}

// Stat returns the mean and deviation of a number, of those runs that have it.
func (g *Group) Stat(of func(Run) *float64) Stat {
	var values []float64
	for _, r := range g.Runs {
		if v := of(r); v != nil {
			values = append(values, *v)
		}
	}
	return NewStat(values)
}

// Embedded reports whether any of the runs has figures of embeddings.
func (g *Group) Embedded() bool {
	return slices.ContainsFunc(g.Runs, func(r Run) bool { return r.Summary.Embedded() })
}

// stat returns the mean and deviation of shares, in per cent.
func (g *Group) stat(of func(Run) *float64) Stat {
	var values []float64
	for _, r := range g.Runs {
		if v := of(r); v != nil {
			values = append(values, 100**v)
		}
	}
	return NewStat(values)
}

// NewStat returns the mean and deviation of values.
func NewStat(values []float64) Stat {
	s := Stat{N: len(values)}
	for _, v := range values {
		s.Mean += v / float64(s.N)
	}
	if s.N > 1 {
		sum := 0.0
		for _, v := range values {
			sum += (v - s.Mean) * (v - s.Mean)
		}
		s.Deviation = math.Sqrt(sum / float64(s.N-1))
	}
	return s
}

// knn returns the mean kNN score after each epoch that has one, the untrained
// encoder's at epoch 0, and the deviations.
func (g *Group) knn() (curve plotter.XYs, spread []float64) {
	add := func(epoch int, s Stat) {
		if s.N > 0 {
			curve = append(curve, plotter.XY{X: float64(epoch), Y: s.Mean})
			spread = append(spread, s.Deviation)
		}
	}
	scored := false
	last := 0
	values := map[int][]float64{}
	for _, r := range g.Runs {
		for _, e := range r.Epochs {
			if e.KNN != nil {
				values[e.Epoch] = append(values[e.Epoch], 100**e.KNN)
				last, scored = max(last, e.Epoch), true
			}
		}
	}
	if !scored {
		return nil, nil
	}
	add(0, g.UntrainedKNN)
	for epoch := 1; epoch <= last; epoch++ {
		add(epoch, NewStat(values[epoch]))
	}
	return curve, spread
}
