package kernel

// fetcher brings memory that will soon be needed to the cache while products
// run: a few lines after each tile of a product, so that the processor waits for
// neither. It changes no result.
type fetcher struct {
	list  [16]Mat
	count int
	next  int
	share int // lines at a time
}

// add queues a slice. What is queued first is fetched first.
func (f *fetcher) add(s []float32) {
	f.addRows(Mat{Data: s, Rows: len(s) / lineFloats, Cols: lineFloats, Stride: lineFloats})
}

// addRows queues a matrix.
func (f *fetcher) addRows(m Mat) {
	if m.Rows > 0 && f.count < len(f.list) {
		f.list[f.count] = m
		f.count++
	}
}

// plan spreads what is queued over some steps.
func (f *fetcher) plan(steps int) {
	lines := 0
	for i := range f.list[:f.count] {
		m := &f.list[i]
		lines += m.Rows * roundUp(m.Cols, lineFloats) / lineFloats
	}
	f.share = (lines + steps - 1) / max(1, steps)
}

// step fetches the next few lines.
func (f *fetcher) step() {
	for n := f.share; n > 0 && f.next < f.count; {
		m := &f.list[f.next]
		some := *m
		perRow := roundUp(m.Cols, lineFloats) / lineFloats
		some.Rows = min(m.Rows, (n+perRow-1)/perRow)
		prefetchRows(some)
		n -= some.Rows * perRow
		if m.Rows -= some.Rows; m.Rows == 0 {
			f.next++
		} else {
			m.Data = m.Data[some.Rows*m.Stride:]
		}
	}
}

// packedColumns is how many columns of a product's right side make a block.
const packedColumns = 32

// multiply computes c = a·b like blockNN, tile by tile, and fetches between
// them.
func multiply(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, f *fetcher) {
	most, _ := tileShape(n)
	high := share(m, most)
	for j := 0; j < n; j += packedColumns {
		for i := 0; i < m; i += high {
			blockNN(min(high, m-i), min(packedColumns, n-j), k, c[i*crs+j:], crs, a[i*ars:], ars, b[j*k:], false)
			f.step()
		}
	}
}

// steps returns how many steps multiply takes.
func steps(m, n int) int {
	most, _ := tileShape(n)
	high := share(m, most)
	return (m + high - 1) / high * ((n + packedColumns - 1) / packedColumns)
}

// multiplyTN computes c = aᵀ·b, or c += aᵀ·b, like blockTN, and fetches on the
// way.
func multiplyTN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, brs int, accumulate bool, f *fetcher) {
	for p := 0; p < k; p += deepTN {
		kb := min(deepTN, k-p)
		for i := 0; i < m; i += highTN {
			blockTN(min(highTN, m-i), n, kb, c[i*crs:], crs, a[p*ars+i:], ars, b[p*brs:], brs, accumulate || p > 0)
			f.step()
		}
	}
}

// stepsTN returns how many steps multiplyTN takes.
func stepsTN(m, k int) int { return (m + highTN - 1) / highTN * ((k + deepTN - 1) / deepTN) }

// Rows and depth of the part of a product after which multiplyTN fetches.
const (
	highTN = 28
	deepTN = 256
)

// fetchRows queues rows [y0, y1), as far as there are, of images [n0, n1): of
// several images, all rows.
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

// fetchShare queues one of some shares of the rows from y0 of image n0 to y1 of
// image n1-1.
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
