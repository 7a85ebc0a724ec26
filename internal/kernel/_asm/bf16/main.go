// Command bf16 generates the register tiles of products of bfloat16, and the
// conversions to it.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
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
	narrow()
	pair()
	peak()
	emit.Write(c, pass.FunctionPass(encodeFunction))
}

const maxRows = 14

// tile generates a function that computes tiles of up to maxRows rows.
func tile(name string, vectors int) {
	emit.Tile{
		Name:      name,
		Signature: "func(rows, k int, a *float32, ars, aks uintptr, b *float32, bks, ahead uintptr, c *float32, crs uintptr, accumulate bool)",
		MaxRows:   maxRows, Vectors: vectors, Bytes: 64, Register: c.ZMM, Ahead: true,
		Zero: func(z reg.VecVirtual) { c.VPXORD(z, z, z) },
		MultiplyAdd: func(a Mem, b, acc []reg.VecVirtual) {
			for v := range b {
				c.VFMADD231PS_BCST(a, b[v], acc[v]) // encoded as VDPBF16PS
			}
		},
		Doc: []string{
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
		},
	}.Emit(c)
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

// peak generates the loop that measures the ceiling.
func peak() {
	const chains = 24
	c.Function("peakBF16")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(n int)")
	c.Doc("peakBF16 does n times two multiply-adds in each lane of its accumulators.")
	n := c.Load(c.Param("n"), c.GP64())
	x, y := c.ZMM(), c.ZMM()
	c.VPXORD(x, x, x)
	c.VPXORD(y, y, y)
	acc := make([]reg.VecVirtual, chains)
	for i := range acc {
		acc[i] = c.ZMM()
		c.VPXORD(acc[i], acc[i], acc[i])
	}
	c.Label("loop")
	for _, a := range acc {
		c.VFMADD231PS(x, y, a) // encoded as VDPBF16PS
	}
	c.DECQ(n)
	c.JNZ(LabelRef("loop"))
	c.VZEROUPPER()
	c.RET()
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
			name = "VDPBF16PS"
			if _, memory := i.Operands[0].(Mem); memory {
				name += ".BCST"
			}
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
				word := U32(uint32(code[0]) | uint32(code[1])<<8 | uint32(code[2])<<16 | uint32(code[3])<<24)
				data = ir.Instruction{Opcode: "LONG", Operands: []Op{word}}
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
