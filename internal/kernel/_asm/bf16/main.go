// Command bf16 generates the register tiles of products of bfloat16, and the
// conversions to it.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"

	"vicreg/internal/kernel/_asm/emit"
)

// c is what is being built.
var c = build.NewContext()

func main() {
	c.ConstraintExpr("amd64")
	tile("tileBF16x32", 2)
	tile("tileBF16x16", 1)
	end()
	narrow()
	pair()
	emit.Write(c, pass.FunctionPass(emit.Encode))
}

const maxRows = 14

// pairsTile is what tiles of pairs have in common.
func pairsTile(vectors int) emit.Tile {
	return emit.Tile{
		MaxRows: maxRows, Vectors: vectors, Bytes: 64, Register: c.ZMM, Ahead: true,
		Zero:        func(z reg.VecVirtual) { c.VPXORD(z, z, z) },
		MultiplyAdd: func(a Op, b, acc reg.VecVirtual) { emit.DotPairs(c, a, b, acc) },
	}
}

// tile generates a function that computes tiles of up to maxRows rows.
func tile(name string, vectors int) {
	t := pairsTile(vectors)
	t.Name = name
	t.Signature = "func(rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, c *float32, crs uintptr, accumulate bool)"
	t.Doc = []string{
		fmt.Sprintf("%s computes a tile of 1 to %d rows × %d columns; strides count bytes.", name, maxRows, vectors*16),
		"Elements of a and b are pairs of bfloat16, low half first:",
		"",
		"\tfor i := range rows {",
		fmt.Sprintf("\t\tfor j := range %d {", vectors*16),
		"\t\t\tvar sum float32",
		"\t\t\tfor p := range k {",
		"\t\t\t\tsum += a[i*ars+p*aks].lo·b[p*bks+4*j].lo + a[i*ars+p*aks].hi·b[p*bks+4*j].hi",
		"\t\t\t}",
		"\t\t\tif accumulate {",
		"\t\t\t\tsum += c[i*crs+4*j]",
		"\t\t\t}",
		"\t\t\tc[i*crs+4*j] = sum",
		"\t\t}",
		"\t}",
		"",
		"Meanwhile it fetches what lies ahead bytes beyond the rows of b.",
	}
	t.Emit(c)
}

// end generates a function that finishes a tile of 32 columns in registers.
func end() {
	zero := c.StaticGlobal("bf16Zero")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	c.AddDatum(0, U32(0))
	t := pairsTile(2)
	t.Name = "endBF16x32"
	t.Signature = "func(rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, c *float32, crs uintptr, accumulate bool, y, add *uint16, ys uintptr, scale, shift *float32, lo float32)"
	t.Doc = []string{
		"endBF16x32 computes the sums of tileBF16x32, and with them, where add may be nil, and y and add are bfloat16:",
		"",
		"\ty[i*ys+2*j] = max(lo, sum·scale[4*j] + shift[4*j] + (add[i*ys+2*j] + 0))",
		"",
		"Unless accumulate is set, c is not read.",
	}
	t.Reach = func(rows int, label func(string) string) {
		emit.Fetch(c, "y", "ys", rows, 64)
		add := c.Load(c.Param("add"), c.GP64())
		c.TESTQ(add, add)
		c.JZ(LabelRef(label("loop")))
		emit.Fetch(c, "add", "ys", rows, 64)
	}
	t.End = func(acc [][]reg.VecVirtual, label func(string) string) {
		scale, shift := c.Load(c.Param("scale"), c.GP64()), c.Load(c.Param("shift"), c.GP64())
		y, ys := c.Load(c.Param("y"), c.GP64()), c.Load(c.Param("ys"), c.GP64())
		add := c.Load(c.Param("add"), c.GP64())
		factor := []reg.VecVirtual{c.ZMM(), c.ZMM()}
		for v, f := range factor {
			c.VMOVUPS(Mem{Base: scale, Disp: 64 * v}, f)
		}
		lo, err := c.Param("lo").Resolve()
		if err != nil {
			panic(err)
		}
		low := c.ZMM()
		c.VBROADCASTSS(lo.Addr, low)
		rows := func(join func(to reg.VecVirtual, v int), step func()) {
			for i, sums := range acc {
				for v, x := range sums {
					c.VFMADD213PS(Mem{Base: shift, Disp: 64 * v}, factor[v], x)
					join(x, v)
					c.VMAXPS(x, low, x) // in this order a NaN of x comes through
				}
				both := c.ZMM()
				c.VPACKSSDW(sums[0], sums[1], both) // encoded as VCVTNE2PS2BF16
				c.VMOVDQU32(both, Mem{Base: y})
				if i < len(acc)-1 {
					step()
				}
			}
			c.VZEROUPPER()
			c.RET()
		}
		c.TESTQ(add, add)
		c.JNZ(LabelRef(label("join")))
		rows(func(reg.VecVirtual, int) {}, func() { c.ADDQ(ys, y) })
		c.Label(label("join"))
		rows(func(x reg.VecVirtual, v int) {
			other := c.ZMM()
			c.VPMOVZXWD(Mem{Base: add, Disp: 32 * v}, other)
			c.VPSLLD(Imm(16), other, other)
			c.VADDPS_BCST(zero, other, other) // −0 becomes 0, as where it is multiplied and shifted
			c.VADDPS(other, x, x)
		}, func() {
			c.ADDQ(ys, y)
			c.ADDQ(ys, add)
		})
	}
	t.Emit(c)
}

// loops generates two nested loops over rows and blocks, both at least one.
func loops(body func(src, dst reg.Register), srcStep, dstStep int) {
	rows := c.Load(c.Param("rows"), c.GP64())
	blocks := c.Load(c.Param("blocks"), c.GP64())
	src, ss := c.Load(c.Param("src"), c.GP64()), c.Load(c.Param("ss"), c.GP64())
	dst, ds := c.Load(c.Param("dst"), c.GP64()), c.Load(c.Param("ds"), c.GP64())
	from, to, left := c.GP64(), c.GP64(), c.GP64()
	c.Label("row")
	c.MOVQ(src, from)
	c.MOVQ(dst, to)
	c.MOVQ(blocks, left)
	c.Label("block")
	body(from, to)
	c.ADDQ(Imm(uint64(srcStep)), from)
	c.ADDQ(Imm(uint64(dstStep)), to)
	c.DECQ(left)
	c.JNZ(LabelRef("block"))
	c.ADDQ(ss, src)
	c.ADDQ(ds, dst)
	c.DECQ(rows)
	c.JNZ(LabelRef("row"))
	c.VZEROUPPER()
	c.RET()
}

func narrow() {
	c.Function("narrowAVX512")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rows, blocks int, src *float32, ss uintptr, dst *float32, ds uintptr)")
	c.Pragma("noescape")
	c.Doc("narrowAVX512 rounds rows of 16·blocks values, ss bytes apart, to bfloat16, ds bytes apart.",
		"dst may be src.")
	loops(func(from, to reg.Register) {
		z, y := c.ZMM(), c.YMM()
		c.VMOVUPS(Mem{Base: from}, z)
		c.VPMOVDW(z, y) // encoded as VCVTNEPS2BF16
		c.VMOVDQU(y, Mem{Base: to})
	}, 64, 32)
}

func pair() {
	order := c.StaticGlobal("pairOrder")
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		c.AddDatum(4*i, U32(uint32(i)|uint32(16+i)<<16))
	}
	c.Function("pairAVX512")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rows, blocks int, src, below *float32, ss uintptr, dst *float32, ds uintptr)")
	c.Pragma("noescape")
	c.Doc("pairAVX512 rounds rows of 16·blocks values and the rows below, of both ss bytes apart, to pairs of",
		"bfloat16, ds bytes apart, the upper row in the low halves. dst may be src.")
	index := c.ZMM()
	c.VMOVDQU32(order, index)
	apart := c.Load(c.Param("below"), c.GP64())
	src := c.Load(c.Param("src"), c.GP64())
	c.SUBQ(src, apart)
	loops(func(from, to reg.Register) {
		lo, hi, both := c.ZMM(), c.ZMM(), c.ZMM()
		c.VMOVUPS(Mem{Base: from}, lo)
		c.VMOVUPS(Mem{Base: from, Index: apart, Scale: 1}, hi)
		c.VPACKSSDW(lo, hi, both) // encoded as VCVTNE2PS2BF16
		c.VPERMW(both, index, both)
		c.VMOVDQU32(both, Mem{Base: to})
	}, 64, 64)
}
