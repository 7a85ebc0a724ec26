package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/loss"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// barlowTwins is Zbontar, Jing, Misra, LeCun and Deny, ICML 2021: the correlations
// between the dimensions of both views' embeddings must be the identity matrix
// (barlowtwins main.py, class BarlowTwins).
type barlowTwins struct {
	core
	loss   loss.BarlowTwins
	normed []float32 // n × d
}

func barlowLoss(c recipe.Config) loss.BarlowTwins {
	l := loss.NewBarlowTwins()
	l.Lambda, l.Scale = c.Redundancy.Lambda, c.Redundancy.Scale
	return l
}

func checkBarlowTwins(c recipe.Config, _ int) error { return barlowLoss(c).Check() }

func newBarlowTwins(c recipe.Config, data Data) (Method, error) {
	m, err := newCore(c, data, false)
	return &barlowTwins{core: m, loss: barlowLoss(c)}, err
}

// TargetStd is 1, since the loss normalises the dimensions.
func (m *barlowTwins) TargetStd() float64 { return 1 }

func (m *barlowTwins) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	for i := range m.Branches() {
		m.normed = tensor.Grow(m.normed, m.n*m.d)
		pass.NormaliseColumns(m.normed, m.z[i], m.n, m.d, m.loss.Eps)
		m.watched.take(i, m.normed, m.n, m.d)
	}
	t := m.loss.Eval(&m.ws, m.z[0], m.z[1], m.n, m.d, m.dz[0], m.dz[1])
	return m.backward(t.Total, runlog.Terms{{Name: "invariance", Value: t.Invariance}, {Name: "redundancy", Value: t.Redundancy}})
}

func init() {
	builders["barlow-twins"] = builder{newBarlowTwins, checkBarlowTwins}
}
