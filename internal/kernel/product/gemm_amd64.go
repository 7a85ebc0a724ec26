package product

import "vicreg/internal/cpu"

// TileShape returns the size of the tile to use where rem columns are left: the most
// rows, and the columns.
func TileShape(rem int) (rows, cols int) {
	switch {
	case cpu.AVX512 && rem > 16:
		return 14, 32
	case cpu.AVX512:
		return 28, 16
	case cpu.AVX2:
		return 6, 16
	}
	return 4, 16
}

// tile computes rows × cols elements of c. cols must be what TileShape returned, and
// rows no more than that. k is not 0.
//
//	c[i*crs+j] (+)= Σ_p a[i*ars+p*aks] · b[p*brs+j]
//
// Meanwhile it fetches memory: for each element of b that it reads, the one ahead
// elements further on.
func tile(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead int,
	accumulate bool) {
	_ = a[(rows-1)*ars+(k-1)*aks]
	_ = b[(k-1)*brs+cols-1]
	_ = c[(rows-1)*crs+cols-1]
	switch {
	case cols == 32:
		tileAVX512x32(rows, k, &a[0], uintptr(ars)*4, uintptr(aks)*4, &b[0], uintptr(brs)*4, uintptr(ahead)*4, &c[0],
			uintptr(crs)*4, accumulate)
	case cpu.AVX512:
		tileAVX512x16(rows, k, &a[0], uintptr(ars)*4, uintptr(aks)*4, &b[0], uintptr(brs)*4, uintptr(ahead)*4, &c[0],
			uintptr(crs)*4, accumulate)
	case cpu.AVX2:
		tilesBelow(1, rows, k, c, crs, a, ars, aks, b, brs, ahead, 1, accumulate)
	default:
		plainTile(rows, cols, k, c, crs, a, ars, aks, b, brs, accumulate)
	}
}

// HasColumns says whether there is a kernel for tiles below each other.
func HasColumns() bool { return cpu.AVX2 && !cpu.AVX512 }

// tilesBelow computes count tiles of rows × 16, one below the other. The first of them,
// as many as fetches says, also fetch memory, each the stretch after that of the one
// before.
func tilesBelow(count, rows, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs, ahead,
	fetches int, accumulate bool) {
	_ = a[(count*rows-1)*ars+(k-1)*aks]
	_ = b[(k-1)*brs+15]
	_ = c[(count*rows-1)*crs+15]
	columnAVX2x16(count, rows, k, &a[0], uintptr(ars)*4, uintptr(aks)*4, &b[0], uintptr(brs)*4, uintptr(ahead)*4,
		fetches, &c[0], uintptr(crs)*4, accumulate)
}

// hasSquare says whether there is a kernel for products of 16 × 16 matrices.
func hasSquare() bool { return cpu.AVX512 }

// multiplySquare computes c = a·b for m ≥ 8 rows of 16 elements and a 16 × 16 matrix, and
// fetches m lines from ahead elements beyond b on.
func multiplySquare(m int, c, a, b []float32, ahead int) {
	_, _, _ = a[m*16-1], b[16*16-1], c[m*16-1]
	squareAVX512(m, &a[0], &b[0], uintptr(ahead)*4, &c[0])
}

// packRows packs a row-major matrix into whole panels of width w.
func packRows(dst []float32, w int, b Mat) {
	_ = b.Data[(b.Rows-1)*b.Stride+b.Cols-1]
	_ = dst[b.Rows*b.Cols-1]
	switch {
	case w == 32:
		packRowsAVX2x32(b.Rows, b.Cols/32, &b.Data[0], uintptr(b.Stride)*4, &dst[0])
	case cpu.AVX2:
		packRowsAVX2x16(b.Rows, b.Cols/16, &b.Data[0], uintptr(b.Stride)*4, &dst[0])
	default:
		plainPackRows(dst, w, b)
	}
}

// PackTransposed packs the transpose of a w × k matrix into a panel of width w.
func PackTransposed(dst []float32, w int, b Mat) {
	done := 0
	if blocks := b.Cols / 8; cpu.AVX2 && blocks > 0 {
		_ = b.Data[(w-1)*b.Stride+b.Cols-1]
		_ = dst[w*b.Cols-1]
		for j := 0; j < w; j += 8 {
			transposeAVX2(blocks, &b.Data[j*b.Stride], uintptr(b.Stride)*4, &dst[j], uintptr(w)*4)
		}
		done = 8 * blocks
	}
	plainPackTransposed(dst, w, b, done)
}

// prefetchRows fetches a block of a matrix into the second-level cache.
func prefetchRows(m Mat) {
	if m.Rows > 0 && m.Cols > 0 {
		prefetchRowsAMD64(m.Rows, (m.Cols+15)/16, &m.Data[0], uintptr(m.Stride)*4)
	}
}
