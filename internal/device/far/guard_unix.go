//go:build unix

package far

import "syscall"

func reserve(n int) []byte {
	mem, err := syscall.Mmap(-1, 0, n, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic("far: " + err.Error())
	}
	large(mem)
	return mem
}

// protect lets anyone read and write mem, or nobody.
func protect(mem []byte, open bool) {
	prot := syscall.PROT_NONE
	if open {
		prot = syscall.PROT_READ | syscall.PROT_WRITE
	}
	if err := syscall.Mprotect(mem, prot); err != nil {
		panic("far: " + err.Error())
	}
}

func release(mem []byte) { _ = syscall.Munmap(mem) }
