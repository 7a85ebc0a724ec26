package kernel

// ExpRow turns a row of scores x into exp(scale·(x − peak)) and returns peak, the
// largest score, and the sum of the row. It runs on the calling worker. A score of
// −∞ becomes 0.
func ExpRow(x []float32, scale float32) (peak, sum float32) {
	if len(x) == 0 {
		panic("kernel: ExpRow of an empty row")
	}
	softmaxRow(x, scale, &peak, &sum)
	return peak, sum
}
