package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strconv"

	"github.com/parquet-go/parquet-go/format"
)

// values reads the values of pages of a column, which share a dictionary, nil where one is
// missing.
func (f *File) values(r io.ReaderAt, group int, l *leaf, dict *page, pages []page) ([][]byte, error) {
	codec := f.meta.RowGroups[group].Columns[l.index].MetaData.Codec
	var words [][]byte
	if dict != nil {
		raw, err := f.unpack(r, dict, codec)
		if err != nil {
			return nil, err
		}
		if words, _, err = plain(raw, l.kind, dict.values); err != nil {
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
		if p.encoding == format.Plain {
			some, _, err = plain(raw, l.kind, there)
		} else {
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
func plain(raw []byte, kind format.Type, n int) (all [][]byte, rest []byte, err error) {
	if n > len(raw) {
		return nil, nil, errPage // each takes a byte at least
	}
	all = make([][]byte, n)
	for i := range all {
		size := uint64(8)
		switch kind {
		case format.Int32:
			size = 4
		case format.Int64:
		case format.ByteArray:
			if len(raw) < 4 {
				return nil, nil, errPage
			}
			size = uint64(binary.LittleEndian.Uint32(raw))
			raw = raw[4:]
		default:
			return nil, nil, fmt.Errorf("a column of the kind %v is neither text nor whole numbers", kind)
		}
		if uint64(len(raw)) < size {
			return nil, nil, errPage
		}
		all[i], raw = raw[:size:size], raw[size:]
	}
	return all, raw, nil
}

// text writes a value for people.
func (l *leaf) textOf(value []byte) string {
	switch l.kind {
	case format.Int32:
		return strconv.Itoa(int(int32(binary.LittleEndian.Uint32(value))))
	case format.Int64:
		return strconv.FormatInt(int64(binary.LittleEndian.Uint64(value)), 10)
	}
	return string(value)
}
