package kernel

// Block products run on the calling worker, allocate nothing, and are what
// convolution and the parallel product are made of. Rows of c, a and b are
// strided slices; lengths and strides count elements.
//
// Where rows of an operand lie a multiple of 4 KiB apart they compete for the
// same few cache lines: give such a buffer a stride of, say, 16 elements more.

// packedLen returns the length of a k × n matrix packed by packB.
func packedLen(k, n int) int { return k * ((n + panelAlign - 1) &^ (panelAlign - 1)) }

// panelAlign is what the width of every panel is a multiple of.
const panelAlign = 16

// panelWidth returns the width of the panel that starts where rem columns are
// left.
func panelWidth(rem int) int { return panelAlign }

// packB packs b, or its transpose if b.Trans, a k × n matrix, for blockNN.
// The packed form belongs to the active variant of the processor: it is
// panels side by side, each k rows of some fixed number of columns, zero
// where b has no columns left.
func packB(dst []float32, b Mat) {
	b = b.checked("b")
	k, n := b.dims()
	bks, bjs := b.steps()
	for j := 0; j < n; {
		w := panelWidth(n - j)
		panel := dst[j*k:][:w*k]
		for p := range k {
			row := panel[p*w:][:w]
			clear(row)
			for x := range min(w, n-j) {
				row[x] = b.Data[p*bks+(j+x)*bjs]
			}
		}
		j += w
	}
}

// blockNN computes c = a·b, or c += a·b if accumulate: c is m × n with rows crs
// apart, a is m × k with rows ars apart, b is k × n as packB left it. It wants
// m × k and k × n to fit the second-level cache, or nearly; any k will do.
func blockNN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, accumulate bool) {
	if m == 0 {
		return
	}
	for j := 0; j < n; {
		w := panelWidth(n - j)
		plainGemm(m, min(w, n-j), k, c[j:], crs, 1, a, ars, 1, b[j*k:], w, 1, accumulate)
		j += w
	}
}

// blockTN computes c = aᵀ·b, or c += aᵀ·b if accumulate: c is m × n with rows
// crs apart, a is k × m with rows ars apart, b is k × n with rows brs apart,
// neither packed.
func blockTN(m, n, k int, c []float32, crs int, a []float32, ars int, b []float32, brs int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	plainGemm(m, n, k, c, crs, 1, a, 1, ars, b, brs, 1, accumulate)
}
