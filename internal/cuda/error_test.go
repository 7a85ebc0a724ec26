package cuda

import (
	"errors"
	"fmt"
	"testing"
)

func TestErrorKinds(t *testing.T) {
	for _, c := range []struct {
		call         string
		code         int
		memory, lost bool
	}{
		{"cuMemAlloc_v2", 2, true, false},
		{"cuMemHostAlloc", 2, false, false}, // memory of the host
		{"cuLaunchKernel", 1, false, false},
		{"cuStreamSynchronize", 700, false, true},
		{"cuStreamSynchronize", 719, false, true},
		{"cuEventSynchronize", 214, false, true},
		{"cuMemcpyHtoDAsync_v2", 999, false, true},
		{"cudnnConvolutionForward", 4004, true, false},
		{"cudnnConvolutionForward", 3000, false, false},
		{"cublasLtMatmul", 3, true, false},
		{"cublasLtMatmul", 4, false, false}, // a number that means another thing there
	} {
		e := &Error{Call: c.call, Code: c.code}
		if e.OutOfMemory() != c.memory || e.Lost() != c.lost || Lost(fmt.Errorf("x: %w", e)) != c.lost {
			t.Errorf("%s %d: out of memory %v, lost %v", c.call, c.code, e.OutOfMemory(), e.Lost())
		}
	}
	if Lost(errors.New("x")) || Lost(nil) {
		t.Error("another error is a lost card")
	}
}
