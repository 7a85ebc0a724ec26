// Package column holds what a loss needs of embeddings: passes down the columns of a matrix
// and products of strips, on the calling worker.
package column

import (
	"fmt"

	"vicreg/internal/kernel/product"
)

//go:generate go -C ../_asm run ./columns -out ../column/column_amd64.s -stubs ../column/column_stubs_amd64.go -pkg column

// What a loss needs of the columns of embeddings. These functions run on the calling
// worker, inside the pieces of a parallel loop, and allocate nothing. They read matrices
// as stored and ignore Trans.

// CopySums copies z (rows × columns) to dst and adds up its columns in sum. If dst has a
// negative stride it is a single row, which ends up as the last row of z.
func CopySums(dst, z product.Mat, sum []float64) {
	z = z.Checked("z")
	sumColumns(dst.Data, rowsApart(dst), z.Data, z.Stride, z.Rows, z.Cols, sum[:z.Cols])
}

// Centre subtracts mean from the columns of z, in float64, and adds the squares of the
// result to square.
func Centre(z product.Mat, mean, square []float64) {
	z = z.Checked("z")
	centreColumns(z.Data, z.Stride, z.Rows, z.Cols, mean[:z.Cols], square[:z.Cols])
}

// Distance returns Σ (a − b)², in float64.
func Distance(a, b product.Mat) float64 {
	a, b = a.Checked("a"), b.Checked("b")
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
func Pull(dst, c, a, b product.Mat, mean []float64, coef []float32, beta float32) {
	a, b, dst = a.Checked("a"), b.Checked("b"), dst.Checked("dst")
	if a.Stride != b.Stride {
		panic("kernel: Pull of matrices of different strides")
	}
	gradColumns(dst.Data, dst.Stride, c.Data, rowsApart(c), a.Data, b.Data, a.Stride, a.Rows, a.Cols, mean[:a.Cols],
		coef[:a.Cols], beta)
}

// Put copies src to dst. Where dst's rows are whole cache lines it writes past the
// caches, since nobody will read dst soon.
func Put(dst, src product.Mat) {
	dst, src = dst.Checked("dst"), src.Checked("src")
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
func rowsApart(m product.Mat) int {
	if m.Stride == 0 {
		return m.Cols
	}
	return max(0, m.Stride)
}

// PackedLen returns how much scratch memory a product needs for a k × n right operand.
func PackedLen(k, n int) int { return product.PackedLen(k, n) }

// UpperGram computes g = z·zᵀ, or g += z·zᵀ if accumulate, on and above the diagonal,
// and some values below it. While it computes it brings next into the cache.
func UpperGram(g, z product.Mat, packed []float32, accumulate bool, next ...product.Mat) {
	g, z = g.Checked("g"), z.Checked("z")
	n, k := z.Rows, z.Cols
	packed = packed[:product.PackedLen(k, n)]
	product.PackB(packed, z.T())
	var f product.Fetcher
	most, w := product.TileShape(n)
	if product.HasColumns() {
		plan(&f, next, (n+w-1)/w)
		for j := 0; j < n; j += w {
			product.BlockNN(min(j+w, n), min(w, n-j), k, g.Data[j:], g.Stride, z.Data, z.Stride, packed[j*k:],
				accumulate)
			f.Step()
		}
		return
	}
	high := product.Share(n, most)
	plan(&f, next, (n+high-1)/high)
	for i := 0; i < n; i += high {
		j := i &^ 31 // where a panel starts
		product.BlockNN(min(high, n-i), n-j, k, g.Data[i*g.Stride+j:], g.Stride, z.Data[i*z.Stride:], z.Stride,
			packed[j*k:],
			accumulate)
		f.Step()
	}
}

// AddProduct computes c += a·b. While it computes it brings next into the cache.
func AddProduct(c, a, b product.Mat, packed []float32, next ...product.Mat) {
	c, a, b = c.Checked("c"), a.Checked("a"), b.Checked("b")
	m, n, k := a.Rows, b.Cols, b.Rows
	packed = packed[:product.PackedLen(k, n)]
	product.PackB(packed, b)
	var f product.Fetcher
	most, w := product.TileShape(n)
	high, wide := product.Share(m, most), n
	if product.HasColumns() {
		high, wide = m, w
	}
	plan(&f, next, (m+high-1)/high*((n+wide-1)/wide))
	for i := 0; i < m; i += high {
		for j := 0; j < n; j += wide {
			product.BlockNN(min(high, m-i), min(wide, n-j), k, c.Data[i*c.Stride+j:], c.Stride,
				a.Data[i*a.Stride:], a.Stride,
				packed[j*k:], true)
			f.Step()
		}
	}
}

func plan(f *product.Fetcher, next []product.Mat, steps int) {
	for _, m := range next {
		f.AddRows(m.Checked("next"))
	}
	f.Plan(steps)
}
