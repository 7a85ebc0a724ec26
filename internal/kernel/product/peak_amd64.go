package product

import (
	"vicreg/internal/cpu"
	"vicreg/internal/kernel/shape"
)

//go:generate go -C ../_asm run ./peak -out ../product/peak_amd64.s -stubs ../product/peak_stubs_amd64.go -pkg product

// peakLoop does n iterations of the fastest multiply-adds, and returns how many
// operations one is.
func peakLoop(p shape.Precision, n int) int {
	switch {
	case p == shape.BF16 && cpu.AVX512BF16:
		peakBF16(n)
		return 24 * 32 * 2
	case cpu.AVX512:
		peakAVX512(n)
		return 24 * 16 * 2
	case cpu.AVX2:
		peakAVX2(n)
		return 12 * 8 * 2
	}
	return plainPeak(n)
}
