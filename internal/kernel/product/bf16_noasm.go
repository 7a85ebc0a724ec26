//go:build !amd64

package product

func tileBF16(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead int,
	accumulate bool) {
	plainTileBF16(rows, cols, k, c, crs, a, ars, aks, b, brs, accumulate)
}

func NarrowRows(dst []float32, ds int, src []float32, ss, rows, n int) {
	plainNarrowRows(dst, ds, src, ss, rows, n)
}

func PairRows(dst []float32, ds int, src []float32, ss, rows, n int) {
	plainPairRows(dst, ds, src, ss, rows, n, 0)
}

func hasEnd() bool { return false }

func endTile(e *End, i, j, rows, k int, before []float32, a []float32, ars int, b []float32, ahead int) {
	plainEndTile(e, i, j, rows, k, before, a, ars, b)
}
