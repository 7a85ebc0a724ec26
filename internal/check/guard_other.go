//go:build !unix

package check

import "testing"

// Guarded returns n values; on this system no pages guard them.
func Guarded(t testing.TB, n int, low bool) []float32 { return make([]float32, n) }
