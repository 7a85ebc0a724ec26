package loss

import (
	"fmt"
	"math"

	"vicreg/internal/tensor"
)

// SwAV is the swapped prediction of Caron, Misra, Mairal, Goyal, Bojanowski and
// Joulin, "Unsupervised learning of visual features by contrasting cluster
// assignments" (NeurIPS 2020, arXiv:2006.09882), Eq. 1, 2 and, for the
// assignments, 3–5; facebookresearch/swav at 04b8f43, main_swav.py, train and
// distributed_sinkhorn. Scores are products of unit embeddings with unit
// prototypes, n × k a view; of V views the first two are assigned:
//
//	q_a = Sinkhorn(scores_a/ε), a row an image, p_v = softmax(scores_v/T)
//	ℓ = 1/2 Σ_{a=1,2} 1/(V−1) Σ_{v≠a} −1/n Σ_i Σ_k q_aik·log p_vik
//
// The assignments carry no gradient.
type SwAV struct {
	Temperature float64
	Epsilon     float64 // of the Sinkhorn iterations
	Iterations  int
}

// NewSwAV returns the published constants.
func NewSwAV() SwAV { return SwAV{Temperature: 0.1, Epsilon: 0.05, Iterations: 3} }

// Check says what is wrong with the constants or with the number of prototypes. queue is
// how many queued embeddings (0: no queue) are assigned along with a batch: it must be
// whole batches.
func (s SwAV) Check(prototypes, queue, batch int) error {
	if err := checkTemperature("SwAV", s.Temperature); err != nil {
		return err
	}
	switch {
	case !(s.Epsilon > 0) || math.IsInf(s.Epsilon, 0):
		return fmt.Errorf("SwAV's epsilon is %v, but must be above 0; 0.05 is usual", s.Epsilon)
	case s.Iterations < 1:
		return fmt.Errorf("SwAV's Sinkhorn iterations are %d, but must be 1 or more; 3 is usual", s.Iterations)
	case prototypes < 2:
		return fmt.Errorf("SwAV has %d prototypes, but needs at least 2; 3000 is usual", prototypes)
	case queue < 0 || queue > 0 && (batch < 1 || queue%batch != 0):
		return fmt.Errorf("SwAV's queue of %d embeddings must be a multiple of the batch of %d, or 0 for none", queue, batch)
	}
	return nil
}

// SwAVTerms are the parts of the loss.
type SwAVTerms struct {
	Total     float64
	Agreement float64 // share of predictions whose first prototype is that of the assignment
}

// Eval computes the loss of the scores of all views, n × k each; the first two are
// assigned. Scores of queued embeddings, older[0] and older[1], m × k each, are assigned
// along with them; nil for none. Unless dscores is nil it fills one gradient a view, n ×
// k, which may be the scores themselves.
func (s SwAV) Eval(ws *Workspace, scores [][]float32, older [2][]float32, n, k int, dscores [][]float32) SwAVTerms {
	if len(scores) < 2 {
		panic(fmt.Sprintf("loss: SwAV of %d views", len(scores)))
	}
	var q [2][]float32
	for a := range q {
		checkLen("scores", n, k, len(scores[a]))
		ws.assigned[a] = tensor.Grow(ws.assigned[a], n*k)
		q[a] = ws.assigned[a]
		s.Assign(ws, q[a], scores[a], older[a], n, k)
	}
	return s.EvalAssigned(ws, scores, q, n, k, dscores)
}

// EvalAssigned is Eval with assignments q of the first two views, n × k, whose rows
// add up to 1.
func (s SwAV) EvalAssigned(ws *Workspace, scores [][]float32, q [2][]float32, n, k int, dscores [][]float32) SwAVTerms {
	if len(scores) < 2 || dscores != nil && len(dscores) != len(scores) {
		panic(fmt.Sprintf("loss: SwAV of %d views and %d gradients", len(scores), len(dscores)))
	}
	for _, v := range scores {
		checkLen("scores", n, k, len(v))
	}
	for _, v := range q {
		checkLen("assignments", n, k, len(v))
	}
	weight := 1 / (2 * float64(len(scores)-1) * float64(n))
	var t SwAVTerms
	predictions := 0
	for v := range scores {
		x := &ws.softmax
		x.scores, x.cols, x.shares = scores[v], k, q
		if v < 2 {
			x.shares[v] = nil
		}
		x.inverse, x.weight = 1/s.Temperature, weight
		if dscores != nil {
			checkLen("gradients", n, k, len(dscores[v]))
			x.grads = dscores[v]
		}
		loss, hits, _ := x.run(n)
		t.Total += weight * loss
		t.Agreement += float64(hits)
		predictions += n
	}
	t.Agreement /= float64(predictions)
	return t
}

// Assign sets q to the assignments of scores, n × k each, which are balanced
// together with those of older scores, m × k, or nil for none.
func (s SwAV) Assign(ws *Workspace, q, scores, older []float32, n, k int) {
	checkLen("scores", n, k, len(q), len(scores))
	if len(older)%k != 0 {
		panic(fmt.Sprintf("loss: older scores have %d values, not rows of %d", len(older), k))
	}
	ws.sink.run(q, scores, older, k, s.Epsilon, s.Iterations)
}

func init() {
	s := NewSwAV()
	alone("swav", Alone{
		Constants: []Constant{
			temperature(s.Temperature), {Name: "epsilon", Value: s.Epsilon},
			{Name: "iterations", Value: float64(s.Iterations), Whole: true, Most: mostRounds},
		},
		Scores: true,
		Eval:   (*Given).swav,
	})
}

// swav takes the assignments q1 and q2 that are given, or computes and returns them.
func (g *Given) swav() error {
	s := SwAV{Temperature: g.Set["temperature"], Epsilon: g.Set["epsilon"], Iterations: int(g.Set["iterations"])}
	if err := s.Check(g.D, 0, g.N); err != nil {
		return err
	}
	_, has1 := g.Others.Shape("q1")
	_, has2 := g.Others.Shape("q2")
	if has1 != has2 {
		return fmt.Errorf("it has one of q1 and q2; give both assignments, or neither to have them computed")
	}
	from, q := "sinkhorn", [2][]float32{}
	for i, name := range []string{"q1", "q2"} {
		if has1 {
			from = "file"
			var err error
			if q[i], err = g.assignments(name); err != nil {
				return err
			}
			continue
		}
		q[i] = make([]float32, g.N*g.D)
		s.Assign(&g.ws, q[i], g.Z[i], nil, g.N, g.D)
		g.More = append(g.More, Matrix{name, q[i]})
	}
	t := s.EvalAssigned(&g.ws, g.Z[:], q, g.N, g.D, g.gradients())
	g.Terms = []Term{{"assignments", from}, {"agreement", t.Agreement}, {"total", t.Total}}
	return nil
}

// assignments returns one of the others, n × K, whose rows must add up to 1.
func (g *Given) assignments(name string) ([]float32, error) {
	shape, err := g.matrix(name, "assignments, n × K")
	if err != nil {
		return nil, err
	}
	if shape[0] != g.N || shape[1] != g.D {
		return nil, fmt.Errorf("%s is %d × %d, but assignments must be %d × %d, as z1 and z2", name, shape[0], shape[1], g.N, g.D)
	}
	q, err := g.values(name)
	if err != nil {
		return nil, err
	}
	for row := range g.N {
		sum := 0.0
		for _, v := range q[row*g.D:][:g.D] {
			sum += float64(v)
		}
		if math.Abs(sum-1) > 1e-3 {
			return nil, fmt.Errorf("row %d of %s (from 0) adds up to %.4g, but an assignment must add up to 1", row, name, sum)
		}
	}
	return q, nil
}
