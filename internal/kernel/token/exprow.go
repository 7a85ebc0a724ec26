package token

// ExpRow replaces a row of scores x by exp(scale·(x − peak)). It returns peak, the
// largest score, and the sum of the new row. A score of −∞ becomes 0. It runs on the
// calling worker.
func ExpRow(x []float32, scale float32) (peak, sum float32) {
	if len(x) == 0 {
		panic("kernel: ExpRow of an empty row")
	}
	softmaxRow(x, scale, &peak, &sum)
	return peak, sum
}
