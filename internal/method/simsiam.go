package method

import (
	"strings"

	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// simsiam is Chen and He, CVPR 2021: each view predicts what the same network makes of
// the other, which counts as a constant (simsiam simsiam/builder.py, main_simsiam.py).
// The predictor keeps the highest learning rate. Here, linear layers before a
// normalisation have a bias, which the normalisation takes away again.
type simsiam struct {
	siamese
	loss loss.SimSiam
}

func newSimSiam(c recipe.Config, data Data) (Method, error) {
	m, err := newSiamese(c, data, true)
	if err != nil {
		return nil, err
	}
	for _, p := range m.Params() {
		p.Static = strings.HasPrefix(p.Name, "predictor.")
	}
	return &simsiam{siamese: m}, nil
}

func (m *simsiam) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	t := m.loss.Eval(&m.ws, m.q[0], m.q[1], m.k[0], m.k[1], m.n, m.d, m.dq[0], m.dq[1], m.dk[0], m.dk[1])
	return m.backward(t.Total, runlog.Terms{{Name: "cosine", Value: t.Cosine}})
}

func init() {
	builders["simsiam"] = builder{newSimSiam, nil}
}
