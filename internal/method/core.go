package method

import (
	"math"

	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/loss"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// core is what the methods share: how views go through the branches, which embeddings
// are watched for collapse, and the regularisation that may be added.
type core struct {
	plain
	joint    *model.Joint
	branches [2]*model.Branch
	ws       loss.Workspace
	reg      loss.Regularizer

	// By view, n × d each: embeddings and predictions of the batch where the host
	// reads them, and their gradients where it writes them. p is nil without a
	// predictor.
	n, d   int // rows of the whole batch
	z, p   [][]float32
	dz, dp [][]float32
	cross  []crossing
	stays  []stays // in place of z and dz

	pieces pieces
	ranks  ranks

	unit    bool // the loss sees unit rows
	units   loss.Units
	watched copies
}

// crossing is the memory that the embeddings and predictions of a view take on
// their way to the host, and their gradients on the way back; none on the CPU.
type crossing struct {
	z, p   []float32
	dz, dp device.Array

	allZ, allP []float32    // of all ranks
	far        device.Array // likewise, on a device
}

// stays are embeddings of a view and their gradients that stay on a device.
type stays struct{ z, dz device.Array }

// newCore builds the branches of a configuration. unit says that the loss sees only the
// directions of embeddings.
func newCore(c recipe.Config, data Data, unit bool) (core, error) {
	m := core{unit: unit}
	var err error
	if m.branches, err = newBranches(c); err != nil {
		return m, err
	}
	v, err := NewLoss(c.Loss)
	if err != nil {
		return m, err
	}
	r := c.Regularize
	m.reg = loss.Regularizer{Mu: r.Variance, Nu: r.Covariance, Gamma: v.Gamma, Eps: v.Eps, Convention: v.Convention}
	views := make([]*model.Branch, len(c.Crops()))
	for i := range views {
		views[i] = m.branches[min(i, 1)]
	}
	m.joint = model.NewJoint(data.device(), views...)
	m.ranks.group = group.Or(data.Group)
	if c.SyncNorm {
		m.joint.Together(m.ranks.group)
	}
	c = data.Own(c)
	m.pieces.rows = pieceOf(c)
	if m.pieces.rows > 0 {
		m.joint.DeferPieces(PieceRows(c))
	} else {
		m.joint.Defer()
	}
	if d := data.device(); !d.Shared() && (c.Tune == nil || len(c.Tune.Freeze) == 0) {
		m.reserve(c, d)
	}
	m.z, m.p = make([][]float32, len(views)), make([][]float32, len(views))
	m.dz, m.dp = make([][]float32, len(views)), make([][]float32, len(views))
	m.cross, m.stays = make([]crossing, len(views)), make([]stays, len(views))
	return m, nil
}

// reserve gets a device's memory for a step.
func (m *core) reserve(c recipe.Config, d device.Device) {
	views := lent(c, d)
	if m.pieces.rows > 0 {
		m.joint.ReservePieces(views)
		return
	}
	m.joint.Reserve(views)
}

// lent returns what each view of a step takes of a device.
func lent(c recipe.Config, d device.Device) []model.Lent {
	var predictor *model.Head
	if head, ok := c.Predictor(); ok {
		predictor = &head
	}
	var views []model.Lent
	for i, crop := range c.Crops() {
		branch := 0
		if c.Separate() {
			branch = min(i, 1)
		}
		e := EncoderConfig(c, branch)
		if c.Pairs == nil {
			e.Input = model.ImageInput(crop.Size, e.Input.Shape[2])
		}
		views = append(views, model.LentOn(d, Precision(c), e, c.Projector(branch), predictor, c.Piece()))
	}
	return views
}

func (m *core) Params() []*nn.Param       { return m.joint.Params() }
func (m *core) Buffers() []*nn.Param      { return m.joint.Buffers() }
func (m *core) Branches() []*model.Branch { return distinct(m.branches) }
func (m *core) Embeddings() []Rows        { return m.watched.rows }

// Close frees what crosses, and the networks.
func (m *core) Close() {
	for _, x := range m.cross {
		m.joint.Device().Free(x.dz)
		m.joint.Device().Free(x.dp)
		m.joint.Device().Free(x.far)
	}
	m.cross = nil
	for _, a := range m.watched.far {
		m.joint.Device().Free(a)
	}
	m.watched = copies{}
	m.pieces.free(m.joint.Device())
	m.joint.Close()
}

// TargetStd is the deviation of unit rows that point in all directions alike.
func (m *core) TargetStd() float64 {
	if m.unit {
		return 1 / math.Sqrt(float64(m.branches[0].Expander.Dim()))
	}
	return 0
}

// forward takes all views of a batch through their branches, clears the
// gradients, and makes room for those of embeddings and predictions.
func (m *core) forward(b *batch.Batch) {
	m.joint.ZeroGrad()
	if m.pieces.cuts(b) {
		m.forwardPieces(b)
		m.watch()
		return
	}
	for i := range m.z {
		v, x := m.joint.Forward(i, b.Views[i]), &m.cross[i]
		m.n, m.d = v.Z.N*m.ranks.group.Size(), v.Z.C
		m.z[i], m.dz[i] = m.gathered(&x.allZ, m.joint.Read(v.Z, &x.z), v.Z.N), tensor.Grow(m.dz[i], m.n*m.d)
		if !v.P.X.None() {
			m.p[i], m.dp[i] = m.gathered(&x.allP, m.joint.Read(v.P, &x.p), v.P.N), tensor.Grow(m.dp[i], m.n*m.d)
		}
	}
	m.watch()
}

// forwardStays is forward for a loss that the device computes: embeddings stay there.
func (m *core) forwardStays(b *batch.Batch) {
	m.joint.ZeroGrad()
	dev := m.joint.Device()
	if m.pieces.cuts(b) {
		m.embedPieces(b)
	} else {
		m.embedStays(b)
	}
	for i := range m.Branches() {
		m.watched.takeFar(i, m.stays[i].z, m.n, m.d, dev)
	}
}

func (m *core) embedStays(b *batch.Batch) {
	dev := m.joint.Device()
	for i := range m.stays {
		v := m.joint.Forward(i, b.Views[i])
		x := &m.cross[i]
		m.n, m.d = v.Z.N*m.ranks.group.Size(), v.Z.C
		m.stays[i] = stays{m.gatheredFar(x, v.Z), device.Room(dev, &x.dz, device.Float32, m.n*m.d)}
	}
}

// backwardStays takes the gradients that the device has set down to the parameters.
func (m *core) backwardStays() {
	if m.pieces.batch != nil {
		m.backwardPieces()
		return
	}
	for i := len(m.stays) - 1; i >= 0; i-- {
		m.joint.Backward(i, m.gradOf(i, 0, m.own()), device.Array{})
		m.stays[i].z = device.Array{} // given back
	}
	m.ranks.sum(m.joint.Params())
}

// watch keeps what is watched for collapse.
func (m *core) watch() {
	for i := range m.Branches() {
		z := m.z[i]
		if m.unit {
			z = m.units.Forward(z, m.n, m.d)
		}
		m.watched.take(i, z, m.n, m.d)
	}
}

// backward adds the regularisation to the loss and to the gradients of the embeddings,
// which the method has set, and takes all gradients down to the parameters.
func (m *core) backward(total float64, terms runlog.Terms) (float64, runlog.Terms, error) {
	if m.reg.Mu > 0 || m.reg.Nu > 0 {
		t := m.reg.Eval(&m.ws, m.z[0], m.z[1], m.n, m.d, m.dz[0], m.dz[1])
		total += t.Total
		terms = append(terms, runlog.Term{Name: "added_variance", Value: t.Variance}, runlog.Term{Name: "added_covariance", Value: t.Covariance})
	}
	if m.pieces.batch != nil {
		m.backwardPieces()
		return total, terms, nil
	}
	for i := len(m.z) - 1; i >= 0; i-- {
		x, dev := &m.cross[i], m.joint.Device()
		m.joint.Backward(i, device.Lift(dev, &x.dz, m.ours(m.dz[i], 0, m.own())),
			device.Lift(dev, &x.dp, m.ours(m.dp[i], 0, m.own())))
		m.z[i], m.p[i] = nil, nil // given back
	}
	m.ranks.sum(m.joint.Params())
	return total, terms, nil
}

// abandon gives back what the views hold after a step without a loss.
func (m *core) abandon() {
	for i := range m.z {
		m.joint.Release(i)
		m.z[i], m.p[i] = nil, nil
	}
	m.pieces.batch = nil
}

// copies are embeddings by branch. They are kept because backward uses the memory of the
// originals.
type copies struct {
	rows []Rows
	host [][]float32
	far  []device.Array
}

// room returns the place of branch i, for n × d.
func (c *copies) room(i, n, d int, dev device.Device) *Rows {
	if i == len(c.rows) {
		c.rows, c.host, c.far = append(c.rows, Rows{}), append(c.host, nil), append(c.far, device.Array{})
	}
	c.rows[i].Device, c.rows[i].N, c.rows[i].D = dev, n, d
	return &c.rows[i]
}

// take copies the embeddings z (n × d) of branch i.
func (c *copies) take(i int, z []float32, n, d int) {
	to := c.room(i, n, d, device.Local)
	c.host[i] = append(c.host[i][:0], z...)
	to.Values = device.Of(c.host[i])
}

// takeFar is take for embeddings on a device, where they stay.
func (c *copies) takeFar(i int, z device.Array, n, d int, dev device.Device) {
	to := c.room(i, n, d, dev)
	to.Values = device.Room(dev, &c.far[i], device.Float32, n*d)
	dev.Copy(to.Values, z)
}
