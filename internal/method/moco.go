package method

import (
	"slices"

	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// mocoV2 is Chen, Fan, Girshick and He 2020: a view must be nearer to the key that
// a momentum encoder makes of the other view than to the keys of earlier steps.
// Both directions count, each with a queue of its own (solo-learn
// solo/methods/mocov2plus.py; the released code takes one direction).
type mocoV2 struct {
	siamese
	loss   loss.MoCo
	queues [2]*queue
	fresh  [2]loss.Units // keys of the step
}

func checkMoCoV2(c recipe.Config, _ int) error {
	return loss.MoCo{Temperature: c.Temperature}.Check(c.Queue.Size, c.Batch)
}

func newMoCoV2(c recipe.Config, data Data) (Method, error) {
	m, err := newSiamese(c, data, true)
	if err != nil {
		return nil, err
	}
	o := &mocoV2{siamese: m, loss: loss.MoCo{Temperature: c.Temperature}}
	for i, name := range queueNames {
		o.queues[i] = newQueue(name, c.Queue.Size, m.branches[0].Expander.Dim())
		o.queues[i].random(stream(c.Seed, queueInit, i)) // moco/builder.py: torch.randn, normalised
	}
	return o, nil
}

func (m *mocoV2) State() []*nn.Param {
	return slices.Concat(m.siamese.State(), m.queues[0].state(), m.queues[1].state())
}

func (m *mocoV2) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	for i := range m.fresh {
		m.fresh[i].Forward(m.k[i], m.n, m.d)
	}
	t := m.loss.Eval(&m.ws, m.q[0], m.q[1], m.k[0], m.k[1], m.queues[0].rows.Read(), m.queues[1].rows.Read(), m.n, m.d,
		m.dq[0], m.dq[1], m.dk[0], m.dk[1])
	return m.backward(t.Total, contrast(t))
}

func (m *mocoV2) AfterStep(step, total int) {
	m.siamese.AfterStep(step, total)
	for i := range m.fresh {
		m.queues[i].push(m.fresh[i].Data)
	}
}

// mocoV3 is Chen, Xie and He, ICCV 2021: as mocoV2, but queries come from a
// predictor, and the other keys of the batch take the place of the queue (moco-v3
// moco/builder.py; solo-learn solo/methods/mocov3.py).
type mocoV3 struct {
	siamese
	loss loss.MoCoV3
}

func checkMoCoV3(c recipe.Config, _ int) error {
	return loss.MoCoV3{Temperature: c.Temperature}.Check()
}

func newMoCoV3(c recipe.Config, data Data) (Method, error) {
	m, err := newSiamese(c, data, true)
	return &mocoV3{m, loss.MoCoV3{Temperature: c.Temperature}}, err
}

func (m *mocoV3) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	t := m.loss.Eval(&m.ws, m.q[0], m.q[1], m.k[0], m.k[1], m.n, m.d, m.dq[0], m.dq[1], m.dk[0], m.dk[1])
	return m.backward(t.Total, contrast(t))
}

func init() {
	builders["moco-v2"] = builder{newMoCoV2, checkMoCoV2}
	builders["moco-v3"] = builder{newMoCoV3, checkMoCoV3}
}
