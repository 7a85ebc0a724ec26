package cpu

//go:generate go -C ../kernel/_asm run ./peak -out ../../cpu/peak_amd64.s -stubs ../../cpu/peak_stubs_amd64.go -pkg cpu

// multiplyAdds does what MultiplyAdds does, or returns 0 if it has no such loop.
func multiplyAdds(kind Arithmetic, n int) int {
	switch {
	case kind == Tiles && AMX:
		// eight tiles of 16 rows of 64 bytes, palette 1
		config := [64]byte{0: 1}
		for t := range 8 {
			config[16+2*t], config[48+t] = 64, 16
		}
		peakAMX(n, &config)
		return 4 * 16 * 16 * 32 * 2
	case kind == Float32 && AVX512, kind == Pairs && AVX512BF16:
		return avx512MultiplyAdds(kind, n)
	case kind == Float32 && AVX2:
		peakAVX2(n)
		return 12 * 8 * 2
	}
	return 0
}

// avx512MultiplyAdds is MultiplyAdds with AVX-512, whatever the variant.
func avx512MultiplyAdds(kind Arithmetic, n int) int {
	if kind == Pairs {
		peakBF16(n)
		return 24 * 32 * 2
	}
	peakAVX512(n)
	return 24 * 16 * 2
}
