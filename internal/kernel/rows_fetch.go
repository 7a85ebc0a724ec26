package kernel

// fetchRows queues those of rows [y0, y1) that exist, of images [n0, n1). Of several
// images it queues all rows.
func (m *image) fetchRows(f *fetcher, n0, n1, y0, y1 int) {
	y0, y1 = max(0, y0), min(m.h, y1)
	lo, hi := (n0*m.h+y0)*m.w*m.c, ((n1-1)*m.h+y1)*m.w*m.c
	if lo >= hi {
		return
	}
	f.add(m.x[lo:hi])
	if m.other != nil {
		f.add(m.y[lo:hi])
	}
}

// fetchShare cuts what lies between row y0 of image n0 and row y1 of image n1-1 into
// shares and queues one of them.
func (m *image) fetchShare(f *fetcher, n0, y0, n1, y1, share, shares int) {
	lo, hi := (n0*m.h+max(0, y0))*m.w*m.c, ((n1-1)*m.h+min(m.h, y1))*m.w*m.c
	from, to := lo+(hi-lo)/shares*share, lo+(hi-lo)/shares*(share+1)
	if from >= to {
		return
	}
	f.add(m.x[from:to])
	if m.other != nil {
		f.add(m.y[from:to])
	}
}

// fetch queues what finishing elements [lo, hi) of dst reads and writes.
func (r *finisher) fetch(f *fetcher, dst []float32, lo, hi int) {
	if r.Mask.X != nil {
		f.add(r.Mask.X[lo:hi])
	}
	if r.Sums != nil && (r.Mask.X == nil || &r.Mask.X[0] != &r.Dot[0]) {
		f.add(r.Dot[lo:hi])
	}
	if r.Add != nil && &r.Add[0] != &dst[0] {
		f.add(r.Add[lo:hi])
	}
	if !r.stream {
		f.add(dst[lo:hi])
	}
}
