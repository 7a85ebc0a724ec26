package method

import (
	"fmt"
	"slices"

	"vicreg/internal/batch"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/loss"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// supervised is the baseline of the paper's table 6: the same encoders on the same
// views, with the cross-entropy of a linear classifier on the representation. The
// classifier takes the expander's place, so its logits are the embeddings. Separate
// branches have a classifier each.
type supervised struct {
	core
	loss   loss.CrossEntropy
	labels []int // of the items
	batch  []int // of the batch
}

// completeSupervised replaces the expander by a linear layer to the classes.
func completeSupervised(c *recipe.Config, d Data) {
	c.Expander, c.ExpanderB = fmt.Sprint(d.Classes), ""
	c.Heads.Last = model.Bias
}

func newSupervised(c recipe.Config, data Data) (Method, error) {
	m, err := newCore(c, data, false)
	return &supervised{core: m, labels: slices.Clone(data.Labels)}, err
}

// Step takes the mean of the views' losses.
func (m *supervised) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	m.batch = m.batch[:0]
	for _, item := range b.Items {
		m.batch = append(m.batch, m.labels[item])
	}
	var total, accuracy float64
	views := float64(len(m.z))
	for i, z := range m.z {
		t := m.loss.Eval(&m.ws, z, m.batch, m.n, m.d, m.dz[i])
		total += t.Total / views
		accuracy += t.Accuracy / views
		vector.Divide(m.dz[i], float32(views))
	}
	return m.backward(total, runlog.Terms{{Name: "accuracy", Value: accuracy}})
}
