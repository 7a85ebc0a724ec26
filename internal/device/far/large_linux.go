package far

import "syscall"

// large asks for large pages, which are opened and shut in a twentieth of the time.
func large(mem []byte) { _ = syscall.Madvise(mem, syscall.MADV_HUGEPAGE) }
