package cpu

import "golang.org/x/sys/cpu"

// x/sys/cpu counts a set as present only if the operating system saves its registers;
// those of AMX a process must ask for.
var (
	hasAVX2       = cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasBMI2
	hasAVX512     = hasAVX2 && cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL
	hasAVX512BF16 = hasAVX512 && cpu.X86.HasAVX512BF16

	hasAMX, withheld = amx(hasAVX512BF16 && cpu.X86.HasAMXTile && cpu.X86.HasAMXBF16, askForTiles)
)

// amx reports whether variant amx is usable where the processor has its instructions,
// and if not, why.
func amx(present bool, ask func() error) (bool, error) {
	if !present {
		return false, nil
	}
	err := ask()
	return err == nil, err
}
