package loss

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
)

// golden reads a file of a rival's: z1, z2, their shape and room for gradients.
func golden(t *testing.T, name string) (g *check.GoldenFile, z [2][]float32, n, d int, dz [2][]float32) {
	t.Helper()
	g = check.Golden(t, "testdata/"+name+".safetensors")
	shape := g.Shape("z1")
	n, d = shape[0], shape[1]
	z = [2][]float32{g.F32("z1"), g.F32("z2")}
	dz = [2][]float32{make([]float32, n*d), make([]float32, n*d)}
	return g, z, n, d, dz
}

// same holds a loss and its gradients against a golden file.
func same(t *testing.T, g *check.GoldenFile, what string, loss float64, dz [2][]float32, tol float64) {
	t.Helper()
	check.Scalar(t, what+", loss", loss, g.Float("loss"), 1e-5)
	check.Close64(t, what+", dz1", widen(dz[0]), g.F64("dz1"), tol)
	check.Close64(t, what+", dz2", widen(dz[1]), g.F64("dz2"), tol)
}

func TestGoldenSimCLR(t *testing.T) {
	g, z, n, d, dz := golden(t, "simclr")
	s := SimCLR{Temperature: g.Float("temperature")}
	same(t, g, "SimCLR", s.Eval(new(Workspace), z[0], z[1], n, d, dz[0], dz[1]).Total, dz, 1e-5)
}

func TestGoldenMoCo(t *testing.T) {
	g, z, n, d, dz := golden(t, "moco")
	m := MoCo{Temperature: g.Float("temperature")}
	keys := g.Shape("queue")[1]
	queue := transposed(g.F32("queue"), d, keys)
	same(t, g, "MoCo", m.Pair(new(Workspace), z[0], z[1], queue, n, d, dz[0], nil).Total, dz, 1e-5)
}

// transposed turns rows × cols into cols × rows.
func transposed(x []float32, rows, cols int) []float32 {
	out := make([]float32, len(x))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = x[i*cols+j]
		}
	}
	return out
}

func TestGoldenCosine(t *testing.T) {
	g, z, n, d, dz := golden(t, "byol")
	same(t, g, "BYOL", BYOL{}.Pair(new(Workspace), z[0], z[1], n, d, dz[0], nil).Total, dz, 1e-5)
	g, z, n, d, dz = golden(t, "simsiam")
	same(t, g, "SimSiam", SimSiam{}.Pair(new(Workspace), z[0], z[1], n, d, dz[0], nil).Total, dz, 1e-5)
}

func TestGoldenBarlowTwins(t *testing.T) {
	for _, name := range []string{"barlow_twins", "barlow_twins_wide"} {
		g, z, n, d, dz := golden(t, name)
		b := NewBarlowTwins()
		b.Lambda, b.Scale = g.Float("lambda_"), g.Float("scale")
		for _, by := range routes {
			got := b.eval(new(Workspace), z[0], z[1], n, d, dz[0], dz[1], by)
			same(t, g, fmt.Sprintf("%s, route %d", name, by), got.Total, dz, 1e-5)
		}
	}
}

func TestGoldenSwAV(t *testing.T) {
	g, z, n, k, dz := golden(t, "swav")
	s := SwAV{Temperature: g.Float("temperature"), Epsilon: g.Float("epsilon"), Iterations: int(g.Float("iterations"))}
	var ws Workspace
	for i := range z {
		q := make([]float32, n*k)
		s.Assign(&ws, q, z[i], nil, n, k)
		check.Close64(t, "assignments", widen(q), g.F64([]string{"q1", "q2"}[i]), 1e-5)
	}
	same(t, g, "SwAV", s.Eval(&ws, z[:], [2][]float32{}, n, k, dz[:]).Total, dz, 1e-5)
}

func TestGoldenDeepCluster(t *testing.T) {
	g, z, n, k, dz := golden(t, "deepcluster")
	c := DeepCluster{Temperature: g.Float("temperature")}
	var labels []int32
	for _, l := range g.F64("assignment") {
		labels = append(labels, int32(l))
	}
	got := c.Eval(new(Workspace), []Head{{K: k, Scores: z[:], Labels: labels, DScores: dz[:]}}, n)
	same(t, g, "DeepCluster", got.Total, dz, 1e-5)
}

func TestGoldenWMSE(t *testing.T) {
	for _, name := range []string{"wmse_eps0.0", "wmse_eps0.01"} {
		g, z, n, d, dz := golden(t, name)
		w := WMSE{Iterations: 1, Eps: g.Float("eps")}
		var ws Workspace
		got, err := w.Eval(&ws, nil, z[:], n, d, dz[:])
		if err != nil {
			t.Fatal(err)
		}
		same(t, g, name, got.Total, dz, 1e-4)
		check.Close64(t, name+", w1", ws.whiten.y[:n*d], g.F64("w1"), 1e-5)
		check.Close64(t, name+", w2", ws.whiten.y[n*d:], g.F64("w2"), 1e-5)
	}
}

// Scores that are held a few rows at a time give what all of them at once give.
func TestScoresInParts(t *testing.T) {
	const n, d = 37, 5
	r := rand.New(rand.NewPCG(3, 4))
	var z [2][]float32
	for i := range z {
		z[i] = make([]float32, n*d)
		for j := range z[i] {
			z[i][j] = float32(r.NormFloat64())
		}
	}
	for name, eval := range map[string]func(ws *Workspace, dz [2][]float32) ContrastTerms{
		"SimCLR": func(ws *Workspace, dz [2][]float32) ContrastTerms {
			return NewSimCLR().Eval(ws, z[0], z[1], n, d, dz[0], dz[1])
		},
		"MoCo v3": func(ws *Workspace, dz [2][]float32) ContrastTerms {
			return NewMoCoV3().Pair(ws, z[0], z[1], n, d, dz[0], dz[1])
		},
	} {
		var terms [2]ContrastTerms
		var grads [2][2][]float32
		for i, held := range []int{1 << 26, 300} {
			func() {
				defer func(was int) { heldScores = was }(heldScores)
				heldScores = held
				grads[i] = [2][]float32{make([]float32, n*d), make([]float32, n*d)}
				terms[i] = eval(new(Workspace), grads[i])
			}()
		}
		check.Scalar(t, name+", total", terms[1].Total, terms[0].Total, 1e-6)
		check.Scalar(t, name+", accuracy", terms[1].Accuracy, terms[0].Accuracy, 1e-12)
		check.Scalar(t, name+", positive", terms[1].Positive, terms[0].Positive, 1e-6)
		for i := range 2 {
			check.Close(t, name, grads[1][i], grads[0][i], 1e-6)
		}
	}
}
