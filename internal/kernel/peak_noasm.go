//go:build !amd64

package kernel

func peakLoop(_ Precision, n int) int { return plainPeak(n) }
