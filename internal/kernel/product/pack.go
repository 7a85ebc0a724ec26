package product

// PackedLen returns the length of a k × n matrix packed by PackB.
func PackedLen(k, n int) int { return k * ((n + 15) &^ 15) }

// PackB packs b, a k × n matrix, or its transpose if b.Trans, for BlockNN. The layout
// depends on the active variant of the processor: panels as wide as a tile, one after
// the other, each of k rows, with zeros where b has no columns left.
func PackB(dst []float32, b Mat) {
	b = b.Checked("b")
	k, n := b.Dims()
	if k == 0 {
		return
	}
	for j := 0; j < n; {
		_, w := TileShape(n - j)
		panels := (n - j) / w
		switch {
		case panels == 0:
			panels = 1
			packEdge(dst[j*k:], w, b.part(0, j, k, n-j))
		case b.Trans:
			panels = 1
			PackTransposed(dst[j*k:], w, b.part(0, j, k, w))
		default:
			packRows(dst[j*k:], w, b.part(0, j, k, panels*w))
		}
		j += panels * w
	}
}

// packEdge packs the last columns, fewer than the width w of their panel.
func packEdge(dst []float32, w int, b Mat) {
	k, n := b.Dims()
	bks, bjs := b.steps()
	for p := range k {
		row := dst[p*w:][:w]
		clear(row)
		for j := range n {
			row[j] = b.Data[p*bks+j*bjs]
		}
	}
}

// plainPackRows packs a row-major matrix into whole panels of width w.
func plainPackRows(dst []float32, w int, b Mat) {
	for p := range b.Rows {
		row := b.Data[p*b.Stride:][:b.Cols]
		for j := 0; j < b.Cols; j += w {
			copy(dst[j*b.Rows+p*w:][:w], row[j:])
		}
	}
}

// plainPackTransposed packs the transpose of a w × k matrix, from column p on.
func plainPackTransposed(dst []float32, w int, b Mat, p int) {
	for ; p < b.Cols; p++ {
		row := dst[p*w:][:w]
		for j := range row {
			row[j] = b.Data[j*b.Stride+p]
		}
	}
}

// ColumnBlock is how many columns are packed at a time: a multiple of every panel's, and few, so that many threads have
// something to pack.
const ColumnBlock = 32

// Transpose writes the transpose of src, rows × cols and ss apart, to dst.
func Transpose(dst []float32, ds int, src []float32, ss, rows, cols int) {
	for r0 := 0; r0 < rows; r0 += 16 {
		r1 := min(r0+16, rows)
		for c := range cols {
			d := dst[c*ds:][:r1]
			for r := r0; r < r1; r++ {
				d[r] = src[r*ss+c]
			}
		}
	}
}
