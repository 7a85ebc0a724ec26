package amx

// kind is an instruction of AMX.
type kind uint8

const (
	other kind = iota
	ldtilecfg
	sttilecfg
	tilerelease
	tilezero
	tileloadd
	tileloaddt1
	tilestored
	tdpbf16ps
)

// instruction is one as it stands in memory. Registers are numbered as in instructions.
type instruction struct {
	kind             kind
	length           int
	dst, left, right int // tiles; dst is the one that is loaded or stored
	base, index      int // -1: none
	scale            uint
	disp             int64
}

// forms holds prefix (0, 66, F3, F2), opcode and whether the operand is memory.
var forms = map[[3]byte]kind{
	{0, 0x49, 1}: ldtilecfg, {1, 0x49, 1}: sttilecfg, {0, 0x49, 0}: tilerelease, {3, 0x49, 0}: tilezero,
	{3, 0x4b, 1}: tileloadd, {1, 0x4b, 1}: tileloaddt1, {2, 0x4b, 1}: tilestored, {2, 0x5c, 0}: tdpbf16ps,
}

// decode reads an instruction: VEX.128.0F38.W0 with three bytes of prefix.
func decode(code []byte) (i instruction) {
	if len(code) < 15 || code[0] != 0xc4 || code[1]&0x1f != 2 || code[1]&0x80 == 0 || code[2]&0x84 != 0 {
		return
	}
	opcode, modrm := code[3], code[4]
	mod, reg, rm := modrm>>6, int(modrm>>3&7), int(modrm&7)
	memory := byte(0)
	if mod != 3 {
		memory = 1
	}
	k, ok := forms[[3]byte{code[2] & 3, opcode, memory}]
	v := int(^code[2] >> 3 & 15)
	fixed := reg // of instructions that use no tile it is 0
	switch {
	case !ok, k != tdpbf16ps && v != 0, k == tdpbf16ps && v > 7:
		return
	case (k == ldtilecfg || k == sttilecfg || k == tilerelease) && fixed != 0, k == tilerelease && rm != 0,
		k == tilezero && rm != 0:
		return
	}
	i = instruction{kind: k, length: 5, dst: reg, left: rm, right: v, index: -1, base: rm}
	if memory == 0 {
		return
	}
	b, x := int(^code[1]>>5&1)*8, int(^code[1]>>6&1)*8
	i.base += b
	if rm == 4 {
		sib := code[5]
		i.length = 6
		i.base, i.index, i.scale = int(sib&7)+b, int(sib>>3&7)+x, uint(sib>>6)
		if i.index == 4 {
			i.index = -1
		}
	} else if k != ldtilecfg && k != sttilecfg {
		return instruction{} // tiles are loaded and stored with a SIB byte alone
	}
	switch mod {
	case 0:
		if i.base&7 == 5 {
			return instruction{} // relative to the instruction, or without a base: kernels have no such
		}
	case 1:
		i.disp = int64(int8(code[i.length]))
		i.length++
	case 2:
		d := code[i.length:]
		i.disp = int64(int32(uint32(d[0]) | uint32(d[1])<<8 | uint32(d[2])<<16 | uint32(d[3])<<24))
		i.length += 4
	}
	return
}
