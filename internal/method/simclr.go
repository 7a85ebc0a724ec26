package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// simclr is Chen, Kornblith, Norouzi and Hinton, ICML 2020: each view must be
// nearer to the other view of its image than to any view of another one
// (solo-learn solo/methods/simclr.py; google-research/simclr model.py).
type simclr struct {
	core
	loss loss.SimCLR
}

func checkSimCLR(c recipe.Config, _ int) error {
	return loss.SimCLR{Temperature: c.Temperature}.Check()
}

func newSimCLR(c recipe.Config, data Data) (Method, error) {
	m, err := newCore(c, data, true)
	return &simclr{m, loss.SimCLR{Temperature: c.Temperature}}, err
}

func (m *simclr) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	t := m.loss.Eval(&m.ws, m.z[0], m.z[1], m.n, m.d, m.dz[0], m.dz[1])
	return m.backward(t.Total, contrast(t))
}

// contrast are the terms of a contrastive loss.
func contrast(t loss.ContrastTerms) runlog.Terms {
	return runlog.Terms{{Name: "accuracy", Value: t.Accuracy}, {Name: "positive", Value: t.Positive}}
}

func init() {
	builders["simclr"] = builder{newSimCLR, checkSimCLR}
}
