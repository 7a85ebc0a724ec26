package product

import "vicreg/internal/cpu"

//go:generate go -C ../_asm run ./bf16 -out ../product/bf16_amd64.s -stubs ../product/bf16_stubs_amd64.go -pkg product

// tileBF16 is tile for pairs.
func tileBF16(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead int,
	accumulate bool) {
	_ = a[(rows-1)*ars+(k-1)*aks]
	_ = b[(k-1)*brs+cols-1]
	_ = c[(rows-1)*crs+cols-1]
	switch {
	case !cpu.AVX512BF16:
		plainTileBF16(rows, cols, k, c, crs, a, ars, aks, b, brs, accumulate)
	case cols == 32:
		tileBF16x32(rows, k, &a[0], uintptr(ars)*4, uintptr(aks)*4, &b[0], uintptr(brs)*4, uintptr(ahead)*4, &c[0],
			uintptr(crs)*4, accumulate)
	default:
		tileBF16x16(rows, k, &a[0], uintptr(ars)*4, uintptr(aks)*4, &b[0], uintptr(brs)*4, uintptr(ahead)*4, &c[0],
			uintptr(crs)*4, accumulate)
	}
}

// NarrowRows rounds rows of n values, a multiple of 16, to pairs of neighbours. Rows lie
// ss apart in src and ds apart in dst, which may be src.
func NarrowRows(dst []float32, ds int, src []float32, ss, rows, n int) {
	if rows == 0 || n == 0 {
		return
	}
	_ = src[(rows-1)*ss+n-1]
	_ = dst[(rows-1)*ds+n/2-1]
	if cpu.AVX512BF16 {
		narrowAVX512(rows, n/16, &src[0], uintptr(ss)*4, &dst[0], uintptr(ds)*4)
	} else {
		plainNarrowRows(dst, ds, src, ss, rows, n)
	}
}

// PairRows rounds rows of n values, a multiple of 16 and ss apart, to (rows+1)/2 rows of
// pairs, ds apart. A pair is a value and the one below it, or zero below the last row.
// dst may be src.
func PairRows(dst []float32, ds int, src []float32, ss, rows, n int) {
	done := 0
	if pairs := rows / 2; cpu.AVX512BF16 && pairs > 0 && n > 0 {
		_ = src[(2*pairs-1)*ss+n-1]
		_ = dst[(pairs-1)*ds+n-1]
		pairAVX512(pairs, n/16, &src[0], &src[ss], uintptr(ss)*8, &dst[0], uintptr(ds)*4)
		done = pairs
	}
	plainPairRows(dst, ds, src, ss, rows, n, done)
}

// hasEnd says whether products of pairs can be finished in registers.
func hasEnd() bool { return cpu.AVX512BF16 && !hasTiles() }

// endTile is plainEndTile, and fetches as tileBF16 does.
func endTile(e *End, i, j, rows, k int, before []float32, a []float32, ars int, b []float32, ahead int) {
	at := i*e.Stride + j
	last := at + (rows-1)*e.Stride + endColumns - 1
	_, _, _, _, _ = a[(rows-1)*ars+k-1], b[k*endColumns-1], e.Y[last], e.Scale[j+endColumns-1], e.Shift[j+endColumns-1]
	var add *uint16
	if e.Add != nil {
		_ = e.Add[last]
		add = &e.Add[at]
	}
	var sums *float32
	if before != nil {
		_ = before[rows*endColumns-1]
		sums = &before[0]
	}
	endBF16x32(rows, k, &a[0], uintptr(ars)*4, 4, &b[0], endColumns*4, uintptr(ahead)*4, sums, endColumns*4,
		before != nil, &e.Y[at], add, uintptr(e.Stride)*2, &e.Scale[j], &e.Shift[j], e.Lo)
}
