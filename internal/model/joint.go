package model

import (
	"slices"
	"strings"

	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// Branch is what a view goes through.
type Branch struct {
	Encoder   Encoder
	Expander  *Expander
	Predictor *Expander // of the methods that have one; else nil

	// Frozen leaves the encoder as it is: it normalises by running statistics, and no
	// gradient reaches it.
	Frozen bool
}

// part is a network of a branch.
type part interface {
	Params() []*nn.Param
	Buffers() []*nn.Param
}

// parts returns the networks that there are, in this order.
func (b *Branch) parts() []part {
	all := []part{b.Encoder, b.Expander}
	if b.Predictor != nil {
		all = append(all, b.Predictor)
	}
	return all
}

// Named returns the branch's parameters and buffers, named as in the released
// checkpoints after a prefix: backbone.conv1.weight, projector.0.weight,
// predictor.0.weight. They are new headers of the same values and gradients.
func (b *Branch) Named(prefix string) (params, buffers []*nn.Param) {
	named := func(to *[]*nn.Param, prefix string, ps []*nn.Param) {
		for _, p := range ps {
			q := *p
			q.Name = prefix + p.Name
			*to = append(*to, &q)
		}
	}
	for i, part := range b.parts() {
		prefix := prefix + [...]string{"backbone.", "projector.", "predictor."}[i]
		named(&params, prefix, part.Params())
		named(&buffers, prefix, part.Buffers())
	}
	return params, buffers
}

// to takes the branch to a device.
func (b *Branch) to(d device.Device) {
	for _, part := range b.parts() {
		for _, p := range slices.Concat(part.Params(), part.Buffers()) {
			p.To(d)
		}
	}
}

// free gives back the branch's memory on its device.
func (b *Branch) free() {
	for _, part := range b.parts() {
		for _, p := range slices.Concat(part.Params(), part.Buffers()) {
			p.Free()
		}
		if e, ok := part.(*Expander); ok {
			e.free()
		}
	}
}

// Joint takes views through branches, each view in a pass of its own, so that every view
// has batch statistics of its own. All views may go through the same branch, or through
// branches that share nothing but the width of their embeddings.
type Joint struct {
	branches        []*Branch // by view
	passes          []*nn.Pass
	arena           *nn.Arena
	params, buffers []*nn.Param
	later           *nn.Later // or nil
	targets         []*Joint  // that share the arena
	cleared         device.Group

	// Of views that go forward in pieces.
	scout *nn.Pass      // keeps nothing for backward; nil before the first piece
	piece tensor.Tensor // the one on its way
	open  bool          // more pieces may go backward

	running bool        // see UseRunning
	group   group.Group // see Together; nil: none
}

// View is what a branch makes of a view. The tensors belong to the Joint, until it takes
// the same view again or goes backward.
type View struct {
	Y nn.Act // representations, n × Encoder.Dim
	Z nn.Act // embeddings, n × Expander.Dim
	P nn.Act // predictions, n × Predictor.Dim; of no array without a predictor
}

// NewJoint joins the branches of two or more views on a device, to which it takes
// them; pass the same one again to share its weights.
func NewJoint(d device.Device, branches ...*Branch) *Joint {
	return newJoint(nn.NewArena(d), branches, func(a *nn.Arena) *nn.Pass { return nn.NewPass(a, true) })
}

// NewTarget returns a Joint that takes views through other branches and never goes
// backward: a momentum encoder. It normalises by the batch and keeps running statistics,
// and shares j's memory.
func (j *Joint) NewTarget(branches ...*Branch) *Joint {
	target := newJoint(j.arena, branches, nn.NewTargetPass)
	target.scout = target.passes[0]
	if j.group != nil {
		target.Together(j.group)
	}
	j.targets = append(j.targets, target)
	return target
}

// Reserve gets the memory for a step at once, of which each view takes what is said, in
// bytes. It comes after Defer.
func (j *Joint) Reserve(views []Lent) {
	kept, most := 0.0, 0.0
	for _, l := range views {
		most = max(most, kept+l.Forward, l.Target)
		kept += l.Kept
	}
	for _, l := range slices.Backward(views) {
		kept -= l.Kept
		most = max(most, kept+l.Backward)
	}
	j.reserve(most)
}

// ReservePieces is Reserve for views that go through in pieces, one after the other.
func (j *Joint) ReservePieces(views []Lent) {
	most := 0.0
	for _, l := range views {
		most = max(most, l.Forward, l.Backward, l.Target)
	}
	j.reserve(most)
}

func (j *Joint) reserve(bytes float64) {
	if j.later != nil {
		bytes -= float64(j.later.Lends())
	}
	j.arena.Reserve(int(bytes))
}

// Close gives all memory back to the device, that of the branches and of targets too: none
// of them can be used after it. What views hold is lost.
func (j *Joint) Close() {
	for _, t := range j.targets {
		t.free()
	}
	j.free()
	j.arena.Close()
}

// free is Close but for the arena.
func (j *Joint) free() {
	for _, p := range j.passes {
		p.Close()
	}
	if j.scout != nil {
		j.scout.Close()
	}
	if j.later != nil {
		j.later.Close()
	}
	for _, b := range j.branches {
		b.free()
	}
	j.params, j.buffers = nil, nil
}

func newJoint(arena *nn.Arena, branches []*Branch, pass func(*nn.Arena) *nn.Pass) *Joint {
	j := &Joint{branches: branches, arena: arena}
	var distinct []*Branch
	for _, b := range branches {
		if b.Expander.Dim() != branches[0].Expander.Dim() {
			panic("model: the embeddings of two branches differ in width")
		}
		if !slices.Contains(distinct, b) {
			distinct = append(distinct, b)
			b.to(arena.Device())
		}
		j.passes = append(j.passes, pass(arena))
	}
	for i, b := range distinct {
		prefix := ""
		if len(distinct) > 1 {
			prefix = "branch" + string(rune('1'+i)) + "."
		}
		params, buffers := b.Named(prefix)
		j.params, j.buffers = append(j.params, params...), append(j.buffers, buffers...)
	}
	return j
}

// Branch returns the branch of view i.
func (j *Joint) Branch(i int) *Branch { return j.branches[i] }

// Params returns every trainable parameter once, named as [Branch.Named] says. Names of
// separate branches begin with branch1. and branch2.
func (j *Joint) Params() []*nn.Param { return j.params }

// Buffers returns every running statistic once, named like Params.
func (j *Joint) Buffers() []*nn.Param { return j.buffers }

// Device returns where the branches are.
func (j *Joint) Device() device.Device { return j.arena.Device() }

// Read returns what Forward made for the host to read, as [nn.Pass.Read] does.
func (j *Joint) Read(a nn.Act, room *[]float32) []float32 { return j.passes[0].Read(a, room) }

// Arena returns where the passes take their buffers from; inference between
// steps may use it too.
func (j *Joint) Arena() *nn.Arena { return j.arena }

// ZeroGrad clears the gradients; Backward adds to them.
func (j *Joint) ZeroGrad() {
	if j.later != nil {
		j.later.Zero()
	}
	j.cleared.Members = j.cleared.Members[:0]
	for _, p := range j.params {
		if p.Grad.None() || j.later != nil && j.later.Has(p) {
			continue
		}
		j.cleared.Members = append(j.cleared.Members, device.Member{G: p.Grad})
	}
	j.Device().Clear(&j.cleared)
}

// DeferFrom is the size from which it pays to compute the gradient of a weight later.
var DeferFrom = 1 << 20

// Defer puts off the gradients of large expanders until all views that went forward have
// gone backward or been released, which saves time and memory. Between ZeroGrad and that
// moment nobody may touch the gradients, nor get memory from the arena that is kept for
// longer. Where no expander is large enough it does nothing.
func (j *Joint) Defer() { j.deferRows(0) }

// deferRows is Defer for so many rows that come in pieces, or 0.
func (j *Joint) deferRows(rows int) {
	var weights []*nn.Param
	for _, p := range j.params {
		if strings.Contains(p.Name, "projector.") && (Array{p.Name, p.Shape}).Deferred(rows) {
			weights = append(weights, p)
		}
	}
	if len(weights) == 0 {
		return
	}
	j.later = nn.NewLater(j.arena, weights)
	j.later.Expect(rows)
	for _, p := range j.passes {
		p.Defer(j.later)
	}
}

// finish completes the gradients if no view is left to go backward.
func (j *Joint) finish() {
	if j.later == nil || j.open {
		return
	}
	for _, p := range j.passes {
		if !p.Idle() {
			return
		}
	}
	j.later.Finish()
}

// Forward takes view i through its branch, in training.
func (j *Joint) Forward(i int, x *tensor.Tensor) View {
	p, b := j.passes[i], j.branches[i]
	p.Reset()
	p.Whole()
	return b.forward(p, x)
}

func (b *Branch) forward(p *nn.Pass, x *tensor.Tensor) View {
	encoding := p
	if b.Frozen {
		encoding = p.Frozen()
	}
	v := View{Y: b.Encoder.Forward(encoding, x)}
	v.Z = b.Expander.Forward(p, v.Y)
	if b.Predictor != nil {
		p.Keep(v.Z)
		v.P = b.Predictor.Forward(p, v.Z)
	}
	return v
}

// Backward takes the gradient of view i's embeddings, dz (n × d), of its predictions,
// dp, or of both, and adds the gradients of the parameters; what is not given is none.
// The last view that went forward should be the first to go backward, as its memory
// serves the others.
func (j *Joint) Backward(i int, dz, dp device.Array) {
	p, b := j.passes[i], j.branches[i]
	var below device.Array // of the embeddings, through the predictor; the arena's
	if b.Predictor != nil {
		if dp.None() {
			panic("model: a branch with a predictor needs the gradient of its predictions")
		}
		below = b.Predictor.Backward(p, dp)
		if !dz.None() {
			p.Device().Axpy(below, 1, dz)
		}
		dz = below
	}
	dy := b.Expander.Backward(p, dz)
	j.arena.Put(below)
	if !b.Frozen {
		b.Encoder.Backward(p, dy, device.Array{})
	}
	j.arena.Put(dy)
	p.Thaw()
	j.finish()
}

// UseRunning has the branches normalise by their running statistics, which stay as they
// are, in training too.
func (j *Joint) UseRunning() {
	j.running = true
	for _, p := range j.passes {
		p.UseRunning()
	}
}

// Together says that every rank of g takes as many rows of each view through the same
// branches, which normalise by the statistics of all of them; targets that are made later
// do so too. It comes before the first batch.
func (j *Joint) Together(g group.Group) {
	j.group = g
	for _, p := range j.passes {
		p.Together(g)
	}
}

// Release gives back the memory of view i, which will not go backward.
func (j *Joint) Release(i int) {
	j.passes[i].Reset()
	if j.scout != nil {
		j.scout.Reset()
	}
	j.finish()
}
