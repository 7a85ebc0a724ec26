// Command gemm generates the register tiles of the matrix product.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// c is what is being built.
var c = build.NewContext()

func main() {
	c.ConstraintExpr("amd64")
	tile("tileAVX512x32", 14, avx512(2))
	tile("tileAVX512x16", 28, avx512(1))
	columnAVX2()
	square()
	packRows(32)
	packRows(16)
	transpose()
	prefetch()
	emit.Write(c)
}

func avx512(vectors int) emit.Tile {
	return emit.Tile{
		Vectors: vectors, Bytes: 64, Register: c.ZMM,
		MultiplyAdd: func(a Op, b, acc VecVirtual) {
			if vectors == 1 {
				c.VFMADD231PS_BCST(a, b, acc)
			} else {
				c.VFMADD231PS(a, b, acc)
			}
		},
	}
}

func avx2() emit.Tile {
	return emit.Tile{
		Vectors: 2, Bytes: 32, Register: c.YMM,
		MultiplyAdd: func(a Op, b, acc VecVirtual) { c.VFMADD231PS(a, b, acc) },
	}
}

// columnAVX2 generates a function that computes tiles below each other.
func columnAVX2() {
	t := avx2()
	t.Name, t.MaxRows, t.Ahead, t.Empty, t.Many = "columnAVX2x16", 6, true, true, true
	t.Signature = "func(count, rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, fetches int, c *float32, crs uintptr, accumulate bool)"
	t.Zero = func(z VecVirtual) { c.VXORPS(z.AsX(), z.AsX(), z.AsX()) }
	t.Doc = doc("columnAVX2x16 computes count ≥ 1 tiles of 1 to 6 rows × 16 columns below each other; strides count bytes:",
		"count * rows", 16,
		"Meanwhile the first tile, and with fetches more than 1 as many tiles, fetch what",
		"lies ahead bytes beyond the rows of b, each k·bks bytes further than the one before.")
	t.Emit(c)
}

// tile generates a function that computes tiles of up to maxRows rows.
func tile(name string, maxRows int, t emit.Tile) {
	columns := t.Vectors * t.Bytes / 4
	t.Name, t.MaxRows, t.Ahead, t.Empty = name, maxRows, true, true
	t.Signature = "func(rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, c *float32, crs uintptr, accumulate bool)"
	t.Zero = func(z VecVirtual) { c.VXORPS(z.AsX(), z.AsX(), z.AsX()) }
	t.Doc = doc(fmt.Sprintf("%s computes a tile of 1 to %d rows × %d columns; strides count bytes:", name, maxRows, columns),
		"rows", columns,
		"Meanwhile it fetches what lies ahead bytes beyond the rows of b.")
	t.Emit(c)
}

// doc returns a comment: what a function does, its loop, and what else.
func doc(what, rows string, columns int, rest ...string) []string {
	return append([]string{
		what,
		"",
		fmt.Sprintf("\tfor i := range %s {", rows),
		fmt.Sprintf("\t\tfor j := range %d {", columns),
		"\t\t\tvar sum float32",
		"\t\t\tfor p := range k {",
		"\t\t\t\tsum = fma(a[i*ars+p*aks], b[p*bks+4*j], sum)",
		"\t\t\t}",
		"\t\t\tif accumulate {",
		"\t\t\t\tsum += c[i*crs+4*j]",
		"\t\t\t}",
		"\t\t\tc[i*crs+4*j] = sum",
		"\t\t}",
		"\t}",
		"",
	}, rest...)
}
