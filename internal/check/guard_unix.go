//go:build unix

package check

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Guarded returns n values between two pages that may not be touched: the last
// value ends where the upper page begins or, if low, the first begins where the
// lower page ends. Assembly that reads or writes beyond them crashes. The
// memory is unmapped when the test ends.
func Guarded(t testing.TB, n int, low bool) []float32 {
	t.Helper()
	if n == 0 {
		return nil
	}
	page := os.Getpagesize()
	inner := (4*n + page - 1) / page * page
	mem, err := unix.Mmap(-1, 0, inner+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("check: mapping %d bytes: %v", inner+2*page, err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Errorf("check: unmapping: %v", err)
		}
	})
	for _, guard := range [][]byte{mem[:page], mem[page+inner:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatalf("check: protecting a page: %v", err)
		}
	}
	at := page
	if !low {
		at += inner - 4*n
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&mem[at])), n)
}
