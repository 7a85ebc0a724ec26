package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// byol is Grill et al., NeurIPS 2020: each view predicts what a momentum encoder
// makes of the other (solo-learn solo/methods/byol.py; deepmind-research
// byol/byol_experiment.py).
type byol struct {
	siamese
	loss loss.BYOL
}

func newBYOL(c recipe.Config, data Data) (Method, error) {
	m, err := newSiamese(c, data, true)
	return &byol{siamese: m}, err
}

func (m *byol) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	t := m.loss.Eval(&m.ws, m.q[0], m.q[1], m.k[0], m.k[1], m.n, m.d, m.dq[0], m.dq[1], m.dk[0], m.dk[1])
	return m.backward(t.Total, runlog.Terms{{Name: "cosine", Value: t.Cosine}})
}

func init() {
	builders["byol"] = builder{newBYOL, nil}
}
