package report

import (
	"fmt"
	"math"
)

// ticks places about n round numbers on an axis.
func ticks(s scale, n int) (all []float64) {
	if s.log {
		first, last := int(math.Ceil(math.Log10(s.lo)-1e-9)), int(math.Floor(math.Log10(s.hi)+1e-9))
		every := max(1, (last-first+n)/n)
		for k := first; k <= last; k += every {
			all = append(all, math.Pow(10, float64(k)))
		}
		return all
	}
	step := round((s.hi - s.lo) / float64(n))
	for k := math.Ceil(s.lo/step - 1e-9); k*step <= s.hi+1e-9*step && len(all) < 20; k++ {
		all = append(all, k*step+0) // not -0
	}
	return all
}

// round is the round number nearest above x: 1, 2 or 5 times a power of ten.
func round(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= x*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// figure writes a number to three figures or so.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a != 0 && (a < 1e-3 || a >= 1e6):
		return fmt.Sprintf("%.3g", v)
	case a >= 1000:
		return thousands(int(math.Round(v)))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// thousands writes a whole number with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
