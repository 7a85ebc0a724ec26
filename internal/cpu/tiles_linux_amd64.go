package cpu

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Linux, arch/x86/include/uapi/asm/prctl.h, and the number of the state component of
// tiles (Intel 64 manual, volume 1, section 13.1).
const (
	archReqXCompPerm = 0x1023
	xTileData        = 18
)

// askForTiles asks the system for the registers of AMX, once for all threads of the
// process. It refuses where it does not save them, or an administrator forbids them.
func askForTiles() error {
	if _, _, e := unix.RawSyscall(unix.SYS_ARCH_PRCTL, archReqXCompPerm, xTileData, 0); e != 0 {
		return fmt.Errorf("the system does not give this process AMX's registers (%w)", e)
	}
	return nil
}
