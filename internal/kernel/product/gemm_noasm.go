//go:build !amd64

package product

func TileShape(rem int) (rows, cols int) { return 4, 16 }

func tile(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead int,
	accumulate bool) {
	plainTile(rows, cols, k, c, crs, a, ars, aks, b, brs, accumulate)
}

func packRows(dst []float32, w int, b Mat)       { plainPackRows(dst, w, b) }
func PackTransposed(dst []float32, w int, b Mat) { plainPackTransposed(dst, w, b, 0) }
func prefetchRows(m Mat)                         {}

func HasColumns() bool { return false }

func tilesBelow(count, rows, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead,
	fetches int, accumulate bool) {
	panic("kernel: no such tiles here")
}

func hasSquare() bool { return false }

func multiplySquare(m int, c, a, b []float32, ahead int) { panic("kernel: no such product here") }
