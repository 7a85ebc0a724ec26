// Command bf16 generates the register tiles of products of bfloat16, and the
// conversions to it.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/reg"
)

func main() {
	set := flag.NewFlagSet("bf16", flag.ExitOnError)
	flags := build.NewFlags(set)
	set.Parse(os.Args[1:])
	c := build.NewContext()
	c.ConstraintExpr("amd64")
	tile(c, "tileBF16x32", 2)
	tile(c, "tileBF16x16", 1)
	narrow(c)
	pair(c)
	config := flags.Config()
	encode := pass.FunctionPass(encodeFunction)
	config.Passes = append([]pass.Interface{config.Passes[0], encode}, config.Passes[1:]...)
	os.Exit(build.Main(config, c))
}

const maxRows = 14

// tile generates a function with one section for each number of rows.
func tile(c *build.Context, name string, vectors int) {
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, c *float32, crs uintptr, accumulate bool)")
	c.Pragma("noescape")
	c.Doc(
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
	)
	rows := c.Load(c.Param("rows"), c.GP64())
	for n := maxRows; n > 1; n-- {
		c.CMPQ(rows, Imm(uint64(n)))
		c.JEQ(LabelRef(fmt.Sprintf("rows%d", n)))
	}
	for n := 1; n <= maxRows; n++ {
		c.Label(fmt.Sprintf("rows%d", n))
		section(c, n, vectors)
	}
}

// section generates the code for a fixed number of rows.
func section(c *build.Context, rows, vectors int) {
	label := func(name string) string { return fmt.Sprintf("%s%d", name, rows) }
	k := c.Load(c.Param("k"), c.GP64())
	b := c.Load(c.Param("b"), c.GP64())
	bks := c.Load(c.Param("bks"), c.GP64())
	ahead := c.Load(c.Param("ahead"), c.GP64())
	row, step := pointers(c, rows)
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		for range vectors {
			z := c.ZMM()
			c.VPXORD(z, z, z)
			acc[i] = append(acc[i], z)
		}
	}
	fetch, pitch := c.Load(c.Param("c"), c.GP64()), c.Load(c.Param("crs"), c.GP64())
	for i := range rows { // c will be there when the sums are
		for v := range vectors {
			c.PREFETCHT0(Mem{Base: fetch, Disp: 64 * v})
		}
		if i < rows-1 {
			c.ADDQ(pitch, fetch)
		}
	}

	c.Label(label("loop"))
	bv := make([]reg.VecVirtual, vectors)
	for v := range bv {
		bv[v] = c.ZMM()
		c.VMOVUPS(Mem{Base: b, Disp: 64 * v}, bv[v])
	}
	for v := range vectors {
		c.PREFETCHT1(Mem{Base: b, Index: ahead, Scale: 1, Disp: 64 * v})
	}
	c.ADDQ(bks, b)
	for i := range rows {
		for v := range bv {
			c.VFMADD231PS_BCST(row[i], bv[v], acc[i][v]) // encoded as VDPBF16PS
		}
	}
	step()
	c.DECQ(k)
	c.JNZ(LabelRef(label("loop")))

	to := c.Load(c.Param("c"), c.GP64())
	crs := c.Load(c.Param("crs"), c.GP64())
	accumulate := c.GP8()
	c.Load(c.Param("accumulate"), accumulate)
	c.TESTB(accumulate, accumulate)
	c.JZ(LabelRef(label("store")))
	from := c.GP64()
	c.MOVQ(to, from)
	for i := range rows {
		for v := range vectors {
			c.VADDPS(Mem{Base: from, Disp: 64 * v}, acc[i][v], acc[i][v])
		}
		if i < rows-1 {
			c.ADDQ(crs, from)
		}
	}

	c.Label(label("store"))
	for i := range rows {
		for v := range vectors {
			c.VMOVUPS(acc[i][v], Mem{Base: to, Disp: 64 * v})
		}
		if i < rows-1 {
			c.ADDQ(crs, to)
		}
	}
	c.VZEROUPPER()
	c.RET()
}

// group is the number of rows addressed from one pointer.
const group = 5

// pointers returns the operands of a's rows and a function that steps them to
// the next k.
func pointers(c *build.Context, rows int) (row []Mem, step func()) {
	a := c.Load(c.Param("a"), c.GP64())
	aks := c.Load(c.Param("aks"), c.GP64())
	ars, ars3, ars5 := c.GP64(), c.GP64(), c.GP64()
	if rows > 1 {
		c.Load(c.Param("ars"), ars)
	}
	if rows > 3 {
		c.LEAQ(Mem{Base: ars, Index: ars, Scale: 2}, ars3)
	}
	if rows > group {
		c.LEAQ(Mem{Base: ars, Index: ars, Scale: 4}, ars5)
	}
	base := []reg.Register{a}
	for i := range rows {
		if i > 0 && i%group == 0 {
			next := c.GP64()
			c.LEAQ(Mem{Base: base[len(base)-1], Index: ars5, Scale: 1}, next)
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
			c.ADDQ(aks, r)
		}
	}
}

// loops generates two nested loops over rows and blocks, both at least one.
func loops(c *build.Context, body func(src, dst reg.Register), srcStep, dstStep int) {
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

func narrow(c *build.Context) {
	c.Function("narrowAVX512")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(rows, blocks int, src *float32, ss uintptr, dst *float32, ds uintptr)")
	c.Pragma("noescape")
	c.Doc("narrowAVX512 rounds rows of 16·blocks values, ss bytes apart, to bfloat16, ds bytes apart.",
		"dst may be src.")
	loops(c, func(from, to reg.Register) {
		z, y := c.ZMM(), c.YMM()
		c.VMOVUPS(Mem{Base: from}, z)
		c.VPMOVDW(z, y) // encoded as VCVTNEPS2BF16
		c.VMOVDQU(y, Mem{Base: to})
	}, 64, 32)
}

func pair(c *build.Context) {
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
	loops(c, func(from, to reg.Register) {
		lo, hi, both := c.ZMM(), c.ZMM(), c.ZMM()
		c.VMOVUPS(Mem{Base: from}, lo)
		c.VMOVUPS(Mem{Base: from, Index: apart, Scale: 1}, hi)
		c.VPACKSSDW(lo, hi, both) // encoded as VCVTNE2PS2BF16
		c.VPERMW(both, index, both)
		c.VMOVDQU32(both, Mem{Base: to})
	}, 64, 64)
}

// encodeFunction replaces the instructions that stand in for those that the
// assembler does not know: they take the same operands.
func encodeFunction(f *ir.Function) error {
	var nodes []ir.Node
	for _, n := range f.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		var code []byte
		var name string
		switch i.Opcode {
		case "VFMADD231PS":
			name = "VDPBF16PS.BCST"
			code = evex(0xf3, 0x52, i.Operands[2].(reg.Physical), i.Operands[1].(reg.Physical), i.Operands[0])
		case "VPACKSSDW":
			name = "VCVTNE2PS2BF16"
			code = evex(0xf2, 0x72, i.Operands[2].(reg.Physical), i.Operands[1].(reg.Physical), i.Operands[0])
		case "VPMOVDW":
			name = "VCVTNEPS2BF16"
			code = evex(0xf3, 0x72, i.Operands[1].(reg.Physical), nil, i.Operands[0])
		default:
			nodes = append(nodes, n)
			continue
		}
		text := name
		for k, o := range i.Operands {
			if k > 0 {
				text += ","
			}
			text += " " + o.Asm()
		}
		nodes = append(nodes, ir.NewComment(text))
		for len(code) > 0 {
			var data ir.Instruction
			switch {
			case len(code) >= 4:
				data = ir.Instruction{Opcode: "LONG", Operands: []Op{U32(uint32(code[0]) | uint32(code[1])<<8 | uint32(code[2])<<16 | uint32(code[3])<<24)}}
				code = code[4:]
			case len(code) >= 2:
				data = ir.Instruction{Opcode: "WORD", Operands: []Op{U16(uint16(code[0]) | uint16(code[1])<<8)}}
				code = code[2:]
			default:
				data = ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(code[0])}}
				code = code[1:]
			}
			nodes = append(nodes, &data)
		}
	}
	f.Nodes = nodes
	return nil
}

// evex encodes a 512-bit instruction of map 0F38 with W = 0 (Intel 64 manual,
// volume 2, section 2.7): a memory operand is broadcast.
func evex(prefix, opcode byte, dst, src reg.Physical, rm Op) []byte {
	bit := func(n, b int) byte { return byte(n>>b) & 1 }
	r, v := index(dst), 0
	if src != nil {
		v = index(src)
	}
	var x, b, broadcast byte
	var tail []byte
	switch o := rm.(type) {
	case Mem:
		base := index(o.Base.(reg.Physical))
		b, broadcast = bit(base, 3), 1
		mod := byte(0)
		if base&7 == 5 { // would mean no base
			mod = 1
		}
		if o.Index != nil || base&7 == 4 {
			sib := byte(4) << 3
			if o.Index != nil {
				i := index(o.Index.(reg.Physical))
				x = bit(i, 3)
				sib = map[uint8]byte{1: 0, 2: 1, 4: 2, 8: 3}[o.Scale]<<6 | byte(i&7)<<3
			}
			tail = []byte{mod<<6 | byte(r&7)<<3 | 4, sib | byte(base&7)}
		} else {
			tail = []byte{mod<<6 | byte(r&7)<<3 | byte(base&7)}
		}
		if o.Disp != 0 {
			panic("evex: displacement")
		}
		if mod == 1 {
			tail = append(tail, 0)
		}
	case reg.Physical:
		m := index(o)
		b, x = bit(m, 3), bit(m, 4)
		tail = []byte{3<<6 | byte(r&7)<<3 | byte(m&7)}
	default:
		panic(fmt.Sprintf("evex: operand %v", rm))
	}
	pp := map[byte]byte{0x66: 1, 0xf3: 2, 0xf2: 3}[prefix]
	return append([]byte{
		0x62,
		(1^bit(r, 3))<<7 | (1^x)<<6 | (1^b)<<5 | (1^bit(r, 4))<<4 | 2,
		byte(^v&15)<<3 | 1<<2 | pp,
		2<<5 | broadcast<<4 | (1^bit(v, 4))<<3,
		opcode,
	}, tail...)
}

// index returns the number of a register in instructions.
func index(r reg.Physical) int { return int(r.PhysicalIndex()) }
