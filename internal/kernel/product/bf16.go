package product

import (
	"math"

	"vicreg/internal/kernel/scratch"
)

// Products of bfloat16 multiply pairs of values that follow each other along k. A pair
// fills the 32 bits of one float32, its first value in the low half, so operands are
// laid out like those of float32 products of half the depth. Values are rounded to
// nearest, ties to even, while they are in the cache. As on the processor, denormal
// values count as zero.

// Half returns how many pairs n values make.
func Half(n int) int { return (n + 1) / 2 }

// roundBF16 returns the bits of v rounded to bfloat16.
func roundBF16(v float32) uint32 {
	bits := math.Float32bits(v)
	switch {
	case v != v:
		return bits>>16 | 0x40
	case bits&0x7f800000 == 0:
		return bits >> 16 & 0x8000
	}
	return (bits + 0x7fff + bits>>16&1) >> 16
}

// pairOf packs two values into a pair.
func pairOf(lo, hi float32) float32 {
	return math.Float32frombits(roundBF16(lo) | roundBF16(hi)<<16)
}

// values returns the two values of a pair.
func values(pair float32) (lo, hi float32) {
	bits := math.Float32bits(pair)
	return math.Float32frombits(bits << 16), math.Float32frombits(bits &^ 0xffff)
}

func plainNarrowRows(dst []float32, ds int, src []float32, ss, rows, n int) {
	for r := range rows {
		for i := range n / 2 {
			dst[r*ds+i] = pairOf(src[r*ss+2*i], src[r*ss+2*i+1])
		}
	}
}

// plainPairRows does what PairRows does, from pair row from on.
func plainPairRows(dst []float32, ds int, src []float32, ss, rows, n, from int) {
	for r := from; r < Half(rows); r++ {
		for i := range n {
			lo, hi := src[2*r*ss+i], float32(0)
			if 2*r+1 < rows {
				hi = src[(2*r+1)*ss+i]
			}
			dst[r*ds+i] = pairOf(lo, hi)
		}
	}
}

// plainTileBF16 is plainTile for pairs.
func plainTileBF16(rows, cols, k int, c []float32, crs int, a []float32, ars, aks int, b []float32, brs int,
	accumulate bool) {
	for i := range rows {
		for j := range cols {
			var sum float32
			for p := range k {
				a0, a1 := values(a[i*ars+p*aks])
				b0, b1 := values(b[p*brs+j])
				sum += a1 * b1
				sum += a0 * b0
			}
			if accumulate {
				sum += c[i*crs+j]
			}
			c[i*crs+j] = sum
		}
	}
}

// rowsBF16 is the most rows of a tile of pairs; it has 16 columns.
const rowsBF16 = 14

// PackPairs packs b like PackB, as pairs: panel after panel of half(k) rows.
// temp is room for PackB.
func PackPairs(dst, temp []float32, b Mat) {
	PackB(temp, b)
	k, n := b.Dims()
	for j := 0; j < n; {
		_, w := TileShape(n - j)
		PairRows(dst[j*Half(k):], w, temp[j*k:], w, k, w)
		j += w
	}
}

// NarrowColumns rounds rows of n values to pairs, in place.
func NarrowColumns(cols []float32, stride, rows, n int) {
	if n%2 != 0 {
		for r := range rows {
			cols[r*stride+n] = 0
		}
	}
	NarrowRows(cols, stride, cols, stride, rows, scratch.RoundUp(n, scratch.LineFloats))
}
