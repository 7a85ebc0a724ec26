package cpu

import "golang.org/x/sys/cpu"

// x/sys/cpu counts a set as present only if the operating system saves its registers.
var (
	hasAVX2       = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2
	hasAVX512     = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	hasAVX512BF16 = hasAVX512 && cpu.X86.HasAVX512BF16
)
