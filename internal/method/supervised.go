package method

import (
	"fmt"
	"math/rand/v2"
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
	if err == nil && c.Tune != nil && c.Tune.Statistics == recipe.Running {
		m.joint.UseRunning()
	}
	return &supervised{core: m, labels: slices.Clone(data.Labels)}, err
}

// tuned makes a new branch one that is taught classes: its classifier begins as that of
// vicreg's evaluate.py (commit 4e12602), with weights of standard deviation 0.01 and no
// biases, the encoder learns at the second of the optimizer's rates, and what is frozen has
// no gradients.
func tuned(b *model.Branch, c recipe.Config, random *rand.Rand) error {
	for _, p := range b.Expander.Params() {
		p.Draw(func() float64 {
			if len(p.Shape) < 2 {
				return 0
			}
			return 0.01 * random.NormFloat64()
		})
	}
	for _, p := range b.Encoder.Params() {
		p.Static = true
		if c.Tune.Frozen() {
			p.Freeze()
		}
	}
	b.Frozen = c.Tune.Frozen()
	return model.Freeze(b.Encoder, c.Tune.Stages())
}

// Step takes the mean of the views' losses.
func (m *supervised) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	m.batch = m.batch[:0]
	for _, item := range m.allItems(b.Items) {
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
