package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// siamese is what methods share that compare queries of one view with keys of the other.
// Queries are predictions, or embeddings where there is no predictor. Keys are
// embeddings, either the momentum encoder's or the encoder's own; the latter may let a
// gradient through or not.
type siamese struct {
	core
	stop   bool
	target *target // nil: the encoder itself

	q, k   [2][]float32 // of views 1 and 2, n × d
	dq, dk [2][]float32 // their gradients; dk is nil where it is stopped
	keys   [2][]float32 // memory of dk
}

func newSiamese(c recipe.Config, data Data, unit bool) (m siamese, err error) {
	if m.core, err = newCore(c, data, unit); err != nil {
		return m, err
	}
	m.stop = c.Heads.StopGradient
	if c.Momentum.Use {
		m.target, err = newTarget(c, data, m.joint)
	}
	return m, err
}

// forward sets queries and keys of a batch, and room for their gradients.
func (m *siamese) forward(b *batch.Batch) {
	if m.target != nil {
		m.target.forward(b)
	}
	m.core.forward(b)
	for i := range m.q {
		m.q[i], m.dq[i] = m.z[i], m.dz[i]
		if m.p[i] != nil {
			m.q[i], m.dq[i] = m.p[i], m.dp[i]
		}
		m.k[i], m.dk[i] = m.z[i], nil
		switch {
		case m.target != nil:
			m.k[i] = m.target.keys[i]
		case !m.stop:
			m.keys[i] = tensor.Grow(m.keys[i], m.n*m.d)
			m.dk[i] = m.keys[i]
		}
	}
}

// backward takes the gradients of queries and keys to the parameters.
func (m *siamese) backward(total float64, terms runlog.Terms) (float64, runlog.Terms, error) {
	for i := range m.q {
		if m.p[i] != nil { // the embedding itself has no other gradient yet
			vector.Fill(m.dz[i], 0)
		}
		if m.dk[i] != nil {
			vector.Axpy(m.dz[i], 1, m.dk[i])
		}
	}
	return m.core.backward(total, terms)
}

func (m *siamese) State() []*nn.Param {
	if m.target == nil {
		return nil
	}
	return m.target.state
}

func (m *siamese) AfterStep(step, total int) {
	if m.target != nil {
		m.target.follow(step, total)
	}
}
