package emit

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Encode writes the instructions that the assembler does not know as bytes. Those of
// AVX512_BF16 have others stand in for them that take the same operands; those of AMX
// come from the functions of this package.
func Encode(f *ir.Function) error {
	var nodes []ir.Node
	for _, n := range f.Nodes {
		i, ok := n.(*ir.Instruction)
		if !ok {
			nodes = append(nodes, n)
			continue
		}
		name, code := i.Opcode, []byte(nil)
		switch i.Opcode {
		case "VDPBF16PS":
			if _, memory := i.Operands[0].(Mem); memory {
				name += ".BCST"
			}
			code = evex(0xf3, 0x52, physical(i, 2), physical(i, 1), i.Operands[0])
		case "VPACKSSDW":
			name = "VCVTNE2PS2BF16"
			code = evex(0xf2, 0x72, physical(i, 2), physical(i, 1), i.Operands[0])
		case "VPMOVDW":
			name = "VCVTNEPS2BF16"
			code = evex(0xf3, 0x72, physical(i, 1), nil, i.Operands[0])
		default:
			if code = encodeTile(i); code == nil {
				nodes = append(nodes, n)
				continue
			}
		}
		text := name
		for k, o := range i.Operands {
			if k > 0 {
				text += ","
			}
			if t, ok := o.(U8); ok {
				text += fmt.Sprintf(" TMM%d", t)
				continue
			}
			text += " " + o.Asm()
		}
		nodes = append(nodes, ir.NewComment(text))
		nodes = append(nodes, bytes(code)...)
	}
	f.Nodes = nodes
	return nil
}

func physical(i *ir.Instruction, operand int) reg.Physical { return i.Operands[operand].(reg.Physical) }

// bytes returns directives that stand for the bytes of an instruction.
func bytes(code []byte) []ir.Node {
	var nodes []ir.Node
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
	return nodes
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
