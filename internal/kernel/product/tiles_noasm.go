//go:build !amd64

package product

func hasTiles() bool { return false }

func multiplyTiles(m, n int, c []float32, crs, next int, a Runs, b []float32, brs, panel int, accumulate bool,
	f *Fetcher, lines int) {
	panic("kernel: no tiles")
}

func transposePairs(dst []float32, ds int, src []float32, stride, m, k int) {
	panic("kernel: no tiles")
}
