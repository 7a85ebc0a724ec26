package loss

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// rivalCase is a loss of some inputs, which fills as many gradients.
type rivalCase struct {
	name  string
	x, dx [][]float32
	eval  func(ws *Workspace) float64
	exact bool // the loss is float64 inside
}

// rivalCases builds every loss besides VICReg's for n embeddings of d dimensions
// and k prototypes.
func rivalCases(n, d, k int) []rivalCase {
	seed := uint64(0)
	random := func(rows, cols int) []float32 {
		seed++
		return check.Random(seed, rows*cols)
	}
	unit := func(rows int) []float32 {
		return slices.Clone(new(Units).Forward(random(rows, d), rows, d))
	}
	room := func(x [][]float32) (dx [][]float32) {
		for _, v := range x {
			dx = append(dx, make([]float32, len(v)))
		}
		return dx
	}
	var cases []rivalCase
	add := func(name string, exact bool, x [][]float32, eval func(ws *Workspace, x, dx [][]float32) float64) {
		dx := room(x)
		cases = append(cases, rivalCase{name, x, dx, func(ws *Workspace) float64 { return eval(ws, x, dx) }, exact})
	}
	two := func() [][]float32 { return [][]float32{random(n, d), random(n, d)} }
	four := func() [][]float32 { return append(two(), two()...) }

	add("SimCLR", false, two(), func(ws *Workspace, x, dx [][]float32) float64 {
		return SimCLR{0.3}.Eval(ws, x[0], x[1], n, d, dx[0], dx[1]).Total
	})
	queues := [2][]float32{unit(37), unit(5)}
	add("MoCo", false, four(), func(ws *Workspace, x, dx [][]float32) float64 {
		return MoCo{0.3}.Eval(ws, x[0], x[1], x[2], x[3], queues[0], queues[1], n, d, dx[0], dx[1], dx[2], dx[3]).Total
	})
	add("MoCo v3", false, four(), func(ws *Workspace, x, dx [][]float32) float64 {
		return MoCoV3{0.3}.Eval(ws, x[0], x[1], x[2], x[3], n, d, dx[0], dx[1], dx[2], dx[3]).Total
	})
	add("BYOL", true, four(), func(ws *Workspace, x, dx [][]float32) float64 {
		return BYOL{}.Eval(ws, x[0], x[1], x[2], x[3], n, d, dx[0], dx[1], dx[2], dx[3]).Total
	})
	add("SimSiam", true, four(), func(ws *Workspace, x, dx [][]float32) float64 {
		return SimSiam{}.Eval(ws, x[0], x[1], x[2], x[3], n, d, dx[0], dx[1], dx[2], dx[3]).Total
	})
	for _, by := range routes {
		add(fmt.Sprintf("Barlow Twins, route %d", by), false, two(), func(ws *Workspace, x, dx [][]float32) float64 {
			return BarlowTwins{0.3, 0.7, 1e-5}.eval(ws, x[0], x[1], n, d, dx[0], dx[1], by).Total
		})
	}
	scores := [][]float32{random(n, k), random(n, k), random(n, k), random(n, k)}
	var q [2][]float32
	for i := range q {
		q[i] = make([]float32, n*k)
		NewSwAV().Assign(new(Workspace), q[i], scores[i], random(9, k), n, k)
	}
	add("SwAV of four views", false, scores, func(ws *Workspace, x, dx [][]float32) float64 {
		return SwAV{0.3, 0.05, 3}.EvalAssigned(ws, x, q, n, k, dx).Total
	})
	labels := [2][]int32{make([]int32, n), make([]int32, n)}
	for i := range n {
		labels[0][i], labels[1][i] = int32(i%k), int32((i*3+1)%(k+3))
	}
	labels[0][0] = -100
	add("DeepCluster of two heads", false, [][]float32{random(n, k), random(n, k), random(n, k+3), random(n, k+3)},
		func(ws *Workspace, x, dx [][]float32) float64 {
			return DeepCluster{0.3}.Eval(ws, []Head{{k, x[:2], labels[0], dx[:2]}, {k + 3, x[2:], labels[1], dx[2:]}},
				n).Total
		})
	if n%2 == 0 && n/2 > d {
		add("W-MSE of three views", true, append(two(), random(n, d)), func(ws *Workspace, x, dx [][]float32) float64 {
			t, err := WMSE{n / 2, 2, 0.01}.Eval(ws, rng.New(4), x, n, d, dx)
			if err != nil {
				panic(err)
			}
			return t.Total
		})
	}
	add("regularizer", false, two(), func(ws *Workspace, x, dx [][]float32) float64 {
		for _, g := range dx {
			clear(g)
		}
		return Regularizer{2, 3, 1.4, 1e-4, Released}.Eval(ws, x[0], x[1], n, d, dx[0], dx[1]).Total
	})
	weight := random(k, d)
	toScores := random(n, k)
	add("unit rows and scores", false, [][]float32{random(n, d), weight}, func(_ *Workspace, x, dx [][]float32) float64 {
		var u Units
		s, du := make([]float32, n*k), make([]float32, n*d)
		Score(s, u.Forward(x[0], n, d), x[1], n, d, k)
		sum := 0.0
		for i, v := range s {
			sum += float64(v) * float64(toScores[i])
		}
		clear(dx[1])
		ScoreGrad(du, dx[1], toScores, u.Data, x[1], n, d, k)
		u.Backward(dx[0], du)
		return sum
	})
	return cases
}

func TestRivalDifferences(t *testing.T) {
	for _, s := range [][3]int{{12, 5, 4}, {2, 3, 2}, {7, 18, 33}} {
		for _, c := range rivalCases(s[0], s[1], s[2]) {
			var ws Workspace
			c.eval(&ws)
			grads := make([][]float32, len(c.dx))
			for i := range grads {
				grads[i] = slices.Clone(c.dx[i])
			}
			eps, tol := 4e-3, 2e-3
			if c.exact {
				eps, tol = 1e-3, 2e-4
			}
			for i := range c.x {
				what := fmt.Sprintf("%s, %d × %d, input %d", c.name, s[0], s[1], i)
				if s[0] == 2 && strings.HasPrefix(c.name, "Barlow") {
					continue // all dimensions are ±1 then, and the gradient only what ε leaves of it
				}
				check.Derivative(t, what, c.x[i], grads[i], func() float64 { return c.eval(&ws) }, eps, tol)
			}
		}
	}
}

// Shapes with ragged ends, and many workers.
func TestRivalsSameBitsForAnyWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	for _, s := range [][3]int{{70, 33, 300}, {300, 130, 40}} {
		cases := rivalCases(s[0], s[1], s[2])
		for _, c := range cases {
			var want float64
			var grads [][]float32
			for workers := 1; workers <= 3; workers++ {
				parallel.SetWorkers(workers)
				got := c.eval(new(Workspace))
				if workers == 1 {
					want = got
					for _, g := range c.dx {
						grads = append(grads, slices.Clone(g))
					}
				}
				if got != want {
					t.Errorf("%s: %d workers give %v, 1 gives %v", c.name, workers, got, want)
				}
				for i, g := range c.dx {
					if !slices.Equal(g, grads[i]) {
						t.Errorf("%s: %d workers give another gradient %d than 1", c.name, workers, i)
					}
				}
			}
			if math.IsNaN(want) {
				t.Errorf("%s is NaN", c.name)
			}
		}
	}
}

func TestRivalsAllocateNothing(t *testing.T) {
	parallel.SetWorkers(1)
	defer parallel.SetWorkers(0)
	const n, d, k = 64, 20, 30
	x := rivalCases(n, d, k)[1].x // four embeddings
	dx := [4][]float32{}
	for i := range dx {
		dx[i] = make([]float32, n*d)
	}
	queue := new(Units).Forward(check.Random(9, 128*d), 128, d)
	scores, dscores := [][]float32{check.Random(1, n*k), check.Random(2, n*k), check.Random(3, n*k)},
		[][]float32{make([]float32, n*k), make([]float32, n*k), make([]float32, n*k)}
	older := [2][]float32{check.Random(4, 100*k), check.Random(5, 100*k)}
	heads := []Head{{k, scores, make([]int32, n), dscores}}
	r := rng.New(1)
	var ws Workspace
	for name, f := range map[string]func(){
		"SimCLR":       func() { NewSimCLR().Eval(&ws, x[0], x[1], n, d, dx[0], dx[1]) },
		"MoCo":         func() { NewMoCo().Eval(&ws, x[0], x[1], x[2], x[3], queue, queue, n, d, dx[0], dx[1], nil, nil) },
		"MoCo v3":      func() { NewMoCoV3().Eval(&ws, x[0], x[1], x[2], x[3], n, d, dx[0], dx[1], nil, nil) },
		"BYOL":         func() { BYOL{}.Eval(&ws, x[0], x[1], x[2], x[3], n, d, dx[0], dx[1], nil, nil) },
		"SimSiam":      func() { SimSiam{}.Eval(&ws, x[0], x[1], x[2], x[3], n, d, dx[0], dx[1], dx[2], dx[3]) },
		"Barlow Twins": func() { NewBarlowTwins().Eval(&ws, x[0], x[1], n, d, dx[0], dx[1]) },
		"SwAV":         func() { NewSwAV().Eval(&ws, scores, older, n, k, dscores) },
		"DeepCluster":  func() { NewDeepCluster().Eval(&ws, heads, n) },
		"W-MSE":        func() { WMSE{Iterations: 1}.Eval(&ws, r, x[:2], n, d, dx[:2]) },
		"regularizer":  func() { Regularizer{1, 1, 1, 1e-4, Released}.Eval(&ws, x[0], x[1], n, d, dx[0], dx[1]) },
	} {
		if got := testing.AllocsPerRun(4, f); got > 0 {
			t.Errorf("%s: %v allocations per call", name, got)
		}
	}
}

// Embeddings that are all alike, or all zero, or of great size.
func TestRivalsOfCollapsedEmbeddings(t *testing.T) {
	const n, d, k = 12, 5, 4
	for name, value := range map[string]func(i int) float32{
		"zero":  func(int) float32 { return 0 },
		"alike": func(i int) float32 { return float32(i%d+1) * 0.3 },
		"large": func(i int) float32 { return float32(i%7-3) * 1e6 },
	} {
		for _, c := range rivalCases(n, d, k) {
			if c.name == "W-MSE of three views" && name == "large" {
				continue // an error: dimensions that depend on each other, beside which ε is rounding
			}
			for _, x := range c.x {
				for i := range x {
					x[i] = value(i)
				}
			}
			got := c.eval(new(Workspace))
			if math.IsNaN(got) || math.IsInf(got, 0) {
				t.Errorf("%s, %s: loss %v", c.name, name, got)
			}
			for i, dx := range c.dx {
				for _, g := range dx {
					if math.IsNaN(float64(g)) || math.IsInf(float64(g), 0) {
						t.Fatalf("%s, %s: gradient %d holds %v", c.name, name, i, g)
					}
				}
			}
		}
	}
}

// A NaN among the embeddings must show in the loss.
func TestRivalsPassNaNOn(t *testing.T) {
	for _, c := range rivalCases(12, 5, 4) {
		if c.name == "W-MSE of three views" {
			continue // an error, see TestSingular
		}
		c.x[0][7] = float32(math.NaN())
		if got := c.eval(new(Workspace)); !math.IsNaN(got) {
			t.Errorf("%s is %v with a NaN in its first input", c.name, got)
		}
	}
}

func BenchmarkRivals(b *testing.B) {
	unit := func(rows, cols int) []float32 { return new(Units).Forward(check.Random(1, rows*cols), rows, cols) }
	var ws Workspace
	run := func(name string, n, d int, eval func(x, dx [2][]float32)) {
		b.Run(fmt.Sprintf("%s/n=%d/d=%d", name, n, d), func(b *testing.B) {
			x := [2][]float32{check.Random(2, n*d), check.Random(3, n*d)}
			dx := [2][]float32{make([]float32, n*d), make([]float32, n*d)}
			eval(x, dx)
			for b.Loop() {
				eval(x, dx)
			}
		})
	}
	run("simclr", 256, 256, func(x, dx [2][]float32) { NewSimCLR().Eval(&ws, x[0], x[1], 256, 256, dx[0], dx[1]) })
	run("simclr", 2048, 128, func(x, dx [2][]float32) { NewSimCLR().Eval(&ws, x[0], x[1], 2048, 128, dx[0], dx[1]) })
	queue := unit(65536, 256)
	run("moco-65536", 256, 256, func(x, dx [2][]float32) { NewMoCo().Pair(&ws, x[0], x[1], queue, 256, 256, dx[0], nil) })
	run("moco-v3", 1024, 256, func(x, dx [2][]float32) {
		NewMoCoV3().Eval(&ws, x[0], x[1], x[0], x[1], 1024, 256, dx[0], dx[1], nil, nil)
	})
	run("byol", 256, 256, func(x, dx [2][]float32) {
		BYOL{}.Eval(&ws, x[0], x[1], x[0], x[1], 256, 256, dx[0], dx[1], nil, nil)
	})
	run("barlow", 256, 2048, func(x, dx [2][]float32) { NewBarlowTwins().Eval(&ws, x[0], x[1], 256, 2048, dx[0], dx[1]) })
	run("barlow", 256, 8192, func(x, dx [2][]float32) { NewBarlowTwins().Eval(&ws, x[0], x[1], 256, 8192, dx[0], dx[1]) })
	run("barlow", 2048, 512, func(x, dx [2][]float32) { NewBarlowTwins().Eval(&ws, x[0], x[1], 2048, 512, dx[0], dx[1]) })
	older := [2][]float32{unit(3840, 3000), unit(3840, 3000)}
	run("swav", 256, 3000, func(x, dx [2][]float32) { NewSwAV().Eval(&ws, x[:], [2][]float32{}, 256, 3000, dx[:]) })
	run("swav-3840", 256, 3000, func(x, dx [2][]float32) { NewSwAV().Eval(&ws, x[:], older, 256, 3000, dx[:]) })
	labels := make([]int32, 256)
	run("deepcluster", 256, 3000, func(x, dx [2][]float32) {
		NewDeepCluster().Eval(&ws, []Head{{3000, x[:], labels, dx[:]}}, 256)
	})
	r := rng.New(1)
	run("wmse", 256, 64, func(x, dx [2][]float32) { NewWMSE().Eval(&ws, r, x[:], 256, 64, dx[:]) })
	run("wmse-256", 512, 128, func(x, dx [2][]float32) { WMSE{Size: 256, Iterations: 1}.Eval(&ws, r, x[:], 512, 128, dx[:]) })
}
