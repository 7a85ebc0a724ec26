package product

import (
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// PeakPieces is how many pieces Peak cuts its work into.
const PeakPieces = 64

// Peak does multiply-adds on registers, 64 pieces of n iterations, on all workers, and
// returns how many operations that was; a multiply-add is two. No product of that
// precision can be faster, so benchmarks compare with it.
func Peak(p shape.Precision, n int) int {
	var each [PeakPieces]int
	parallel.For(PeakPieces, func(_, piece int) { each[piece] = n * peakLoop(p, n) })
	total := 0
	for _, v := range each {
		total += v
	}
	return total
}

// peakSink keeps compilers from dropping the loop.
var peakSink float32

// plainPeak is the loop in Go: eight chains of one value each.
func plainPeak(n int) int {
	var a, b, c, d, e, f, g, h float32
	x, y := peakSink, peakSink+1
	for range n {
		a += x * y
		b += x * y
		c += x * y
		d += x * y
		e += x * y
		f += x * y
		g += x * y
		h += x * y
	}
	if s := a + b + c + d + e + f + g + h; s != 0 {
		peakSink = s
	}
	return 8 * 2
}
