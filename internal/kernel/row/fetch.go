package row

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/shape"
)

// FetchRows queues those of rows [y0, y1) that exist, of images [n0, n1). Of several
// images it queues all rows.
func (m *Image) FetchRows(f *product.Fetcher, n0, n1, y0, y1 int) {
	y0, y1 = max(0, y0), min(m.H, y1)
	lo, hi := (n0*m.H+y0)*m.W*m.C, ((n1-1)*m.H+y1)*m.W*m.C
	if lo >= hi {
		return
	}
	f.Add(m.X.Memory(lo, hi))
	if m.Other != nil {
		f.Add(m.Y.Memory(lo, hi))
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
	f.Add(m.X.Memory(from, to))
	if m.Other != nil {
		f.Add(m.Y.Memory(from, to))
	}
}

// Fetch queues what finishing elements [lo, hi) of dst reads and writes.
func (r *Finisher) Fetch(f *product.Fetcher, dst shape.Values, lo, hi int) {
	if !r.Mask.X.None() {
		f.Add(r.Mask.X.Memory(lo, hi))
	}
	if r.Sums != nil && !r.Mask.X.Same(r.Dot) {
		f.Add(r.Dot.Memory(lo, hi))
	}
	if !r.Add.None() && !r.Add.Same(dst) {
		f.Add(r.Add.Memory(lo, hi))
	}
	if !r.Stream {
		f.Add(dst.Memory(lo, hi))
	}
}
