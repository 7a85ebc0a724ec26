package cpu

import (
	"math"
	"sync"
	"time"
)

// Arithmetic is a kind of multiply-adds.
type Arithmetic uint8

const (
	Float32 Arithmetic = iota // the best of the active variant
	Pairs                     // of bfloat16 pairs, under AVX512BF16
	Tiles                     // of tiles of bfloat16 pairs, under AMX
)

// MultiplyAdds does n iterations of multiply-adds that read no memory and wait for none
// but those of the iteration before. It returns how many operations an iteration is; a
// multiply-add is two.
func MultiplyAdds(kind Arithmetic, n int) int {
	if ops := multiplyAdds(kind, n); ops > 0 {
		return ops
	}
	return plainPeak(n)
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

// FastPairs reports whether products of bfloat16 pairs are faster than those of float32,
// which having the instruction does not tell: AMD's processors do twice as many a second
// as of float32, Intel's half as many. It takes two milliseconds when first asked, and
// its answer stays for the life of the process, so that no bit of a run depends on when
// it was asked. The limit lies in the middle between the two makers.
var FastPairs = sync.OnceValue(func() bool { return hasAVX512BF16 && pairsRate() > 1 })

// pairsRate returns the rate of multiply-adds of pairs in parts of that of float32. The
// least of many short times is what the processor does when it is left alone.
func pairsRate() float64 {
	const n = 3000
	perOp := [2]float64{math.Inf(1), math.Inf(1)}
	for range 12 {
		for i, kind := range []Arithmetic{Float32, Pairs} {
			start := time.Now()
			ops := avx512MultiplyAdds(kind, n)
			perOp[i] = min(perOp[i], float64(time.Since(start))/float64(ops))
		}
	}
	return perOp[0] / perOp[1]
}
