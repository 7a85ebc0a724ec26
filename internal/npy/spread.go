package npy

import "math"

// Spread measures how much of what numbers tell apart is left in 32 bits: whether
// rounding, see [Array], scatters them nearly as much as they scatter by themselves, as
// with times in seconds since 1970.
type Spread struct {
	n, first, sum, squares, rest, rests float64
}

// Add takes in a number of an array and its rest.
func (s *Spread) Add(value, rest float32) {
	v, r := float64(value), float64(rest)
	if s.n == 0 {
		s.first = v
	}
	s.n++
	d := v - s.first + r
	s.sum, s.squares = s.sum+d, s.squares+d*d
	s.rest, s.rests = s.rest+r, s.rests+r*r
}

// Mean returns the mean of the numbers.
func (s *Spread) Mean() float64 { return s.first + s.sum/s.n }

// Coarse reports whether the deviation of what 32 bits leave off is above a share of that
// of the numbers. Those that differ by no more than float64 rounds, or so, are not.
func (s *Spread) Coarse(share float64) bool {
	variance := func(sum, squares float64) float64 { return squares/s.n - sum/s.n*sum/s.n }
	lost, all := variance(s.rest, s.rests), variance(s.sum, s.squares)
	return lost > share*share*all && all > math.Pow(1e-12*s.first, 2)
}

// Alike returns of how many of n numbers, each a step behind the one before it from the
// first on, 32 bits leave off what tells them from that one, or from 0.
func (a *Array) Alike(first, step, n int) int {
	if a.Rest == nil {
		return 0
	}
	const least = 0x1p-126
	alike := 0
	for k := range n {
		i := first + k*step
		v, r := a.Values[i], a.Rest[i]
		if k > 0 && v == a.Values[i-step] && r != a.Rest[i-step] || v > -least && v < least && r != 0 {
			alike++
		}
	}
	return alike
}
