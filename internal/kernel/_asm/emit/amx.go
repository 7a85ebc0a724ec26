package emit

import (
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Instructions that avo does not know. Those of AMX name tiles by their numbers.

// DotPairs adds the products of pairs of bfloat16, a and b, to acc. Where a is memory, all
// lanes take the one pair there.
func DotPairs(c *build.Context, a Op, b, acc reg.VecVirtual) {
	c.Instruction(&ir.Instruction{Opcode: "VDPBF16PS", Operands: []Op{a, b, acc}, Inputs: []Op{a, b, acc},
		Outputs: []Op{acc}})
}

// Configure sets the shapes of all tiles from 64 bytes, and clears them.
func Configure(c *build.Context, m Mem) { onMemory(c, "LDTILECFG", m) }

// Release gives the tiles back, so that the system need not save them.
func Release(c *build.Context) { c.Instruction(&ir.Instruction{Opcode: "TILERELEASE"}) }

// LoadTile loads a tile, whose rows lie as far apart as m's index says.
func LoadTile(c *build.Context, m Mem, t int) { onMemory(c, "TILELOADD", m, Imm(uint64(t))) }

// StoreTile stores one.
func StoreTile(c *build.Context, t int, m Mem) { onMemory(c, "TILESTORED", m, Imm(uint64(t))) }

// ZeroTile clears one.
func ZeroTile(c *build.Context, t int) { onTiles(c, "TILEZERO", t) }

// MultiplyTiles adds the product of tiles a and b of bfloat16 pairs to dst.
func MultiplyTiles(c *build.Context, dst, a, b int) { onTiles(c, "TDPBF16PS", dst, a, b) }

func onMemory(c *build.Context, opcode string, m Mem, tile ...Op) {
	c.Instruction(&ir.Instruction{Opcode: opcode, Operands: append([]Op{m}, tile...), Inputs: []Op{m}})
}

func onTiles(c *build.Context, opcode string, tiles ...int) {
	i := &ir.Instruction{Opcode: opcode}
	for _, t := range tiles {
		i.Operands = append(i.Operands, Imm(uint64(t)))
	}
	c.Instruction(i)
}

// encodeTile encodes an instruction of AMX (Intel 64 manual, volume 2, chapter 4), all of
// which are VEX.128.0F38.W0. For others it returns nil.
func encodeTile(i *ir.Instruction) []byte {
	const none, p66, pF3, pF2 = 0, 1, 2, 3
	tile := func(operand int) byte { return byte(i.Operands[operand].(U8)) }
	switch i.Opcode {
	case "LDTILECFG":
		return vex(none, 0, 0x49, 0, i.Operands[0])
	case "TILERELEASE":
		return vex(none, 0, 0x49, 0, U8(0))
	case "TILEZERO":
		return vex(pF2, 0, 0x49, tile(0), U8(0))
	case "TILELOADD":
		return vex(pF2, 0, 0x4b, tile(1), i.Operands[0])
	case "TILESTORED":
		return vex(pF3, 0, 0x4b, tile(1), i.Operands[0])
	case "TDPBF16PS":
		return vex(pF3, tile(2), 0x5c, tile(0), i.Operands[1])
	}
	return nil
}

// vex encodes an instruction whose other operand is memory or a tile.
func vex(pp, v, opcode, r byte, rm Op) []byte {
	head := func(x, b byte) []byte {
		return []byte{0xc4, 1<<7 | (1^x)<<6 | (1^b)<<5 | 2, (^v&15)<<3 | pp, opcode}
	}
	m, ok := rm.(Mem)
	if !ok {
		return append(head(0, 0), 3<<6|r<<3|byte(rm.(U8)))
	}
	base := index(m.Base.(reg.Physical))
	disp, mod := []byte(nil), byte(0)
	switch {
	case m.Disp < -128 || m.Disp > 127:
		panic(fmt.Sprintf("vex: displacement %d", m.Disp))
	case m.Disp != 0 || base&7 == 5:
		disp, mod = []byte{byte(m.Disp)}, 1
	}
	if m.Index == nil && base&7 != 4 {
		return append(append(head(0, byte(base>>3)), mod<<6|r<<3|byte(base&7)), disp...)
	}
	x, at, scale := byte(0), byte(4), byte(0) // no index
	if m.Index != nil {
		n := index(m.Index.(reg.Physical))
		x, at = byte(n>>3), byte(n&7)
		scale = map[uint8]byte{1: 0, 2: 1, 4: 2, 8: 3}[m.Scale]
	}
	return append(append(head(x, byte(base>>3)), mod<<6|r<<3|4, scale<<6|at<<3|byte(base&7)), disp...)
}
