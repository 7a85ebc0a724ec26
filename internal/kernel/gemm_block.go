package kernel

// Block products run on the calling worker, allocate nothing, and are what
// convolution and the parallel product are made of. Matrices are row-major
// slices; lengths and strides count elements. Each element of c is a sum over
// k in order, in steps of depth: its bits do not depend on m or n.
//
// Where rows of an operand lie a multiple of 4 KiB apart they compete for the
// same few cache lines: give such a buffer a stride of, say, 16 elements more.

// depth is the most k a tile adds up before it touches c: a tile's rows of a,
// 14 × depth, then stay in the first-level cache.
const depth = 256

// blockNN computes c = a·b, or c += a·b if accumulate: c is m × n with rows crs
// apart, a is m × k with rows ars apart, b is k × n as packB left it. It goes
// through b once for every 14 rows of a, so depth × n of b should fit the
// second-level cache; m, and k, may be anything.
func blockNN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, accumulate bool) {
	block(m, n, k, c, crs, a, ars, 1, b, 0, accumulate)
}

// blockTN computes c = aᵀ·b, or c += aᵀ·b if accumulate: c is m × n with rows
// crs apart, a is k × m with rows ars apart, b is k × n with rows brs apart,
// neither packed.
func blockTN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, brs int, accumulate bool) {
	block(m, n, k, c, crs, a, 1, ars, b, brs, accumulate)
}

// block computes the product of a, element (i, p) at a[i*ars+p*aks], and b,
// packed if brs is 0.
func block(m, n, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int, accumulate bool) {
	if k == 0 && !accumulate {
		for i := range m {
			clear(c[i*crs:][:n])
		}
	}
	if m == 0 || n == 0 {
		return
	}
	for p := 0; p < k; {
		kb := share(k-p, depth)
		for i := 0; i < m; {
			most, _ := tileShape(n)
			rows := share(m-i, most)
			for j := 0; j < n; {
				_, w := tileShape(n - j)
				panel, step := b, brs
				if brs == 0 {
					panel, step = b[j*k+p*w:], w
				} else {
					panel = b[j+p*brs:]
				}
				if w <= n-j {
					tile(rows, w, kb, c[i*crs+j:], crs, a[i*ars+p*aks:], ars, aks, panel, step, accumulate || p > 0)
				} else {
					edge(rows, n-j, w, kb, c[i*crs+j:], crs, a[i*ars+p*aks:], ars, aks, panel, step, accumulate || p > 0)
				}
				j += w
			}
			i += rows
		}
		p += kb
	}
}

// share returns the size of the first of the fewest, nearly equal parts of n
// that are at most most.
func share(n, most int) int {
	parts := (n + most - 1) / most
	return (n + parts - 1) / parts
}

// edge computes the first cols columns of a tile of w, reading and writing no
// others. It goes through copies.
func edge(rows, cols, w, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int, accumulate bool) {
	const part = 64
	var bt [part * 32]float32
	var ct [14 * 32]float32
	for p := 0; p < k; p += part {
		kp := min(part, k-p)
		for q := range kp {
			copy(bt[q*w:], b[(p+q)*brs:][:cols])
		}
		tile(rows, w, kp, ct[:], w, a[p*aks:], ars, aks, bt[:], w, p > 0)
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
