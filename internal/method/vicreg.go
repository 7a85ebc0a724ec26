package method

import (
	"vicreg/internal/loss"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// vicreg is Bardes, Ponce and LeCun, ICLR 2022: one encoder and one expander
// for both views, nothing beside the gradient (vicreg main_vicreg.py, class
// VICReg).
type vicreg struct {
	joint *model.Joint
	loss  loss.VICReg
	ws    loss.Workspace

	dz1, dz2 []float32     // n × d
	z        tensor.Tensor // n × d: a copy, for backward takes the original's memory
}

func newVICReg(c recipe.Config) (Method, error) {
	encoder, err := NewEncoder(EncoderConfig(c), c.Seed)
	if err != nil {
		return nil, err
	}
	encoder.SetPrecision(Precision(c))
	expander, err := model.NewExpander(encoder.Dim(), c.Expander, rng.New(c.Seed, rng.Init, expanderInit))
	if err != nil {
		return nil, err
	}
	l, err := NewLoss(c.Loss)
	if err != nil {
		return nil, err
	}
	branch := &model.Branch{Encoder: encoder, Expander: expander}
	return &vicreg{joint: model.NewJoint(branch, branch), loss: l}, nil
}

// NewLoss returns the loss of a configuration.
func NewLoss(c recipe.Loss) (loss.VICReg, error) {
	convention, err := loss.ParseConvention(c.Convention)
	return loss.VICReg{Lambda: c.Lambda, Mu: c.Mu, Nu: c.Nu, Gamma: c.Gamma, Eps: c.Eps, Convention: convention}, err
}

func (m *vicreg) Params() []*nn.Param        { return m.joint.Params() }
func (m *vicreg) Buffers() []*nn.Param       { return m.joint.Buffers() }
func (m *vicreg) State() []*nn.Param         { return nil }
func (m *vicreg) AfterStep(step, total int)  {}
func (m *vicreg) Embeddings() *tensor.Tensor { return &m.z }
func (m *vicreg) TargetStd() float64         { return m.loss.Gamma }
func (m *vicreg) Encoder() model.Encoder     { return m.joint.Branch(0).Encoder }
func (m *vicreg) Heads() *model.Expander     { return m.joint.Branch(0).Expander }

func (m *vicreg) Step(views []*tensor.Tensor) (float64, runlog.Terms) {
	m.joint.ZeroGrad()
	v1, v2 := m.joint.Forward(views[0], views[1])
	n, d := v1.Z.Shape[0], v1.Z.Shape[1]
	m.dz1, m.dz2 = tensor.Grow(m.dz1, n*d), tensor.Grow(m.dz2, n*d)
	t := m.loss.Eval(&m.ws, v1.Z.Data, v2.Z.Data, n, d, m.dz1, m.dz2)
	m.z.Shape = append(m.z.Shape[:0], n, d)
	m.z.Data = append(m.z.Data[:0], v1.Z.Data...)
	m.joint.Backward(m.dz1, m.dz2)
	return t.Total, runlog.Terms{{Name: "invariance", Value: t.Invariance}, {Name: "variance", Value: t.Variance}, {Name: "covariance", Value: t.Covariance}}
}
