package model

import (
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// A batch that is too large goes through in pieces, twice: [Joint.Embed] takes each piece of
// each view forward and keeps nothing, so that the loss sees the embeddings of all. Then
// [Joint.Again] and [Joint.Backward] take the same pieces through once more, one view at a
// time, and the gradients add up; [Joint.Finish] completes them. Batch normalisation takes
// its statistics of a piece.

// Embed takes items from..to of view i, whose values are x, through its branch, and keeps
// nothing for backward. Running statistics are updated. What it returns is the Joint's until
// the next piece.
func (j *Joint) Embed(i int, x *tensor.Tensor, from, to int) View {
	if j.scout == nil {
		if j.scout = nn.NewTargetPass(j.arena); j.running {
			j.scout.UseRunning()
		}
		if j.group != nil {
			j.scout.Together(j.group)
		}
	}
	j.scout.Reset()
	return j.branches[i].forward(j.scout, j.cut(j.scout, x, from, to))
}

// Again takes items forward that Embed has taken, to go backward. It gives the same numbers,
// and leaves running statistics alone.
func (j *Joint) Again(i int, x *tensor.Tensor, from, to int) View {
	j.scout.Reset()
	j.open = true
	p := j.passes[i]
	p.Reset()
	p.Counted()
	return j.branches[i].forward(p, j.cut(p, x, from, to))
}

// Finish completes the gradients when the last piece has gone backward.
func (j *Joint) Finish() {
	j.open = false
	j.finish()
}

// cut returns items from..to of x, which are to be the input of p.
func (j *Joint) cut(p *nn.Pass, x *tensor.Tensor, from, to int) *tensor.Tensor {
	values := tensor.Count(x.Shape[1:])
	p.Part(x.Data, from*values)
	j.piece.Shape = append(append(j.piece.Shape[:0], to-from), x.Shape[1:]...)
	j.piece.Data = x.Data[from*values : to*values]
	return &j.piece
}

// DeferPieces is Defer for a branch's views of so many rows in all, which come in pieces. The
// rows that are kept of all pieces are not to take more memory than the gradients whose
// memory they save, so it puts off those of fewer weights.
func (j *Joint) DeferPieces(rows int) { j.deferRows(rows) }

// Deferred reports whether the gradient of an array of an expander is put off, for so many
// rows that come in pieces; 0: of views that go through whole.
func (a Array) Deferred(rows int) bool {
	return len(a.Shape) == 2 && a.Len() >= DeferFrom && float64(rows)*float64(a.Shape[0]+a.Shape[1]) <= float64(a.Len())
}
