package product

import (
	"unsafe"

	"vicreg/internal/kernel/scratch"
)

// Fetcher brings memory that will soon be needed into the cache while products run: a
// few lines after each tile, so that the processor waits for neither memory nor
// arithmetic. It changes no result.
type Fetcher struct {
	list   [16]Mat
	count  int
	next   int
	share  int // lines at a step
	credit int // lines that are due
}

// Add queues a slice. What is queued first is fetched first.
func (f *Fetcher) Add(s []float32) {
	f.AddRows(Mat{Data: s, Rows: len(s) / scratch.LineFloats, Cols: scratch.LineFloats, Stride: scratch.LineFloats})
}

// AddRows queues a matrix.
func (f *Fetcher) AddRows(m Mat) {
	if m.Rows > 0 && f.count < len(f.list) {
		f.list[f.count] = m
		f.count++
	}
}

// Plan spreads the queue over some steps.
func (f *Fetcher) Plan(steps int) {
	lines := 0
	for i := range f.list[:f.count] {
		m := &f.list[i]
		lines += m.Rows * scratch.RoundUp(m.Cols, scratch.LineFloats) / scratch.LineFloats
	}
	f.share = (lines + steps - 1) / max(1, steps)
}

// lines returns how many lines of slices are left.
func (f *Fetcher) lines() int {
	n := 0
	for i := f.next; i < f.count; i++ {
		n += f.list[i].Rows
	}
	return n
}

// Step fetches the next few lines.
func (f *Fetcher) Step() {
	for n := f.share; n > 0 && f.next < f.count; {
		m := &f.list[f.next]
		some := *m
		perRow := scratch.RoundUp(m.Cols, scratch.LineFloats) / scratch.LineFloats
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

// ahead plans fetches for a column of tiles, each of which can fetch as many elements as
// it reads of b, which is n. It returns the distance from b to what is fetched next, in
// elements, and how many of the tiles, at most all, are to fetch: none if it is too
// early or nothing is left. The queue must hold slices only.
func (f *Fetcher) ahead(b []float32, n, tiles int) (far, fetches int) {
	lines := n / scratch.LineFloats
	if f.next == f.count || lines == 0 || f.credit < lines {
		return 0, 0
	}
	m := &f.list[f.next]
	far = distance(b, m.Data)
	fetches = min(tiles, f.credit/lines, (m.Rows+lines-1)/lines)
	f.credit -= fetches * lines
	if m.Rows -= fetches * lines; m.Rows <= 0 {
		f.next++
	} else {
		m.Data = m.Data[fetches*n:]
	}
	return far, fetches
}

// catchUp fetches what is due by now and was not fetched by tiles, since a tile fetches
// only as many lines as it is deep.
func (f *Fetcher) catchUp(lines int) {
	for f.credit >= lines && f.next < f.count {
		m := &f.list[f.next]
		some := *m
		some.Rows = min(m.Rows, lines)
		prefetchRows(some)
		f.credit -= lines
		if m.Rows -= some.Rows; m.Rows == 0 {
			f.next++
		} else {
			m.Data = m.Data[some.Rows*m.Stride:]
		}
	}
}

// Multiply computes c = a·b like BlockNN, and fetches on the way. With pairs, as
// in block, a and b are bfloat16.
func Multiply(pairs bool, m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, f *Fetcher) {
	if m == 0 {
		return
	}
	if pairs && hasTiles() {
		blockTiles(m, n, k, c, crs, a, ars, 1, b, 0, false, f, min(f.share*Steps(m, n), f.lines()))
		return
	}
	if !pairs && n == 16 && k == 16 && crs == 16 && ars == 16 && hasSquare() && m >= 8 {
		f.credit += f.share * Steps(m, n)
		far, _ := f.ahead(b, m*scratch.LineFloats, 1)
		multiplySquare(m, c, a, b, far)
		f.catchUp(m)
		return
	}
	deep := Share(k, depth)
	for j := 0; j < n; {
		_, w := TileShape(n - j)
		tiles := Steps(m, min(w, n-j))
		f.credit += f.share * tiles
		for p := 0; p < k; p += deep {
			kb := min(deep, k-p)
			panel := b[j*k+p*w:]
			ahead, fetches := f.ahead(panel, kb*w, tiles)
			column(pairs, m, n-j, w, kb, c[j:], crs, a[p:], ars, 1, panel, w, ahead, fetches, p > 0)
		}
		f.catchUp(deep * w / scratch.LineFloats)
		j += w
	}
}

// Steps returns how many steps multiply takes.
func Steps(m, n int) int {
	if m == 0 {
		return 0
	}
	most, w := TileShape(n)
	high := Share(m, most)
	return (m + high - 1) / high * ((n + w - 1) / w)
}

// MultiplyTN computes c = aᵀ·b, or c += aᵀ·b, like BlockTN, and fetches on the way:
// tiles of the first rows fetch what was queued first, and so on. They fetch with the
// stride of b, so what lies between rows is not fetched.
func MultiplyTN(pairs bool, m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, brs int,
	accumulate bool, f *Fetcher) {
	if pairs && hasTiles() {
		blockTiles(m, n, k, c, crs, a, 1, ars, b, brs, accumulate, f, f.lines())
		return
	}
	most, _ := TileShape(n)
	high, deep := Share(m, most), Share(k, depth)
	for p := 0; p < k; p += deep {
		kb := min(deep, k-p)
		first := m // row from which on tiles come in columns and fetch nothing
		if HasColumns() && f.count*high < m {
			first = f.count * high
			for j := 0; j < n; {
				_, w := TileShape(n - j)
				column(pairs, m-first, n-j, w, kb, c[first*crs+j:], crs, a[first+p*ars:], 1, ars, b[j+p*brs:], brs, 0,
					0, accumulate || p > 0)
				j += w
			}
		}
		for i := 0; i < first; i += high {
			for j := 0; j < n; {
				_, w := TileShape(n - j)
				at := j + p*brs
				part(pairs, min(high, first-i), n-j, w, kb, c[i*crs+j:], crs, a[i+p*ars:], 1, ars, b[at:], brs,
					f.beside(b, at, i/high), accumulate || p > 0)
				j += w
			}
		}
	}
}

// beside returns how far slice number i lies from b, in elements, if it has an element
// number at.
func (f *Fetcher) beside(b []float32, at, i int) int {
	if i >= f.count || at >= f.list[i].Rows*scratch.LineFloats {
		return 0
	}
	return distance(b, f.list[i].Data)
}

// distance returns how far one slice lies from another, in elements. It serves for hints
// alone: nothing is read or written through it.
func distance(from, to []float32) int {
	return (int(uintptr(unsafe.Pointer(&to[0]))) - int(uintptr(unsafe.Pointer(&from[0])))) / 4
}
