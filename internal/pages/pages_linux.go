package pages

import (
	"syscall"
	"unsafe"
)

// enlarge asks for large pages where they lie wholly within s. It may be refused,
// which does no harm.
func enlarge(s []float32) {
	start := uintptr(unsafe.Pointer(&s[0]))
	lo, hi := (start+large-1)&^(large-1)-start, (start+uintptr(4*len(s)))&^(large-1)-start
	b := unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), 4*len(s))
	_ = syscall.Madvise(b[lo:hi], syscall.MADV_HUGEPAGE)
}
