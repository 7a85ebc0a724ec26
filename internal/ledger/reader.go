package ledger

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// Reader takes bytes apart: unsigned and signed varints, texts (a varint and as many bytes),
// and numbers of fixed size, low byte first. When it meets something impossible it sets
// Bad, and everything that it returns from then on is empty. What it says of sizes is
// bounded by the bytes that are there.
type Reader struct {
	Rest []byte
	Bad  bool
}

// Fail sets Bad.
func (r *Reader) Fail() { r.Rest, r.Bad = nil, true }

// Whole reports whether all bytes were read, and none was impossible.
func (r *Reader) Whole() bool { return !r.Bad && len(r.Rest) == 0 }

// Number reads a number of up to 63 bits.
func (r *Reader) Number() int64 {
	v, n := binary.Uvarint(r.Rest)
	if n <= 0 || v > math.MaxInt64 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return int64(v)
}

// Int reads a number of up to 31 bits.
func (r *Reader) Int() int {
	v := r.Number()
	if v > math.MaxInt32 {
		r.Fail()
		return 0
	}
	return int(v)
}

// Signed reads a number with a sign.
func (r *Reader) Signed() int64 {
	v, n := binary.Varint(r.Rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.Rest = r.Rest[n:]
	return v
}

// Count reads how many things follow that take size bytes or more each.
func (r *Reader) Count(size int) int {
	n := r.Int()
	if n > len(r.Rest)/size {
		r.Fail()
		return 0
	}
	return n
}

// Text reads a text. It lies in the memory of the bytes, which must not change.
func (r *Reader) Text() string {
	b := r.take(r.Count(1))
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Word reads a number of 32 bits.
func (r *Reader) Word() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Double reads a number with a fraction.
func (r *Reader) Double() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// take takes n bytes, nil if they are not there.
func (r *Reader) take(n int) []byte {
	if n > len(r.Rest) {
		r.Fail()
		return nil
	}
	b := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return b
}

// Text appends a text, as a Reader reads it.
func Text(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
