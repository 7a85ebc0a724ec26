package augment

import (
	"fmt"
	"math/rand/v2"
)

// window writes the part of x, t' × c, that begins with point from to dst, t × c;
// where there are no points, zeros.
func window(dst, x []float32, c, from int) {
	have, want := len(x)/c, len(dst)/c
	lo := min(max(0, -from), want)
	hi := max(lo, min(want, have-from))
	if lo < hi {
		copy(dst[lo*c:hi*c], x[(lo+from)*c:])
	}
	clear(dst[:lo*c])
	clear(dst[hi*c:])
}

// anywhere draws where a window of want points begins among have points: some part of
// what is too long, any place for what is too short.
func anywhere(r *rand.Rand, have, want int) int {
	spare := have - want
	return min(0, spare) + r.IntN(max(spare, -spare)+1)
}

// middle returns where the middle of have points begins.
func middle(have, want int) int { return (have - want) / 2 }

// rotate moves every element of x n places on, those at the end to the start.
func rotate(x []float32, n int) {
	reverse(x)
	reverse(x[:n])
	reverse(x[n:])
}

func reverse(x []float32) {
	for i, j := 0, len(x)-1; i < j; i, j = i+1, j-1 {
		x[i], x[j] = x[j], x[i]
	}
}

// share draws how many of n a share of at most most is.
func share(r *rand.Rand, most float64, n int) int { return r.IntN(int(most*float64(n)) + 1) }

// number is a setting and where it must lie.
type number struct {
	key       string
	x, lo, hi float64
}

// within returns what is wrong with the first setting that lies outside.
func within(settings ...number) error {
	for _, s := range settings {
		if !(s.x >= s.lo && s.x <= s.hi) { // also catches NaN
			return fmt.Errorf("%s is %v: it must lie between %v and %v", s.key, s.x, s.lo, s.hi)
		}
	}
	return nil
}
