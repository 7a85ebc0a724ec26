package loss

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Alone is a loss by itself, without a network: it is computed of two matrices that may
// come from anywhere. The file of each loss makes its own known. VICReg's is left out,
// as not all of its constants are numbers.
type Alone struct {
	Constants []Constant
	Scores    bool // the matrices are scores of prototypes, n × K
	Square    Square
	Shift     bool // the same number added to a column of both matrices changes nothing

	// Memory reckons how many values the loss holds beside the matrices and their
	// gradients. If it is nil, that is what variances and covariances take.
	Memory func(n, d float64, o Others) float64

	// Eval sets the gradients, terms and other results of g. An error says what is
	// wrong with what is given.
	Eval func(g *Given) error
}

// Constant is a constant of a loss that can be set.
type Constant struct {
	Name  string
	Value float64 // unless it is set
	Above float64 // it must be above this
	Equal bool    // or equal to it
	Whole bool    // it must be a whole number
	Most  float64 // it must not be above this; 0: no limit
}

// Square says whether a loss compares all rows, or all columns, with each other, so that
// its work grows with the square of their number.
type Square int

// What is compared with each other.
const (
	Nothing Square = iota
	Rows
	Columns
)

// Given is what a loss is computed of, and its results.
type Given struct {
	N, D   int
	Z      [2][]float32       // n × d
	DZ     [2][]float32       // their gradients, to be filled; nil unless they are wanted
	Set    map[string]float64 // all constants
	Others Others

	Terms []Term
	More  []Matrix // besides the gradients

	ws Workspace
}

// Term is a number of the result, or a word that says how it was computed.
type Term struct {
	Name  string
	Value any
}

// Matrix is n × d, with a name.
type Matrix struct {
	Name   string
	Values []float32
}

// Others are what a loss reads besides the two matrices.
type Others interface {
	Shape(name string) (shape []int, ok bool)
	Float32(name string) ([]float32, error)
	Int64(name string) ([]int64, error)
}

var alones = map[string]Alone{}

// alone makes a loss known by the name of its method.
func alone(method string, a Alone) { alones[method] = a }

// AloneOf returns the loss of a method by itself.
func AloneOf(method string) (a Alone, ok bool) {
	a, ok = alones[method]
	return a, ok
}

// AloneNames returns the methods that AloneOf knows.
func AloneNames() []string { return slices.Sorted(maps.Keys(alones)) }

// Scratch reckons how many values the loss of n × d matrices holds beside them and
// their gradients.
func (a *Alone) Scratch(n, d int, o Others) float64 {
	rows, width := float64(n), float64(d)
	if a.Memory != nil {
		return a.Memory(rows, width, o)
	}
	least := min(rows, width)
	return 6*rows*width + 2*least*min(least, 4096)
}

// mostRounds is the most iterations of any kind.
const mostRounds = 10_000

// stopGradient is whether the second matrix counts as a constant: 1 or 0.
var stopGradient = Constant{Name: "stop-gradient", Value: 1, Equal: true, Whole: true, Most: 1}

func temperature(value float64) Constant { return Constant{Name: "temperature", Value: value} }

// target returns the gradient of the second matrix, nil where it counts as a
// constant.
func (g *Given) target() []float32 {
	if g.Set["stop-gradient"] != 0 {
		return nil
	}
	return g.DZ[1]
}

// gradients returns those of both matrices, nil if they are not wanted.
func (g *Given) gradients() [][]float32 {
	if g.DZ[0] == nil {
		return nil
	}
	return g.DZ[:]
}

func (g *Given) contrast(t ContrastTerms) {
	g.Terms = []Term{{"accuracy", t.Accuracy}, {"positive", t.Positive}, {"total", t.Total}}
}

func (g *Given) cosine(t CosineTerms) {
	g.Terms = []Term{{"cosine", t.Cosine}, {"total", t.Total}}
}

// matrix returns the shape of one of the others, which must be a matrix.
func (g *Given) matrix(name, what string) ([]int, error) {
	shape, ok := g.Others.Shape(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("it has no tensor %s: %s", name, what)
	case len(shape) != 2:
		return nil, fmt.Errorf("%s has shape %v, but must be a matrix: %s", name, shape, what)
	}
	return shape, nil
}

// values returns one of the others, which must be finite.
func (g *Given) values(name string) ([]float32, error) {
	x, err := g.Others.Float32(name)
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		if v != v || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%s holds %v in place %d (from 0), but must be finite", name, v, i)
		}
	}
	return x, nil
}
