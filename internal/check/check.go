// Package check holds what tests share: golden files, tolerances, finite
// differences and guard pages. Only tests import it.
package check

import (
	"fmt"
	"math"
	"testing"
)

// Close fails the test unless ‖got − want‖ ≤ tol·‖want‖ (2-norms).
func Close(t testing.TB, what string, got, want []float32, tol float64) {
	t.Helper()
	CloseAbs(t, what, got, want, tol, 0)
}

// CloseAbs fails the test unless ‖got − want‖ ≤ floor + tol·‖want‖ (2-norms).
func CloseAbs(t testing.TB, what string, got, want []float32, tol, floor float64) {
	t.Helper()
	if err := distance(len(got), len(want), tol, floor, func(i int) (float64, float64) {
		return float64(got[i]), float64(want[i])
	}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// Close64 is [Close] for float64.
func Close64(t testing.TB, what string, got, want []float64, tol float64) {
	t.Helper()
	CloseAbs64(t, what, got, want, tol, 0)
}

// CloseAbs64 is [CloseAbs] for float64.
func CloseAbs64(t testing.TB, what string, got, want []float64, tol, floor float64) {
	t.Helper()
	if err := distance(len(got), len(want), tol, floor, func(i int) (float64, float64) {
		return got[i], want[i]
	}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// Scalar fails the test unless |got − want| ≤ tol·|want|.
func Scalar(t testing.TB, what string, got, want, tol float64) {
	t.Helper()
	Close64(t, what, []float64{got}, []float64{want}, tol)
}

// distance returns what is wrong with two sequences of lengths n and m, or nil. A value
// that is not finite is an error, even if both have it.
func distance(n, m int, tol, floor float64, at func(i int) (got, want float64)) error {
	if n != m {
		return fmt.Errorf("%d values, want %d", n, m)
	}
	var diff2, want2 float64
	worst, worstDiff := 0, -1.0
	for i := range n {
		g, w := at(i)
		d := math.Abs(g - w)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return fmt.Errorf("element %d is %v, want %v", i, g, w)
		}
		diff2, want2 = diff2+d*d, want2+w*w
		if d > worstDiff {
			worst, worstDiff = i, d
		}
	}
	diff, norm := math.Sqrt(diff2), math.Sqrt(want2)
	if diff <= floor+tol*norm {
		return nil
	}
	g, w := at(worst)
	return fmt.Errorf("‖got−want‖ = %.3g = %.3g·‖want‖, allowed %.3g·‖want‖ + %.3g; worst at %d of %d: %v, want %v",
		diff, diff/norm, tol, floor, worst, n, g, w)
}
