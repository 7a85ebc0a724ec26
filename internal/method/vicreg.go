package method

import (
	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// vicreg is Bardes, Ponce and LeCun, ICLR 2022: an encoder and an expander for
// each view, the same for both or not, and nothing beside the gradient (vicreg
// main_vicreg.py, class VICReg).
type vicreg struct {
	plain
	joint    *model.Joint
	branches [2]*model.Branch
	loss     loss.VICReg
	ws       loss.Workspace

	dz1, dz2 []float32 // n × d
	z        copies
}

func newVICReg(c recipe.Config, _ Data) (Method, error) {
	b, err := newBranches(c)
	if err != nil {
		return nil, err
	}
	l, err := NewLoss(c.Loss)
	if err != nil {
		return nil, err
	}
	joint := model.NewJoint(b[0], b[1])
	joint.Defer()
	return &vicreg{joint: joint, branches: b, loss: l}, nil
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

func (m *vicreg) Params() []*nn.Param          { return m.joint.Params() }
func (m *vicreg) Buffers() []*nn.Param         { return m.joint.Buffers() }
func (m *vicreg) Embeddings() []*tensor.Tensor { return m.z }
func (m *vicreg) TargetStd() float64           { return m.loss.Gamma }
func (m *vicreg) Branches() []*model.Branch    { return distinct(m.branches) }

func (m *vicreg) Step(b *batch.Batch) (float64, runlog.Terms) {
	m.joint.ZeroGrad()
	v1, v2 := m.joint.Forward(0, b.Views[0]), m.joint.Forward(1, b.Views[1])
	n, d := v1.Z.Shape[0], v1.Z.Shape[1]
	m.dz1, m.dz2 = tensor.Grow(m.dz1, n*d), tensor.Grow(m.dz2, n*d)
	t := m.loss.Eval(&m.ws, v1.Z.Data, v2.Z.Data, n, d, m.dz1, m.dz2)
	m.z.take(m.Branches(), v1.Z, v2.Z)
	m.joint.Backward(1, m.dz2, nil)
	m.joint.Backward(0, m.dz1, nil)
	return t.Total, runlog.Terms{{Name: "invariance", Value: t.Invariance}, {Name: "variance", Value: t.Variance}, {Name: "covariance", Value: t.Covariance}}
}

// copies are embeddings by branch, kept because backward takes the originals'
// memory.
type copies []*tensor.Tensor

// take copies the embeddings of the first view, and of the second if it has a
// branch of its own.
func (c *copies) take(branches []*model.Branch, z ...*tensor.Tensor) {
	for i := range branches {
		if i == len(*c) {
			*c = append(*c, new(tensor.Tensor))
		}
		to := (*c)[i]
		to.Shape = append(to.Shape[:0], z[i].Shape...)
		to.Data = append(to.Data[:0], z[i].Data...)
	}
}
