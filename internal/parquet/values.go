package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"

	"github.com/parquet-go/parquet-go/format"
)

// values reads the values of pages of a column, which share a dictionary, nil where one is
// missing.
func (f *File) values(r io.ReaderAt, group int, l *leaf, dict *page, pages []page) ([][]byte, error) {
	m, err := f.chunk(group, l)
	if err != nil {
		return nil, err
	}
	if l.kind != format.Boolean && l.kind != format.ByteArray && sizeOf(l.kind) == 0 {
		return nil, fmt.Errorf("a column of the kind %v is neither text nor numbers", l.kind)
	}
	codec := m.Codec
	var words [][]byte
	if dict != nil {
		raw, err := f.unpack(r, dict, codec)
		if err != nil {
			return nil, err
		}
		if words, err = plain(raw, l.kind, dict.values); err != nil {
			return nil, err
		}
	}
	n := 0
	for i := range pages {
		n += pages[i].values
	}
	all := make([][]byte, 0, n)
	for i := range pages {
		raw, err := f.unpack(r, &pages[i], codec)
		if err == nil {
			all, err = pages[i].decode(all, raw, l, words)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// decode appends the values of a page that was unpacked.
func (p *page) decode(all [][]byte, raw []byte, l *leaf, words [][]byte) ([][]byte, error) {
	there := p.values
	var levels []uint32
	raw = raw[p.skipped:]
	if l.levels > 0 {
		n := p.levels
		if !p.second {
			if len(raw) < 4 {
				return nil, errPage
			}
			size := binary.LittleEndian.Uint32(raw)
			if raw = raw[4:]; uint64(size) > uint64(len(raw)) {
				return nil, errPage
			}
			n = int(size)
		}
		var err error
		if levels, err = hybrid(raw[:n], bits.Len(uint(l.levels)), p.values); err != nil {
			return nil, err
		}
		raw = raw[n:]
		there = 0
		for _, level := range levels {
			if level == uint32(l.levels) {
				there++
			}
		}
	} else if p.second {
		raw = raw[p.levels:]
	}
	var some [][]byte
	if dictionary(p.encoding) {
		places := []uint32(nil)
		if there > 0 {
			if len(raw) < 1 {
				return nil, errPage
			}
			var err error
			if places, err = hybrid(raw[1:], int(raw[0]), there); err != nil {
				return nil, err
			}
		}
		some = make([][]byte, there)
		for i, at := range places {
			if int(at) >= len(words) {
				return nil, errPage
			}
			some[i] = words[at]
		}
	} else {
		var err error
		switch p.encoding {
		case format.Plain:
			some, err = plain(raw, l.kind, there)
		case format.RLE:
			some, err = switches(raw, l.kind, there)
		case format.DeltaByteArray:
			some, err = continued(raw, l.kind, there)
		case format.ByteStreamSplit:
			some, err = woven(raw, l.kind, there)
		default:
			some, err = apart(raw, l.kind, there)
		}
		if err != nil {
			return nil, err
		}
	}
	if levels == nil {
		return append(all, some...), nil
	}
	for _, level := range levels {
		if level != uint32(l.levels) {
			all = append(all, nil)
			continue
		}
		all, some = append(all, some[0]), some[1:]
	}
	return all, nil
}

// plain reads n values one after the other.
func plain(raw []byte, kind format.Type, n int) ([][]byte, error) {
	if kind == format.Boolean {
		return bools(raw, n)
	}
	size := uint64(sizeOf(kind))
	if n > len(raw) {
		return nil, errPage // each takes a byte at least
	}
	all := make([][]byte, n)
	for i := range all {
		if kind == format.ByteArray {
			if len(raw) < 4 {
				return nil, errPage
			}
			size = uint64(binary.LittleEndian.Uint32(raw))
			raw = raw[4:]
		}
		if uint64(len(raw)) < size {
			return nil, errPage
		}
		all[i], raw = raw[:size:size], raw[size:]
	}
	return all, nil
}

// sizeOf is how many bytes a number takes; 0: the kind is none of numbers.
func sizeOf(kind format.Type) int {
	switch kind {
	case format.Int32, format.Float:
		return 4
	case format.Int64, format.Double:
		return 8
	}
	return 0
}

// woven reads n numbers of which all first bytes come first, then all second ones
// (BYTE_STREAM_SPLIT).
func woven(raw []byte, kind format.Type, n int) ([][]byte, error) {
	size := sizeOf(kind)
	if size == 0 || len(raw) != n*size {
		return nil, errPage
	}
	bytes := make([]byte, 0, n*size)
	all := make([][]byte, n)
	for i := range all {
		for k := range size {
			bytes = append(bytes, raw[k*n+i])
		}
		all[i] = bytes[i*size:]
	}
	return all, nil
}

// no and yes are how a truth value is held.
var no, yes = []byte{0}, []byte{1}

// bools reads n truth values of a bit each.
func bools(raw []byte, n int) ([][]byte, error) {
	if (n+7)/8 > len(raw) {
		return nil, errPage
	}
	all := make([][]byte, n)
	for i := range all {
		all[i] = no
		if raw[i/8]>>(i%8)&1 == 1 {
			all[i] = yes
		}
	}
	return all, nil
}

// switches reads n truth values that are kept as runs.
func switches(raw []byte, kind format.Type, n int) ([][]byte, error) {
	if kind != format.Boolean || len(raw) < 4 {
		return nil, errPage
	}
	size := binary.LittleEndian.Uint32(raw)
	if raw = raw[4:]; uint64(size) > uint64(len(raw)) {
		return nil, errPage
	}
	bits, err := hybrid(raw[:size], 1, n)
	if err != nil {
		return nil, err
	}
	all := make([][]byte, n)
	for i, bit := range bits {
		all[i] = no
		if bit == 1 {
			all[i] = yes
		}
	}
	return all, nil
}

// text writes a value for people; nothing stands for no number.
func (l *leaf) textOf(value []byte) string {
	switch l.kind {
	case format.Boolean:
		return strconv.FormatBool(value[0] == 1)
	case format.Int32:
		v := binary.LittleEndian.Uint32(value)
		if l.signed {
			return strconv.Itoa(int(int32(v)))
		}
		return strconv.FormatUint(uint64(v), 10)
	case format.Int64:
		v := binary.LittleEndian.Uint64(value)
		if l.signed {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatUint(v, 10)
	case format.Float:
		return decimal(float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 32)
	case format.Double:
		return decimal(math.Float64frombits(binary.LittleEndian.Uint64(value)), 64)
	}
	return string(value)
}

// decimal writes a number as whole numbers are written, if it is one.
func decimal(v float64, bits int) string {
	if v != v {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, bits)
}
