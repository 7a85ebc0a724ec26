package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/loss"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// vicreg is Bardes, Ponce and LeCun, ICLR 2022: an encoder and an expander for each
// view, which may be the same ones for both, and nothing beside the gradient (vicreg
// main_vicreg.py, class VICReg). The paper's table 4 tries it with a predictor as well:
// then the invariance compares predictions with embeddings, as the mean of both
// directions, and variance and covariance still regularise the embeddings.
type vicreg struct {
	siamese
	loss   loss.VICReg
	queued loss.Queued
	dzs    [2][]float32 // gradients of variance and covariance, where the invariance is computed apart
}

func newVICReg(c recipe.Config, data Data) (Method, error) {
	m, err := newSiamese(c, data, false)
	if err != nil {
		return nil, err
	}
	l, err := NewLoss(c.Loss)
	return &vicreg{siamese: m, loss: l}, err
}

// NewLoss returns the loss of a configuration.
func NewLoss(c recipe.Loss) (loss.VICReg, error) {
	convention, err := loss.ParseConvention(c.Convention)
	l := loss.VICReg{Lambda: c.Lambda, Mu: c.Mu, Nu: c.Nu, Gamma: c.Gamma, Eps: c.Eps, Convention: convention}
	if c.MuB != nil || c.NuB != nil {
		l.B = &loss.Coefficients{Mu: c.Mu, Nu: c.Nu}
		if c.MuB != nil {
			l.B.Mu = *c.MuB
		}
		if c.NuB != nil {
			l.B.Nu = *c.NuB
		}
	}
	return l, err
}

func (m *vicreg) TargetStd() float64 { return m.loss.Gamma }

func (m *vicreg) Step(b *batch.Batch) (float64, runlog.Terms, error) {
	read, err := m.queue(b)
	if err != nil {
		return 0, nil, err
	}
	loss, terms := read()
	return loss, terms, nil
}

// queue computes the loss where the embeddings are if the device can.
func (m *vicreg) queue(b *batch.Batch) (func() (float64, runlog.Terms), error) {
	dev, ok := m.joint.Device().(device.Losses)
	apart := m.branches[0].Predictor != nil || m.stop
	if !ok || apart || m.reg.Mu > 0 || m.reg.Nu > 0 {
		step := m.step
		if apart {
			step = m.stepApart
		}
		loss, terms, err := step(b)
		return func() (float64, runlog.Terms) { return loss, terms }, err
	}
	m.forwardStays(b)
	x, y := m.stays[0], m.stays[1]
	m.queued = m.loss.Queue(dev, x.z, y.z, m.n, m.d, x.dz, y.dz)
	m.backwardStays()
	return m.read, nil
}

// read returns what the device has computed.
func (m *vicreg) read() (float64, runlog.Terms) {
	t := m.queued.Terms()
	return t.Total, terms(t.Invariance, t.Variance, t.Covariance)
}

func (m *vicreg) step(b *batch.Batch) (float64, runlog.Terms, error) {
	m.core.forward(b)
	t := m.loss.Eval(&m.ws, m.z[0], m.z[1], m.n, m.d, m.dz[0], m.dz[1])
	return m.core.backward(t.Total, terms(t.Invariance, t.Variance, t.Covariance))
}

// stepApart computes the invariance apart, between queries and keys.
func (m *vicreg) stepApart(b *batch.Batch) (float64, runlog.Terms, error) {
	m.forward(b)
	apart, rest := m.loss, m.loss
	apart.Lambda, apart.Mu, apart.Nu, apart.B = m.loss.Lambda/2, 0, 0, nil
	rest.Lambda = 0
	for i := range m.dzs {
		m.dzs[i] = append(m.dzs[i][:0], m.dz[i]...) // room
		m.keys[i] = append(m.keys[i][:0], m.dz[i]...)
	}
	t := apart.Eval(&m.ws, m.q[0], m.k[1], m.n, m.d, m.dq[0], m.keys[1])
	u := apart.Eval(&m.ws, m.q[1], m.k[0], m.n, m.d, m.dq[1], m.keys[0])
	r := rest.Eval(&m.ws, m.z[0], m.z[1], m.n, m.d, m.dzs[0], m.dzs[1])
	for i := range m.dzs {
		if m.p[i] != nil {
			vector.Fill(m.dz[i], 0)
		}
		vector.Axpy(m.dz[i], 1, m.dzs[i])
		if !m.stop {
			vector.Axpy(m.dz[i], 1, m.keys[i])
		}
	}
	invariance := (t.Invariance + u.Invariance) / 2
	return m.core.backward(m.loss.Lambda*invariance+r.Total, terms(invariance, r.Variance, r.Covariance))
}

func terms(invariance, variance, covariance float64) runlog.Terms {
	return runlog.Terms{{Name: "invariance", Value: invariance}, {Name: "variance", Value: variance}, {Name: "covariance", Value: covariance}}
}

func init() {
	builders["vicreg"] = builder{newVICReg, nil}
}
