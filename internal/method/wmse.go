package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
)

// wmse is Ermolov, Siarohin, Sangineto and Sebe, ICML 2021: the embeddings of two
// or more views are whitened in random sub-batches and must then agree
// (htdt/self-supervised methods/w_mse.py). No view is detached, unlike in
// solo-learn.
type wmse struct {
	core
	loss loss.WMSE
	seed uint64
}

func wmseLoss(c recipe.Config) loss.WMSE {
	w := c.Whitening
	return loss.WMSE{Size: w.Size, Iterations: w.Iterations, Eps: w.Eps}
}

func checkWMSE(c recipe.Config, _ int) error { return wmseLoss(c).Check(c.Batch, width(c)) }

func newWMSE(c recipe.Config, data Data) (Method, error) {
	m, err := newCore(c, data, false)
	return &wmse{m, wmseLoss(c), c.Seed}, err
}

func (m *wmse) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	r := rng.New(m.seed, rng.Method, uint64(b.Epoch), uint64(b.Step))
	t, err := m.loss.Eval(&m.ws, r, m.z, m.n, m.d, m.dz)
	if err != nil {
		m.abandon()
		return t.Total, nil, err
	}
	return m.backward(t.Total, runlog.Terms{{Name: "cosine", Value: t.Cosine}})
}

func init() {
	builders["wmse"] = builder{newWMSE, checkWMSE}
}
