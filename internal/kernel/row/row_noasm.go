//go:build !amd64

package row

func Affine(dst []float32, ds int, src []float32, ss, rows, c int, scale, shift []float32, lo float32) {
	affineRowsPlain(dst, ds, src, ss, rows, c, scale, shift, lo)
}

func Grad(dst []float32, ds int, d, y []float32, ss, rows, c int, a, b, k []float32) {
	gradRowsPlain(dst, ds, d, y, ss, rows, c, a, b, k)
}

func Streams([]float32, int) bool { return false }
func Fence()                      {}

func Join(dst, a, b []float32, rows, c int, as, at, bs, bt []float32, lo, loA, loB float32, _ bool) {
	joinRowsPlain(dst, a, b, rows, c, as, at, bs, bt, lo, loA, loB)
}

func Gather(dst []float32, ds int, src []float32, step, pixels, segments, skip, n int) {
	gatherRowsPlain(dst, ds, src, step, pixels, segments, skip, n)
}

func Sum(y []float32, ys, rows, c int, sum, square []float32) {
	sumRowsPlain(y, ys, rows, c, sum, square)
}

func finishRows(f *finishArgs, _ bool)         { finishRowsPlain(f) }
func AddWide(sum []float64, part []float32)    { addWidePlain(sum, part) }
func Axpy(y []float32, a float32, x []float32) { axpyPlain(y, a, x) }
func Scale(x []float32, a float32)             { scalePlain(x, a) }
func Dot(a, b []float32) float64               { return dotPlain(a, b) }

func Momentum(w, m, g []float32, lr, momentum, weightDecay, scale float32) {
	momentumPlain(w, m, g, lr, momentum, weightDecay, scale)
}

func Adam(w, m, v, g []float32, a *AdamArgs) { adamPlain(w, m, v, g, a) }
