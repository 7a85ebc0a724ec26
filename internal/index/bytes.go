package index

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// bytesOf returns the memory of x.
func bytesOf(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

// big says that this machine stores the high byte of a number first.
var big = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// fromLittle makes numbers of what a file holds, in place, and the other way around.
func fromLittle(x []float32) {
	if !big {
		return
	}
	for i, v := range x {
		x[i] = math.Float32frombits(bits.ReverseBytes32(math.Float32bits(v)))
	}
}
