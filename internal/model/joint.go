package model

import (
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// Branch is what one view goes through.
type Branch struct {
	Encoder  Encoder
	Expander *Expander
}

// Joint is two branches side by side, each view in a pass of its own, so that
// batch statistics are per view. The branches may be the same one, or differ in
// everything but the width of their embeddings.
type Joint struct {
	branches        [2]*Branch
	passes          [2]*nn.Pass
	arena           *nn.Arena
	params, buffers []*nn.Param
}

// View is what a branch makes of a view. Both belong to the Joint, until its
// next Forward or Backward.
type View struct {
	Y *tensor.Tensor // representations, n × Encoder.Dim
	Z *tensor.Tensor // embeddings, n × Expander.Dim
}

// NewJoint joins two branches; pass the same one twice to share its weights.
func NewJoint(a, b *Branch) *Joint {
	if a.Expander.Dim() != b.Expander.Dim() {
		panic("model: the embeddings of two branches differ in width")
	}
	j := &Joint{branches: [2]*Branch{a, b}, arena: new(nn.Arena)}
	for i := range j.passes {
		j.passes[i] = nn.NewPass(j.arena, true)
	}
	if a == b {
		j.collect(a, "")
	} else {
		j.collect(a, "branch1.")
		j.collect(b, "branch2.")
	}
	return j
}

// collect appends a branch's parameters and buffers under full names. They are
// new headers of the same values and gradients.
func (j *Joint) collect(b *Branch, prefix string) {
	named := func(to *[]*nn.Param, prefix string, ps []*nn.Param) {
		for _, p := range ps {
			q := *p
			q.Name = prefix + p.Name
			*to = append(*to, &q)
		}
	}
	named(&j.params, prefix+"backbone.", b.Encoder.Params())
	named(&j.params, prefix+"projector.", b.Expander.Params())
	named(&j.buffers, prefix+"backbone.", b.Encoder.Buffers())
	named(&j.buffers, prefix+"projector.", b.Expander.Buffers())
}

// Shared reports whether both branches are one.
func (j *Joint) Shared() bool { return j.branches[0] == j.branches[1] }

// Branch returns branch 0 or 1.
func (j *Joint) Branch(i int) *Branch { return j.branches[i] }

// Params returns every trainable parameter once, named as in the released
// checkpoints: backbone.conv1.weight, projector.0.weight; separate branches
// have branch1. and branch2. before that.
func (j *Joint) Params() []*nn.Param { return j.params }

// Buffers returns every running statistic once, named like Params.
func (j *Joint) Buffers() []*nn.Param { return j.buffers }

// Arena returns where the passes take their buffers from; inference between
// steps may use it too.
func (j *Joint) Arena() *nn.Arena { return j.arena }

// ZeroGrad clears the gradients; Backward adds to them.
func (j *Joint) ZeroGrad() {
	for _, p := range j.params {
		parallel.Range(len(p.Grad), 1<<18, func(_, lo, hi int) { clear(p.Grad[lo:hi]) })
	}
}

// Forward takes each view through its branch, in training.
func (j *Joint) Forward(x1, x2 *tensor.Tensor) (View, View) {
	return j.forward(0, x1), j.forward(1, x2)
}

func (j *Joint) forward(i int, x *tensor.Tensor) View {
	p, b := j.passes[i], j.branches[i]
	p.Reset()
	y := b.Encoder.Forward(p, x)
	return View{Y: y, Z: b.Expander.Forward(p, y)}
}

// Backward adds the gradients of the parameters given those of the embeddings,
// the second view's first: its memory serves the first view's backward.
func (j *Joint) Backward(dz1, dz2 []float32) {
	j.backward(1, dz2)
	j.backward(0, dz1)
}

func (j *Joint) backward(i int, dz []float32) {
	p, b := j.passes[i], j.branches[i]
	dy := b.Expander.Backward(p, dz)
	b.Encoder.Backward(p, dy, nil)
	j.arena.Put(dy)
}
