package product

import (
	"math"

	"vicreg/internal/kernel/scratch"
)

// End is what becomes of products of pairs where they are stored as bfloat16 and nothing
// else reads them: they are finished in registers.
//
//	y = max(Lo, c·Scale + Shift + (add + 0))
type End struct {
	Y, Add       []uint16 // rows Stride apart; Add may be nil
	Stride       int
	Scale, Shift []float32 // one for each column
	Lo           float32
}

// endColumns is how many columns a tile has that is finished in registers.
const endColumns = 32

// Ends says whether [MultiplyEnd] can finish products of n columns.
func Ends(n int) bool { return hasEnd() && n%endColumns == 0 }

// EndRoom returns how many elements MultiplyEnd needs for sums of m rows, k pairs deep.
func EndRoom(m, k int) int {
	if k <= depth {
		return 0
	}
	return m * endColumns
}

// MultiplyEnd computes the products that Multiply does of pairs, n a multiple of 32, and
// finishes them. It needs EndRoom elements for sums.
func MultiplyEnd(e *End, m, n, k int, sums []float32, a []float32, ars int, b []float32, f *Fetcher) {
	if m == 0 {
		return
	}
	deep, high := Share(k, depth), Share(m, rowsBF16)
	tiles := (m + high - 1) / high
	for j := 0; j < n; j += endColumns {
		f.credit += f.share * tiles
		for p := 0; p < k; p += deep {
			kb := min(deep, k-p)
			panel := b[j*k+p*endColumns:]
			ahead, fetches := f.ahead(panel, kb*endColumns, tiles)
			if p+kb < k {
				column(true, m, endColumns, endColumns, kb, sums, endColumns, a[p:], ars, 1, panel, endColumns, ahead,
					fetches, p > 0)
				continue
			}
			for i := 0; i < m; i += high {
				if fetches <= 0 {
					ahead = 0
				}
				var before []float32
				if p > 0 {
					before = sums[i*endColumns:]
				}
				endTile(e, i, j, min(high, m-i), kb, before, a[i*ars+p:], ars, panel, ahead)
				ahead += kb * endColumns
				fetches--
			}
		}
		f.catchUp(deep * endColumns / scratch.LineFloats)
	}
}

// plainEndTile finishes a tile of 32 columns, which begins at row i and column j of the
// product. It adds to the sums before, unless that is nil.
func plainEndTile(e *End, i, j, rows, k int, before []float32, a []float32, ars int, b []float32) {
	var c [rowsBF16 * endColumns]float32
	copy(c[:], before)
	plainTileBF16(rows, endColumns, k, c[:], endColumns, a, ars, 1, b, endColumns, before != nil)
	for r := range rows {
		at := (i+r)*e.Stride + j
		for l, v := range c[r*endColumns:][:endColumns] {
			v = v*e.Scale[j+l] + e.Shift[j+l]
			if e.Add != nil {
				v += math.Float32frombits(uint32(e.Add[at+l])<<16) + 0
			}
			e.Y[at+l] = uint16(roundBF16(max(e.Lo, v)))
		}
	}
}
