package emit

import (
	"github.com/mmcloughlin/avo/ir"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Start starts a pass: a function that takes pointers it does not keep.
func Start(name, signature string, doc ...string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
	Doc(doc...)
}

// End ends it.
func End() {
	VZEROUPPER()
	RET()
}

// Pointer loads a parameter.
func Pointer(name string) Register { return Load(Param(name), GP64()) }

// Stride loads a stride in elements and turns it into bytes.
func Stride(name string) Register {
	s := Load(Param(name), GP64())
	SHLQ(Imm(2), s)
	return s
}

// StoreHalf stores v, of AVX-512, rounded to bfloat16. Y31 holds what was stored.
func StoreHalf(v VecVirtual, to Mem) {
	VMOVAPS(v, Z31)
	// VCVTNEPS2BF16 Z31, Y31, which the assembler does not know
	Instruction(&ir.Instruction{Opcode: "LONG", Operands: []Op{U32(0x487e0262)}})
	Instruction(&ir.Instruction{Opcode: "WORD", Operands: []Op{U16(0xff72)}})
	VMOVDQU32(Y31, to)
}

// Tail holds as many ones as a vector of AVX2 has lanes, then as many zeros, to
// read masks from.
type Tail struct {
	table Mem
	lanes int
}

// NewTail declares a table.
func NewTail(name string, lanes int) Tail {
	t := Tail{GLOBL(name, RODATA|NOPTR), lanes}
	for i := range 2 * lanes {
		v := uint32(0)
		if i < lanes {
			v = 0xffffffff
		}
		DATA(i*4, U32(v))
	}
	return t
}

// Mask loads a mask of the first lanes into m; lanes is overwritten.
func (t Tail) Mask(lanes Register, m VecVirtual) {
	// the mask starts that much before the middle of the table
	NEGQ(lanes)
	table := GP64()
	LEAQ(t.table, table)
	VMOVUPS(Mem{Base: table, Index: lanes, Scale: 4, Disp: 4 * t.lanes}, m)
}

// WideMask returns a mask of the first lanes for AVX-512.
func WideMask(lanes Register) Register {
	bits := GP64()
	MOVQ(I64(-1), bits)
	BZHIQ(lanes, bits, bits)
	KMOVW(bits.As32(), K1)
	return K1
}
