package train

import (
	"vicreg/internal/eval"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/runlog"
	"vicreg/internal/tensor"
)

// recent keeps the embeddings of the last rows images of an epoch. The figures that show
// collapse are computed from them.
type recent struct {
	rows, d int
	data    []float32 // rows × d, a ring
}

// recentRows is how many embeddings are kept. An effective rank cannot exceed
// it, nor the width of an embedding.
const recentRows = 1024

// newRecent keeps at most recentRows embeddings of an epoch of images.
func newRecent(images, d int) recent {
	rows := min(recentRows, images)
	return recent{rows, d, make([]float32, rows*d)}
}

// add takes in the embeddings z (n × d) of a step, the step-th of its epoch
// from 0.
func (r *recent) add(step int, z *tensor.Tensor) {
	vector.RingRows(r.data, z.Data, r.d, step*z.Shape[0])
}

// recents keep the embeddings of every branch.
type recents []recent

// add takes in the embeddings of a step, by branch.
func (r recents) add(step int, z []*tensor.Tensor) {
	for i := range r {
		r[i].add(step, z[i])
	}
}

// figures fills in the figures of an epoch, which are the first branch's. It returns why
// embeddings count as collapsed, a line for each branch that has.
func (r recents) figures(e *runlog.Epoch, targetStd float64) (collapses []string) {
	for i := range r {
		s := eval.NewSpectrum(r[i].data, r[i].rows, r[i].d)
		if i == 0 {
			e.EmbeddingStd, e.Correlation, e.Rank = s.Std, s.Correlation, s.Rank
		}
		collapsed, why := s.Collapsed(targetStd)
		if !collapsed {
			continue
		}
		e.Collapsed = true
		if len(r) > 1 {
			why = "branch " + branchNames[i] + ": " + why
		}
		collapses = append(collapses, why)
	}
	return collapses
}

// branchNames are what people call the two branches.
var branchNames = [2]string{"a", "b"}
