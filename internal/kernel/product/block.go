package product

// Block products run on the calling worker and allocate nothing; convolution and the
// parallel product are made of them. Matrices are row-major slices; lengths and strides
// count elements. Each element of c is a sum over k in order, in steps that depend on k
// and n alone: its bits do not depend on how many rows are computed at once.
//
// Where rows of an operand lie a multiple of 4 KiB apart they compete for the same few
// cache lines: give such a buffer a stride of, say, 16 elements more.

// depth is the most k a tile adds up before it touches c: a tile's rows of a,
// 14 × depth, then stay in the first-level cache.
const depth = 256

// BlockNN computes c = a·b, or c += a·b if accumulate: c is m × n with rows crs apart, a
// is m × k with rows ars apart, b is k × n as PackB left it. It goes through b once for
// every 14 rows of a, so depth × n of b should fit the second-level cache. m and k may
// be of any size.
func BlockNN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, accumulate bool) {
	Block(false, m, n, k, c, crs, a, ars, 1, b, 0, accumulate)
}

// BlockTN computes c = aᵀ·b, or c += aᵀ·b if accumulate: c is m × n with rows
// crs apart, a is k × m with rows ars apart, b is k × n with rows brs apart,
// neither packed.
func BlockTN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, brs int, accumulate bool) {
	Block(false, m, n, k, c, crs, a, 1, ars, b, brs, accumulate)
}

// Block computes the product of a, element (i, p) at a[i*ars+p*aks], and b,
// packed if brs is 0. With pairs, here and below, elements of a and b are pairs
// of bfloat16, k of them.
func Block(pairs bool, m, n, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int,
	accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	if k == 0 && !accumulate {
		for i := range m {
			clear(c[i*crs:][:n])
		}
	}
	if k == 0 {
		return
	}
	if pairs && hasTiles() {
		blockTiles(m, n, k, c, crs, a, ars, aks, b, brs, accumulate, nil, 0)
		return
	}
	deep := Share(k, depth)
	most, _ := TileShape(n)
	high := Share(m, most)
	if HasColumns() {
		high = m
	}
	for p := 0; p < k; p += deep {
		kb := min(deep, k-p)
		for i := 0; i < m; i += high {
			rows := min(high, m-i)
			for j := 0; j < n; {
				_, w := TileShape(n - j)
				at, step := j+p*brs, brs
				if brs == 0 {
					at, step = j*k+p*w, w
				}
				column(pairs, rows, n-j, w, kb, c[i*crs+j:], crs, a[i*ars+p*aks:], ars, aks, b[at:], step, 0, 0,
					accumulate || p > 0)
				j += w
			}
		}
	}
}

// column computes m > 0 rows of w columns (of fewer if only cols are left) as tiles one
// below the other. The first of them, as many as fetches says, also fetch memory as tile
// does, each the stretch after that of the one before.
func column(pairs bool, m, cols, w, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead,
	fetches int, accumulate bool) {
	most, _ := TileShape(cols)
	if HasColumns() && !pairs && w <= cols {
		tiles := (m + most - 1) / most
		low := m / tiles
		count := m - low*tiles // one row higher than the others
		if count > 0 {
			tilesBelow(count, low+1, k, c, crs, a, ars, aks, b, brs, ahead, fetches, accumulate)
			if fetches -= count; fetches > 0 {
				ahead += count * k * brs
			} else {
				ahead = 0
			}
		}
		i := count * (low + 1)
		tilesBelow(tiles-count, low, k, c[i*crs:], crs, a[i*ars:], ars, aks, b, brs, ahead, fetches, accumulate)
		return
	}
	high := Share(m, most)
	for i := 0; i < m; i += high {
		if fetches <= 0 {
			ahead = 0
		}
		part(pairs, min(high, m-i), cols, w, k, c[i*crs:], crs, a[i*ars:], ars, aks, b, brs, ahead, accumulate)
		ahead += k * brs
		fetches--
	}
}

// Share cuts n into as few parts of at most most as possible, nearly equal, and returns
// the size of a part.
func Share(n, most int) int {
	parts := max(1, (n+most-1)/most)
	return (n + parts - 1) / parts
}

// part computes a tile of w columns, or fewer if only cols are left.
func part(pairs bool, rows, cols, w, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs,
	ahead int, accumulate bool) {
	if w <= cols {
		anyTile(pairs, rows, w, k, c, crs, a, ars, aks, b, brs, ahead, accumulate)
	} else {
		edge(pairs, rows, cols, w, k, c, crs, a, ars, aks, b, brs, accumulate)
	}
}

// anyTile computes a whole tile.
func anyTile(pairs bool, rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs,
	ahead int, accumulate bool) {
	if !pairs {
		tile(rows, cols, k, c, crs, a, ars, aks, b, brs, ahead, accumulate)
		return
	}
	for r := 0; r < rows; r += rowsBF16 {
		tileBF16(min(rows-r, rowsBF16), cols, k, c[r*crs:], crs, a[r*ars:], ars, aks, b, brs, ahead, accumulate)
		ahead = 0
	}
}

// edge computes the first cols columns of a tile of w, and reads and writes no others.
// It works on copies.
func edge(pairs bool, rows, cols, w, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int,
	accumulate bool) {
	const deep = 64
	var bt [deep * 32]float32
	var ct [14 * 32]float32 // or 28 × 16
	for p := 0; p < k; p += deep {
		kp := min(deep, k-p)
		for q := range kp {
			copy(bt[q*w:], b[(p+q)*brs:][:cols])
		}
		anyTile(pairs, rows, w, kp, ct[:], w, a[p*aks:], ars, aks, bt[:], w, 0, p > 0)
	}
	for i := range rows {
		out := c[i*crs:][:cols]
		for j, v := range ct[i*w:][:cols] {
			if accumulate {
				v += out[j]
			}
			out[j] = v
		}
	}
}

// Collide reports whether rows that lie so many elements apart must be copied before they
// are multiplied, since those of a tile would fall on the same few cache lines. Caches of
// the first level have 8 to 12 lines for each remainder of 4 KiB.
func Collide(apart int, pairs bool) bool {
	if HasColumns() || pairs && hasTiles() { // many rows at once
		return apart%256 == 0
	}
	return apart%1024 == 0
}

// ColumnsFactor is how much larger pieces of a convolution are where tiles come in
// columns. A column reads its panel of weights once for all rows of a piece, from the
// cache that workers share, and meanwhile its rows need not stay in any cache.
func ColumnsFactor() int {
	if HasColumns() {
		return 4
	}
	return 1
}
