package row

import (
	"vicreg/internal/kernel/product"
)

// FetchRows queues those of rows [y0, y1) that exist, of images [n0, n1). Of several
// images it queues all rows.
func (m *Image) FetchRows(f *product.Fetcher, n0, n1, y0, y1 int) {
	y0, y1 = max(0, y0), min(m.H, y1)
	lo, hi := (n0*m.H+y0)*m.W*m.C, ((n1-1)*m.H+y1)*m.W*m.C
	if lo >= hi {
		return
	}
	f.Add(m.X[lo:hi])
	if m.Other != nil {
		f.Add(m.Y[lo:hi])
	}
}

// FetchShare cuts what lies between row y0 of image n0 and row y1 of image n1-1 into
// shares and queues one of them.
func (m *Image) FetchShare(f *product.Fetcher, n0, y0, n1, y1, share, shares int) {
	lo, hi := (n0*m.H+max(0, y0))*m.W*m.C, ((n1-1)*m.H+min(m.H, y1))*m.W*m.C
	from, to := lo+(hi-lo)/shares*share, lo+(hi-lo)/shares*(share+1)
	if from >= to {
		return
	}
	f.Add(m.X[from:to])
	if m.Other != nil {
		f.Add(m.Y[from:to])
	}
}

// Fetch queues what finishing elements [lo, hi) of dst reads and writes.
func (r *Finisher) Fetch(f *product.Fetcher, dst []float32, lo, hi int) {
	if r.Mask.X != nil {
		f.Add(r.Mask.X[lo:hi])
	}
	if r.Sums != nil && (r.Mask.X == nil || &r.Mask.X[0] != &r.Dot[0]) {
		f.Add(r.Dot[lo:hi])
	}
	if r.Add != nil && &r.Add[0] != &dst[0] {
		f.Add(r.Add[lo:hi])
	}
	if !r.Stream {
		f.Add(dst[lo:hi])
	}
}
