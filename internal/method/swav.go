package method

import (
	"fmt"
	"slices"

	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/loss"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// swav is Caron et al., NeurIPS 2020: every view must find the prototypes that
// Sinkhorn's iterations assign to another view of the image (swav main_swav.py;
// solo-learn solo/methods/swav.py, which fills the queue from the first step). The first
// two views get assignments; further ones, such as small crops, only predict. Batch
// normalisation takes its statistics of one view at a time, here in the expander as
// well.
type swav struct {
	core
	loss       loss.SwAV
	prototypes *prototypes
	freeze     int // epochs

	queues [2]*queue
	start  int           // epoch from which the queues count
	fresh  [2]loss.Units // embeddings of the step
	older  [2][]float32  // scores of the queues
}

func swavLoss(c recipe.Config) loss.SwAV {
	return loss.SwAV{Temperature: c.Temperature, Epsilon: c.Prototypes.Epsilon, Iterations: c.Prototypes.Iterations}
}

func checkSwAV(c recipe.Config, items int) error {
	if n := len(c.Prototypes.Counts); n != 1 {
		return fmt.Errorf("SwAV has one clustering, but prototypes names the counts of %d; give one number", n)
	}
	k := c.Prototypes.Counts[0]
	if items > 0 && k > items {
		return fmt.Errorf("SwAV has %d prototypes for %d images; take at most %d, better a tenth of that", k, items, items)
	}
	return swavLoss(c).Check(k, c.Queue.Size, c.Batch)
}

func newSwAV(c recipe.Config, data Data) (Method, error) {
	m, err := newCore(c, data, true)
	if err != nil {
		return nil, err
	}
	d := m.branches[0].Expander.Dim()
	s := &swav{core: m, loss: swavLoss(c), freeze: c.Prototypes.Freeze, start: c.Queue.Start}
	s.prototypes = newPrototypes("prototypes.weight", c.Prototypes.Counts[0], d, len(m.z))
	nn.LinearUniform(stream(c.Seed, prototypeInit, 0), s.prototypes.weight, nil)
	s.prototypes.normalise()
	s.prototypes.weight.To(data.device())
	if c.Queue.Size > 0 {
		for i, name := range queueNames {
			s.queues[i] = newQueue(name, c.Queue.Size, d)
		}
	}
	return s, nil
}

func (m *swav) Params() []*nn.Param {
	return slices.Concat(m.core.Params(), []*nn.Param{m.prototypes.weight})
}

func (m *swav) State() []*nn.Param {
	if m.queues[0] == nil {
		return nil
	}
	return slices.Concat(m.queues[0].state(), m.queues[1].state())
}

func (m *swav) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	w := m.prototypes
	w.weight.Frozen = b.Epoch < m.freeze
	m.forward(b)
	dev, weight := w.weight.Device(), w.read()
	dw := device.Lower(dev, &w.dw, w.weight.Grad)
	vector.Fill(dw, 0)
	w.score(m.z, weight, m.n)
	var older [2][]float32
	for i, q := range m.queues {
		if q == nil {
			break
		}
		m.fresh[i].Data = append(m.fresh[i].Data[:0], w.units[i].Data...)
		if q.full() && b.Epoch >= m.start {
			m.older[i] = tensor.Grow(m.older[i], q.size*w.k)
			loss.Score(m.older[i], q.rows.Read(), weight, q.size, m.d, w.k)
			older[i] = m.older[i]
		}
	}
	t := m.loss.Eval(&m.ws, w.scores, older, m.n, w.k, w.scores)
	w.back(m.dz, dw, weight, m.n, false)
	dev.Up(w.weight.Grad, dw)
	return m.backward(t.Total, runlog.Terms{{Name: "agreement", Value: t.Agreement}})
}

func (m *swav) AfterStep(step, total int) {
	m.prototypes.normalise()
	for i, q := range m.queues {
		if q != nil {
			q.push(m.fresh[i].Data)
		}
	}
}

// Close frees the prototypes too.
func (m *swav) Close() {
	m.prototypes.weight.Free()
	m.core.Close()
}

// prototypes are unit rows that unit embeddings are compared with.
type prototypes struct {
	weight *nn.Param // k × d
	k, d   int

	units  []loss.Units // of the embeddings, by view
	scores [][]float32  // by view, n × k; then their gradients
	du     []float32    // n × d
	w, dw  []float32    // where weight and gradient cross to the host
	own    loss.Units
}

func newPrototypes(name string, k, d, views int) *prototypes {
	return &prototypes{weight: nn.NewTable(name, k, d), k: k, d: d, units: make([]loss.Units, views),
		scores: make([][]float32, views)}
}

// normalise makes unit rows of the prototypes.
func (w *prototypes) normalise() {
	w.weight.Set(w.own.Forward(w.read(), w.k, w.d))
}

// read returns the prototypes for the host to read.
func (w *prototypes) read() []float32 { return device.Lower(w.weight.Device(), &w.w, w.weight.Value) }

// score compares the embeddings of all views, n × d each.
func (w *prototypes) score(z [][]float32, weight []float32, n int) {
	for v := range z {
		w.scores[v] = tensor.Grow(w.scores[v], n*w.k)
		loss.Score(w.scores[v], w.units[v].Forward(z[v], n, w.d), weight, n, w.d, w.k)
	}
}

// back takes the gradients of the scores, which have replaced the scores, down to the
// embeddings, whose gradients it sets or adds to. Unless dw is nil it adds those of the
// prototypes to it.
func (w *prototypes) back(dz [][]float32, dw, weight []float32, n int, add bool) {
	w.du = tensor.Grow(w.du, n*w.d)
	for v := range dz {
		loss.ScoreGrad(w.du, dw, w.scores[v], w.units[v].Data, weight, n, w.d, w.k)
		if !add {
			w.units[v].Backward(dz[v], w.du)
			continue
		}
		w.units[v].Backward(w.du, w.du)
		vector.Axpy(dz[v], 1, w.du)
	}
}

// width returns the width of a valid configuration's embeddings.
func width(c recipe.Config) int {
	widths, err := model.ParseExpander(c.Expander)
	if err != nil {
		panic("method: " + err.Error())
	}
	return widths[len(widths)-1]
}

func init() {
	builders["swav"] = builder{newSwAV, checkSwAV}
}
