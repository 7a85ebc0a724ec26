package parquet

import (
	"encoding/binary"
	"errors"
)

// errMeta is the error of metadata that make no sense.
var errMeta = errors.New("its metadata make no sense")

// verify walks over a struct in Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md) and
// returns how many bytes it takes. It fails where a text or a list is said to be longer
// than the bytes that are there, so that decoding takes no more memory than those justify.
func verify(b []byte) (n int, err error) {
	w := walker{rest: b}
	if !w.structure(0) {
		return 0, errMeta
	}
	return len(b) - len(w.rest), nil
}

// Types of the compact protocol.
const (
	tTrue = iota + 1
	tFalse
	tByte
	tI16
	tI32
	tI64
	tDouble
	tBinary
	tList
	tSet
	tMap
	tStruct
	tUUID
)

// leastStruct is how many bytes an element of a list of structs takes at least, in all
// metadata of Parquet but for the empty ones of the order of columns, of which there is
// one for each column.
const leastStruct = 3

const deepest = 32 // structs and lists within each other

type walker struct{ rest []byte }

func (w *walker) skip(n uint64) bool {
	if n > uint64(len(w.rest)) {
		return false
	}
	w.rest = w.rest[n:]
	return true
}

func (w *walker) number() (uint64, bool) {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, false
	}
	w.rest = w.rest[n:]
	return v, true
}

func (w *walker) byte() (byte, bool) {
	if len(w.rest) == 0 {
		return 0, false
	}
	b := w.rest[0]
	w.rest = w.rest[1:]
	return b, true
}

func (w *walker) structure(depth int) bool {
	if depth > deepest {
		return false
	}
	for {
		head, ok := w.byte()
		switch {
		case !ok:
			return false
		case head == 0:
			return true
		case head>>4 == 0:
			if _, ok := w.number(); !ok {
				return false
			}
		}
		if kind := head & 15; kind != tTrue && kind != tFalse && !w.value(kind, depth) {
			return false
		}
	}
}

// value passes over a value of a kind, as it lies in a list.
func (w *walker) value(kind byte, depth int) bool {
	switch kind {
	case tTrue, tFalse, tByte:
		return w.skip(1)
	case tI16, tI32, tI64:
		_, ok := w.number()
		return ok
	case tDouble:
		return w.skip(8)
	case tUUID:
		return w.skip(16)
	case tBinary:
		n, ok := w.number()
		return ok && w.skip(n)
	case tStruct:
		return w.structure(depth + 1)
	case tList, tSet:
		return w.list(depth + 1)
	}
	return false // there are no maps in Parquet
}

func (w *walker) list(depth int) bool {
	head, ok := w.byte()
	n := uint64(head >> 4)
	if ok && n == 15 {
		n, ok = w.number()
	}
	kind, least := head&15, uint64(1)
	if kind == tStruct {
		least = leastStruct
	}
	if !ok || depth > deepest || n > uint64(len(w.rest))/least {
		return false
	}
	for range n {
		if !w.value(kind, depth) {
			return false
		}
	}
	return true
}
