package kernel

import "fmt"

//go:generate go -C _asm run ./columns -out ../columns_amd64.s -stubs ../columns_stubs_amd64.go -pkg kernel

// What a loss needs of the columns of embeddings. These functions run on the calling
// worker, inside the pieces of a parallel loop, and allocate nothing. They read matrices
// as stored and ignore Trans.

// CopySums copies z (rows × columns) to dst and adds up its columns in sum. If dst has a
// negative stride it is a single row, which ends up as the last row of z.
func CopySums(dst, z Mat, sum []float64) {
	z = z.checked("z")
	sumColumns(dst.Data, rowsApart(dst), z.Data, z.Stride, z.Rows, z.Cols, sum[:z.Cols])
}

// Centre subtracts mean from the columns of z, in float64, and adds the squares of the
// result to square.
func Centre(z Mat, mean, square []float64) {
	z = z.checked("z")
	centreColumns(z.Data, z.Stride, z.Rows, z.Cols, mean[:z.Cols], square[:z.Cols])
}

// Distance returns Σ (a − b)², in float64.
func Distance(a, b Mat) float64 {
	a, b = a.checked("a"), b.checked("b")
	var lanes [8]float64
	distanceColumns(a.Data, a.Stride, b.Data, b.Stride, a.Rows, a.Cols, &lanes)
	var sum float64
	for _, v := range lanes {
		sum += v
	}
	return sum
}

// Pull computes c = a − mean, in float64, and dst = coef·c + beta·(a − b). a and b have
// the same stride. If c has a negative stride it is a single row, overwritten each time.
func Pull(dst, c, a, b Mat, mean []float64, coef []float32, beta float32) {
	a, b, dst = a.checked("a"), b.checked("b"), dst.checked("dst")
	if a.Stride != b.Stride {
		panic("kernel: Pull of matrices of different strides")
	}
	gradColumns(dst.Data, dst.Stride, c.Data, rowsApart(c), a.Data, b.Data, a.Stride, a.Rows, a.Cols, mean[:a.Cols],
		coef[:a.Cols], beta)
}

// Put copies src to dst. Where dst's rows are whole cache lines it writes past the
// caches, since nobody will read dst soon.
func Put(dst, src Mat) {
	dst, src = dst.checked("dst"), src.checked("src")
	if dst.Rows != src.Rows || dst.Cols != src.Cols {
		panic(fmt.Sprintf("kernel: Put of %d × %d into %d × %d", src.Rows, src.Cols, dst.Rows, dst.Cols))
	}
	if putRows(dst, src) {
		return
	}
	for i := range dst.Rows {
		copy(dst.Data[i*dst.Stride:][:dst.Cols], src.Data[i*src.Stride:])
	}
}

// rowsApart returns the distance between rows: 0 for a negative stride.
func rowsApart(m Mat) int {
	if m.Stride == 0 {
		return m.Cols
	}
	return max(0, m.Stride)
}

// PackedLen returns how much scratch memory a product needs for a k × n right operand.
func PackedLen(k, n int) int { return packedLen(k, n) }

// UpperGram computes g = z·zᵀ, or g += z·zᵀ if accumulate, on and above the diagonal,
// and some values below it. While it computes it brings next into the cache.
func UpperGram(g, z Mat, packed []float32, accumulate bool, next ...Mat) {
	g, z = g.checked("g"), z.checked("z")
	n, k := z.Rows, z.Cols
	packed = packed[:packedLen(k, n)]
	packB(packed, z.T())
	var f fetcher
	most, w := tileShape(n)
	if hasColumns() {
		plan(&f, next, (n+w-1)/w)
		for j := 0; j < n; j += w {
			blockNN(min(j+w, n), min(w, n-j), k, g.Data[j:], g.Stride, z.Data, z.Stride, packed[j*k:], accumulate)
			f.step()
		}
		return
	}
	high := share(n, most)
	plan(&f, next, (n+high-1)/high)
	for i := 0; i < n; i += high {
		j := i &^ 31 // where a panel starts
		blockNN(min(high, n-i), n-j, k, g.Data[i*g.Stride+j:], g.Stride, z.Data[i*z.Stride:], z.Stride, packed[j*k:],
			accumulate)
		f.step()
	}
}

// AddProduct computes c += a·b. While it computes it brings next into the cache.
func AddProduct(c, a, b Mat, packed []float32, next ...Mat) {
	c, a, b = c.checked("c"), a.checked("a"), b.checked("b")
	m, n, k := a.Rows, b.Cols, b.Rows
	packed = packed[:packedLen(k, n)]
	packB(packed, b)
	var f fetcher
	most, w := tileShape(n)
	high, wide := share(m, most), n
	if hasColumns() {
		high, wide = m, w
	}
	plan(&f, next, (m+high-1)/high*((n+wide-1)/wide))
	for i := 0; i < m; i += high {
		for j := 0; j < n; j += wide {
			blockNN(min(high, m-i), min(wide, n-j), k, c.Data[i*c.Stride+j:], c.Stride, a.Data[i*a.Stride:], a.Stride,
				packed[j*k:], true)
			f.step()
		}
	}
}

func plan(f *fetcher, next []Mat, steps int) {
	for _, m := range next {
		f.addRows(m.checked("next"))
	}
	f.plan(steps)
}
