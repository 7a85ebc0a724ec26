//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"syscall"
	"unsafe"
)

// action is what the system does about a signal: struct sigaction of the kernel, on both
// processors 32 bytes.
type action [4]uint64

const signals = 64

// guardSignals returns what puts signals back to where they go now. Libraries take some for
// themselves (MPICH takes SIGUSR1, with which a scheduler says that time is up), on a stack
// that Go cannot handle them on.
func guardSignals() (restore func()) {
	var before [signals + 1]action
	for s := range before {
		before[s] = sigaction(s, nil)
	}
	return func() {
		for s := 1; s <= signals; s++ {
			if sigaction(s, nil) != before[s] {
				sigaction(s, &before[s])
			}
		}
	}
}

// sigaction has the system do something about a signal, and returns what it did before.
func sigaction(signal int, do *action) (before action) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(do)),
		uintptr(unsafe.Pointer(&before)), signals/8, 0, 0)
	return before
}
