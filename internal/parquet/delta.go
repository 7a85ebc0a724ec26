package parquet

import (
	"encoding/binary"

	"github.com/parquet-go/parquet-go/format"
)

// deltas reads n numbers that are kept as differences, and what follows them
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/, DELTA_BINARY_PACKED).
func deltas(raw []byte, n int) (all []int64, rest []byte, err error) {
	bad := false
	number := func() uint64 {
		v, k := binary.Uvarint(raw)
		if k <= 0 {
			bad = true
			return 0
		}
		raw = raw[k:]
		return v
	}
	signed := func() int64 {
		v := number()
		return int64(v>>1) ^ -int64(v&1)
	}
	block, pieces, total, last := number(), number(), number(), signed()
	const mostBlock = 1 << 16
	if bad || total != uint64(n) || pieces == 0 || block > mostBlock || block%pieces != 0 || block/pieces%8 != 0 {
		return nil, nil, errPage
	}
	if n == 0 {
		return nil, raw, nil
	}
	each := int(block / pieces)
	all = append(make([]int64, 0, n), last)
	for len(all) < n {
		least := signed()
		if bad || len(raw) < int(pieces) || each == 0 {
			return nil, nil, errPage
		}
		widths := raw[:pieces]
		raw = raw[pieces:]
		for _, width := range widths {
			if len(all) == n {
				break // the widths of pieces that are not there count for nothing
			}
			size := each / 8 * int(width)
			if width > 64 || len(raw) < size {
				return nil, nil, errPage
			}
			for i := range min(each, n-len(all)) {
				v := uint64(0)
				for k := range int(width) {
					bit := i*int(width) + k
					v |= uint64(raw[bit/8]>>(bit%8)&1) << k
				}
				last += least + int64(v)
				all = append(all, last)
			}
			raw = raw[size:]
		}
	}
	return all, raw, nil
}

// apart reads n values whose numbers, or lengths before all bytes, are kept as
// differences.
func apart(raw []byte, kind format.Type, n int) ([][]byte, error) {
	if n > mostValues && n > unpacking*len(raw) {
		return nil, errPage
	}
	numbers, raw, err := deltas(raw, n)
	if err != nil {
		return nil, err
	}
	all := make([][]byte, n)
	switch kind {
	case format.Int32, format.Int64:
		size := 8
		if kind == format.Int32 {
			size = 4
		}
		bytes := make([]byte, 0, size*n)
		for i, v := range numbers {
			if kind == format.Int32 {
				bytes = binary.LittleEndian.AppendUint32(bytes, uint32(v))
			} else {
				bytes = binary.LittleEndian.AppendUint64(bytes, uint64(v))
			}
			all[i] = bytes[i*size : (i+1)*size]
		}
		return all, nil
	case format.ByteArray:
		for i, v := range numbers {
			if v < 0 || v > int64(len(raw)) {
				return nil, errPage
			}
			all[i], raw = raw[:v:v], raw[v:]
		}
		return all, nil
	}
	return nil, errPage
}

// continued reads n values, each of which says how many bytes it has in common with the
// one before it, and the rest (DELTA_BYTE_ARRAY).
func continued(raw []byte, kind format.Type, n int) ([][]byte, error) {
	if kind != format.ByteArray || n > mostValues && n > unpacking*len(raw) {
		return nil, errPage
	}
	shared, rest, err := deltas(raw, n)
	if err != nil {
		return nil, err
	}
	all, err := apart(rest, kind, n)
	if err != nil {
		return nil, err
	}
	before, length := int64(0), int64(0)
	for i, tail := range all {
		if shared[i] < 0 || shared[i] > before {
			return nil, errPage
		}
		before = shared[i] + int64(len(tail))
		if length += before; length > max(unpacking*int64(len(raw)), lightly) {
			return nil, errPage
		}
	}
	out := make([]byte, 0, length)
	for i, tail := range all {
		if shared[i] == 0 {
			continue // as it is
		}
		from := len(out)
		out = append(append(out, all[i-1][:shared[i]]...), tail...)
		all[i] = out[from:len(out):len(out)]
	}
	return all, nil
}
