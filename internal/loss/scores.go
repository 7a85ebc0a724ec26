package loss

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/tensor"
)

// scored is a cross-entropy of unit rows a against unit rows b, d wide each: of all rows
// of b, the one that its label names must score highest with a row of a. The gradients
// are added up in da and db, unless they are left out. Where a and b are the same rows,
// so are da and db, and no row is scored with itself.
type scored struct {
	a, b, da, db product.Mat
	self         bool // a is b
	labels       []int32
	inverse      float64 // 1/T
	weight       float64 // of the gradient
}

// heldScores is how many scores are held at a time where all rows are compared with all
// rows: 256 MiB of them. Batches of training have fewer.
var heldScores = 1 << 26

// scoreRows returns how many rows at a time have all their n scores held.
func scoreRows(n int) int {
	if n <= heldScores/n {
		return n
	}
	return max(1, heldScores/n)
}

// run takes a block of rows of a at a time. It returns, of all rows, what softmax.run
// does.
func (s *scored) run(ws *Workspace) (loss float64, hits int, positive float64) {
	block := scoreRows(s.b.Rows)
	ws.square = tensor.Grow(ws.square, block*s.b.Rows)
	for lo := 0; lo < s.a.Rows; lo += block {
		rows := min(block, s.a.Rows-lo)
		these := part(s.a, lo, rows)
		g := product.Mat{Data: ws.square, Rows: rows, Cols: s.b.Rows}
		product.Gemm(g, these, s.b.T(), false)
		x := &ws.softmax
		x.scores, x.cols, x.labels, x.notSelf, x.before = ws.square, s.b.Rows, s.labels[lo:], s.self, lo
		x.inverse, x.weight = s.inverse, s.weight
		if s.da.Data != nil || s.db.Data != nil {
			x.grads = ws.square
		}
		l, h, p := x.run(rows)
		loss, hits, positive = loss+l, hits+h, positive+p
		if s.da.Data != nil {
			if s.self && lo == 0 { // the product below adds to the rows of later blocks
				clear(s.da.Data[rows*s.da.Stride:])
			}
			product.Gemm(part(s.da, lo, rows), g, s.b, s.self && lo > 0)
		}
		if s.db.Data != nil {
			product.Gemm(s.db, g.T(), these, s.self || lo > 0)
		}
	}
	return loss, hits, positive
}
