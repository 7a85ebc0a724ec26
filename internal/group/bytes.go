package group

import (
	"hash/crc32"
	"unsafe"
)

// Bytes views numbers as bytes, as [Group].Broadcast takes them. All ranks must have the
// same order of bytes.
func Bytes(x []float32) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum goes on with a checksum of numbers, from 0, by which ranks compare theirs.
func Checksum(sum uint32, x []float32) uint32 { return crc32.Update(sum, castagnoli, Bytes(x)) }
