// Command gemm generates the register tiles of the matrix product.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64")
	function("tileAVX512x32", 14, avx512{vectors: 2})
	function("tileAVX512x16", 14, avx512{vectors: 1})
	function("tileAVX2x16", 6, avx2{})
	packRows(32)
	packRows(16)
	transpose()
	prefetch()
	Generate()
}

// isa is what differs between instruction sets.
type isa interface {
	columns() (vectors, bytes int) // registers across a tile, and bytes in each
	register() VecVirtual
	// multiplyAdd adds the products of one element of a, in memory, and a row of b.
	multiplyAdd(a Mem, b, acc []VecVirtual)
}

type avx512 struct{ vectors int }

func (t avx512) columns() (int, int)  { return t.vectors, 64 }
func (t avx512) register() VecVirtual { return ZMM() }
func (t avx512) multiplyAdd(a Mem, b, acc []VecVirtual) {
	for v := range b {
		VFMADD231PS_BCST(a, b[v], acc[v])
	}
}

type avx2 struct{}

func (t avx2) columns() (int, int)  { return 2, 32 }
func (t avx2) register() VecVirtual { return YMM() }
func (t avx2) multiplyAdd(a Mem, b, acc []VecVirtual) {
	x := YMM()
	VBROADCASTSS(a, x)
	for v := range b {
		VFMADD231PS(x, b[v], acc[v])
	}
}

// function generates a function with one section for each number of rows.
func function(name string, maxRows int, t isa) {
	vectors, bytes := t.columns()
	TEXT(name, NOSPLIT, "func(rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, c *float32, crs uintptr, accumulate bool)")
	Pragma("noescape")
	Doc(
		fmt.Sprintf("%s computes a tile of 1 to %d rows × %d columns; strides count bytes:", name, maxRows, vectors*bytes/4),
		"",
		"\tfor i := range rows {",
		fmt.Sprintf("\t\tfor j := range %d {", vectors*bytes/4),
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
		"Meanwhile it fetches what lies ahead bytes beyond the rows of b.",
	)
	rows := Load(Param("rows"), GP64())
	for n := maxRows; n > 1; n-- {
		CMPQ(rows, Imm(uint64(n)))
		JEQ(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	for n := 1; n <= maxRows; n++ {
		Label(fmt.Sprintf("rows%d", n))
		section(n, t)
	}
}

// section generates the code for a fixed number of rows.
func section(rows int, t isa) {
	vectors, bytes := t.columns()
	label := func(name string) string { return fmt.Sprintf("%s%d", name, rows) }

	k := Load(Param("k"), GP64())
	b := Load(Param("b"), GP64())
	bks := Load(Param("bks"), GP64())
	ahead := Load(Param("ahead"), GP64())
	row, step := pointers(rows)
	acc := make([][]VecVirtual, rows)
	for i := range acc {
		for range vectors {
			z := t.register()
			VXORPS(z.AsX(), z.AsX(), z.AsX())
			acc[i] = append(acc[i], z)
		}
	}
	fetch, pitch := Load(Param("c"), GP64()), Load(Param("crs"), GP64())
	for i := range rows { // c will be there when the sums are
		for at := 0; at < vectors*bytes; at += 64 {
			PREFETCHT0(Mem{Base: fetch, Disp: at})
		}
		if i < rows-1 {
			ADDQ(pitch, fetch)
		}
	}
	TESTQ(k, k)
	JLE(LabelRef(label("sum")))

	Label(label("loop"))
	bv := make([]VecVirtual, vectors)
	for v := range bv {
		bv[v] = t.register()
		VMOVUPS(Mem{Base: b, Disp: bytes * v}, bv[v])
	}
	for at := 0; at < vectors*bytes; at += 64 {
		PREFETCHT1(Mem{Base: b, Index: ahead, Scale: 1, Disp: at})
	}
	ADDQ(bks, b)
	for i := range rows {
		t.multiplyAdd(row[i], bv, acc[i])
	}
	step()
	DECQ(k)
	JNZ(LabelRef(label("loop")))

	Label(label("sum"))
	c := Load(Param("c"), GP64())
	crs := Load(Param("crs"), GP64())
	accumulate := GP8()
	Load(Param("accumulate"), accumulate)
	TESTB(accumulate, accumulate)
	JZ(LabelRef(label("store")))
	from := GP64()
	MOVQ(c, from)
	for i := range rows {
		for v := range vectors {
			VADDPS(Mem{Base: from, Disp: bytes * v}, acc[i][v], acc[i][v])
		}
		if i < rows-1 {
			ADDQ(crs, from)
		}
	}

	Label(label("store"))
	for i := range rows {
		for v := range vectors {
			VMOVUPS(acc[i][v], Mem{Base: c, Disp: bytes * v})
		}
		if i < rows-1 {
			ADDQ(crs, c)
		}
	}
	VZEROUPPER()
	RET()
}

// group is the number of rows addressed from one pointer: x86 multiplies an
// index register by 1, 2 or 4, and a second one holds 3·ars.
const group = 5

// pointers returns the operands of a's rows and a function that steps them to
// the next k.
func pointers(rows int) (row []Mem, step func()) {
	a := Load(Param("a"), GP64())
	aks := Load(Param("aks"), GP64())
	ars, ars3, ars5 := GP64(), GP64(), GP64()
	if rows > 1 {
		Load(Param("ars"), ars)
	}
	if rows > 3 {
		LEAQ(Mem{Base: ars, Index: ars, Scale: 2}, ars3)
	}
	if rows > group {
		LEAQ(Mem{Base: ars, Index: ars, Scale: 4}, ars5)
	}
	base := []Register{a}
	for i := range rows {
		if i > 0 && i%group == 0 {
			next := GP64()
			LEAQ(Mem{Base: base[len(base)-1], Index: ars5, Scale: 1}, next)
			base = append(base, next)
		}
		m := Mem{Base: base[len(base)-1]}
		switch i % group {
		case 1, 2, 4:
			m.Index, m.Scale = ars, uint8(i%group)
		case 3:
			m.Index, m.Scale = ars3, 1
		}
		row = append(row, m)
	}
	return row, func() {
		for _, r := range base {
			ADDQ(aks, r)
		}
	}
}
