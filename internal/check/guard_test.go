//go:build unix

package check

import (
	"runtime/debug"
	"testing"
	"unsafe"
)

// faults reports whether reading p crashes.
func faults(p unsafe.Pointer) (crashed bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { crashed = recover() != nil }()
	sink = *(*float32)(p)
	return false
}

var sink float32

func TestGuarded(t *testing.T) {
	for _, low := range []bool{false, true} {
		for _, n := range []int{1, 7, 1024, 3000} {
			x := Guarded(t, n, low)
			for i := range x {
				x[i] = float32(i)
			}
			first, last := unsafe.Pointer(&x[0]), unsafe.Pointer(&x[n-1])
			if faults(first) || faults(last) {
				t.Errorf("n=%d low=%v: the values themselves cannot be read", n, low)
			}
			if low && !faults(unsafe.Add(first, -4)) || !low && !faults(unsafe.Add(last, 4)) {
				t.Errorf("n=%d low=%v: reading beyond the values does not crash", n, low)
			}
		}
	}
}
