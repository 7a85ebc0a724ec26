package method

import (
	"math"

	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/tensor"
)

// target is a momentum encoder with its expander: it starts as a copy of the network
// that learns, and follows it. Its batch normalisation uses the statistics of its own
// batches; running statistics are not averaged (solo-learn solo/utils/momentum.py).
type target struct {
	joint       *model.Joint
	learns, own []*nn.Param // in the same order
	group       device.Group
	state       []*nn.Param // own, and running statistics, as the checkpoint names them
	base, final float64

	rows int          // of a piece; 0: batches go through whole
	keys [2][]float32 // embeddings of the batch by view, n × d
	room []float32    // where those of this rank cross to the host

	ranks ranks
}

// newTarget builds a target that follows the network of a Joint and shares its memory.
func newTarget(c recipe.Config, data Data, joint *model.Joint) (*target, error) {
	learns := joint.Branch(0)
	c.Heads.Predictor = recipe.None
	b, err := newBranch(c, 0)
	if err != nil {
		return nil, err
	}
	t := &target{joint: joint.NewTarget(b, b), rows: pieceOf(data.Own(c)),
		base: c.Momentum.Base, final: c.Momentum.Final,
		ranks: ranks{group: group.Or(data.Group)}}
	t.learns = append(learns.Encoder.Params(), learns.Expander.Params()...)
	t.own = append(b.Encoder.Params(), b.Expander.Params()...)
	for i, p := range t.own {
		p.Device().Copy(p.Value, t.learns[i].Value)
		p.Freeze()
		t.group.Members = append(t.group.Members, device.Member{W: p.Value, G: t.learns[i].Value})
	}
	params, buffers := b.Named("momentum.")
	t.state = append(params, buffers...)
	return t, nil
}

// forward sets the keys of a batch.
func (t *target) forward(b *batch.Batch) {
	if t.rows > 0 {
		t.forwardPieces(b)
		return
	}
	for i := range t.keys {
		v := t.joint.Forward(i, b.Views[i])
		t.keep(i, v.Z, 0, v.Z.N)
		t.joint.Release(i)
	}
}

// keep takes in keys of view i, of rows from..of of this rank, and those of the other
// ranks.
func (t *target) keep(i int, z nn.Act, from, of int) {
	d := z.C
	t.keys[i] = tensor.Grow(t.keys[i], of*t.ranks.group.Size()*d)
	at := t.ranks.start(from, from+z.N)
	copy(t.keys[i][at*d:], t.joint.Read(z, &t.room))
	t.ranks.share(t.keys[i], from, from+z.N, d)
}

// follow is the update after step of total, from 1:
//
//	τ = final − (final − base)·(1 + cos(π·(step − 1)/total))/2
//	w = τ·w + (1 − τ)·learns
func (t *target) follow(step, total int) {
	tau := t.final - (t.final-t.base)*(1+math.Cos(math.Pi*float64(step-1)/float64(total)))/2
	t.joint.Device().Blend(&t.group, float32(tau), float32(1-tau))
}
