package check

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/cpu"
	"vicreg/internal/parallel"
)

// EachVariant runs f as a subtest under every variant this processor has.
func EachVariant(t *testing.T, f func(t *testing.T)) {
	for _, v := range cpu.Variants() {
		t.Run(v, func(t *testing.T) {
			restore, err := cpu.Set(v)
			if err != nil {
				t.Fatal(err)
			}
			defer restore()
			f(t)
		})
	}
}

// Normal returns n normally distributed numbers.
func Normal(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.NormFloat64())
	}
	return s
}

// EachWorkers runs f with several numbers of workers, in each variant: the results
// are held to loops in one order, bit for bit.
func EachWorkers(t *testing.T, f func(t *testing.T)) {
	defer parallel.SetWorkers(0)
	for _, workers := range []int{1, 2, 3} {
		parallel.SetWorkers(workers)
		EachVariant(t, f)
	}
}

// SameBits fails the test unless the two hold the same bits.
func SameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Fatalf("%s: element %d is %08x, want %08x", what, i, math.Float32bits(got[i]), math.Float32bits(w))
		}
	}
}

// Ramp returns n small numbers that products hold exactly.
func Ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%17-8) / 8
	}
	return x
}

// Widths are numbers of channels around the lengths of vectors and groups.
var Widths = []int{1, 3, 7, 8, 10, 15, 16, 17, 31, 33, 48, 64, 65, 70, 128, 131}

// NeedBF16 skips a test that needs a processor with products of bfloat16.
func NeedBF16(t *testing.T) {
	if !cpu.AVX512BF16 {
		t.Skip("this processor has no AVX512_BF16")
	}
}
