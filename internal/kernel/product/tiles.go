package product

import "vicreg/internal/kernel/scratch"

// Under AMX, products of pairs run on tiles of 16 rows. A tile of the left operand holds 16
// pairs of each row side by side, so an operand that is transposed is copied first; what a
// copy of some rows takes should fit the second-level cache beside the rows of b.

// transposedFloats is the most of a transposed operand to copy at a time.
const transposedFloats = 16 << 10

// tilePanels is the most of b to go through for each block of rows: it should stay in the
// second-level cache, beside what another thread of the core has there.
var tilePanels = 64 << 10

// Runs is a left operand of pairs whose rows are not whole: a row is Count runs of Length
// pairs, Apart elements from one to the next. Rows lie Step apart, and may overlap, so
// that the pixels which an output pixel of a convolution sees are multiplied where they
// lie. There are Blocks blocks of rows, Next apart.
type Runs struct {
	Data                 []float32
	Step                 int
	Count, Length, Apart int
	Blocks, Next         int
	Odd                  bool // rows begin with the second value of a pair, and end with a first
}

// RunDepth returns how many rows of pairs the right operand takes for a run: those after
// its length are zeros.
func RunDepth(length int) int { return scratch.RoundUp(length, 16) }

// HasRuns says whether there are products of Runs.
func HasRuns() bool { return hasTiles() }

// MultiplyRuns computes c = a·b, m × n elements for each block of a. Rows of c lie crs
// apart, blocks of them next. b is as PackB left Count·RunDepth(Length) rows of pairs. What
// follows a run in memory, up to RunDepth, meets zeros; it must be there, and hold numbers.
func MultiplyRuns(m, n int, c []float32, crs, next int, a Runs, b []float32, f *Fetcher) {
	f.credit = 0
	lines := f.lines()
	depth := a.Count * RunDepth(a.Length)
	narrow := n % 32 // a last panel of 16 columns
	if narrow > 16 {
		narrow = 0
	}
	if wide := n - narrow; wide > 0 {
		multiplyTiles(m, wide, c, crs, next, a, b, 32, 32*depth, false, f, lines)
		lines = 0
	}
	if narrow > 0 {
		j := n - narrow
		multiplyTiles(m, narrow, c[j:], crs, next, a, b[j*depth:], 16, 0, false, f, lines)
	}
}

// AddRows computes c += a·b for m × n elements, where rows of a are single runs, and rows of
// b lie brs apart. It is for operands that stay in the second-level cache.
func AddRows(m, n int, c []float32, crs int, a Runs, b []float32, brs int) {
	multiplyTiles(m, n, c, crs, 0, a, b, brs, 32, true, nil, 0)
}

// TransposePairs writes k rows of m pairs, stride apart, as columns of dst, ds apart.
func TransposePairs(dst []float32, ds int, src []float32, stride, m, k int) {
	transposePairs(dst, ds, src, stride, m, k)
}

// blockTiles is Block for pairs, and fetches some lines of f on the way.
func blockTiles(m, n, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int, accumulate bool,
	f *Fetcher, lines int) {
	deep := Share(k, depth)
	high := m
	var s *space
	stride := scratch.Padded(deep)
	if aks != 1 {
		if ars != 1 {
			panic("kernel: rows of pairs must be whole, or columns")
		}
		high = max(32, transposedFloats/stride&^31)
		s = private.take()
		defer private.put(s)
	}
	for p := 0; p < k; p += deep {
		kb := min(deep, k-p)
		for i := 0; i < m; i += high {
			rows := min(high, m-i)
			left, step := a[i*ars+p*aks:], ars
			if aks != 1 {
				left, step = grow(&s.a, high*stride), stride
				transposePairs(left, step, a[i+p*aks:], aks, rows, kb)
			}
			panelsOf(rows, n, k, p, kb, c[i*crs:], crs, left, step, b, brs, accumulate || p > 0, f, lines)
			lines = 0
		}
	}
}

// panelsOf multiplies kb pairs of rows of a, from pair p of k on, by all panels of b.
func panelsOf(m, n, k, p, kb int, c []float32, crs int, a []float32, ars int, b []float32, brs int, accumulate bool,
	f *Fetcher, lines int) {
	left := Runs{Data: a, Step: ars, Count: 1, Length: kb, Blocks: 1}
	if brs != 0 {
		multiplyTiles(m, n, c, crs, 0, left, b[p*brs:], brs, 32, accumulate, f, lines)
		return
	}
	narrow := n % 32 // a last panel of 16 columns
	if narrow > 16 {
		narrow = 0
	}
	if wide := n - narrow; wide > 0 {
		multiplyTiles(m, wide, c, crs, 0, left, b[p*32:], 32, 32*k, accumulate, f, lines)
		lines = 0
	}
	if narrow > 0 {
		j := n - narrow
		multiplyTiles(m, narrow, c[j:], crs, 0, left, b[j*k+p*16:], 16, 0, accumulate, f, lines)
	}
}
