package parallel

import (
	"syscall"
	"time"
	"unsafe"
)

// threadClock is CLOCK_THREAD_CPUTIME_ID, clock_gettime(2).
const threadClock = 3

// clock returns how long this thread has been on a processor: what others on the machine
// take does not count. The goroutine must be locked to its thread.
func clock() time.Duration {
	var t syscall.Timespec
	_, _, err := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadClock, uintptr(unsafe.Pointer(&t)), 0)
	if err != 0 {
		return time.Since(begun)
	}
	return time.Duration(t.Nano())
}

var begun = time.Now()
