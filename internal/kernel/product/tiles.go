package product

import "vicreg/internal/kernel/scratch"

// Under AMX, products of pairs run on tiles of 16 rows. A tile of the left operand holds 16
// pairs of each row side by side, so an operand that is transposed is copied first; what a
// copy of some rows takes should fit the second-level cache beside the rows of b.

// transposedFloats is the most of a transposed operand to copy at a time.
const transposedFloats = 16 << 10

// runsOf is the left operand of a product as tiles read it: an element of a row is a pair
// of bfloat16, and a row consists of count runs of length pairs, which lie apart.
type runsOf struct {
	data          []float32
	ars           int
	count, length int
	apart         int
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
	left := runsOf{data: a, ars: ars, count: 1, length: kb}
	if brs != 0 {
		multiplyTiles(m, n, c, crs, left, b[p*brs:], brs, 32, accumulate, f, lines)
		return
	}
	narrow := n % 32 // a last panel of 16 columns
	if narrow > 16 {
		narrow = 0
	}
	if wide := n - narrow; wide > 0 {
		multiplyTiles(m, wide, c, crs, left, b[p*32:], 32, 32*k, accumulate, f, lines)
		lines = 0
	}
	if narrow > 0 {
		j := n - narrow
		multiplyTiles(m, narrow, c[j:], crs, left, b[j*k+p*16:], 16, 0, accumulate, f, lines)
	}
}
