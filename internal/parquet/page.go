package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// page is a piece of a column in a row group.
type page struct {
	at       int64 // where its bytes begin
	packed   int   // how many there are,
	size     int   // and when they are unpacked
	values   int   // with those that are missing
	encoding format.Encoding
	sum      uint32 // CRC-32 of the packed bytes; 0: none
	second   bool   // of the second form, whose levels are never packed
	skipped  int    // bytes of levels that say nothing, as a row has one value
	levels   int    // bytes of those that tell what is missing
	plain    bool   // the values are not packed
}

const (
	mostHeader = 1 << 20
	mostPage   = 1 << 30

	// A page may be unpacked to so many times its packed bytes, or to lightly in any case.
	unpacking = 64
	lightly   = 16 << 20

	// A page has at most so many values, or unpacking times as many as packed bytes.
	mostValues = 1 << 20
)

// pagesOf reads the headers of a column's pages in a row group. dict is its dictionary, nil
// if it has none.
func (f *File) pagesOf(r io.ReaderAt, group int, l *leaf) (dict *page, pages []page, err error) {
	m, err := f.chunk(group, l)
	if err != nil {
		return nil, nil, err
	}
	rows, left := f.meta.RowGroups[group].NumRows, f.meta.RowGroups[group].NumRows
	if rows == 0 {
		return nil, nil, nil // the offsets are those of nothing
	}
	at, end := m.DataPageOffset, int64(0)
	if d := m.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	if at < int64(len(magic)) || at > f.size || m.TotalCompressedSize > f.size-at {
		return nil, nil, damaged(l)
	}
	end = at + m.TotalCompressedSize
	buf := make([]byte, 0, 512)
	for at < end && left > 0 {
		h, n, err := header(r, at, end, &buf)
		if err != nil {
			return nil, nil, fmt.Errorf("column %s: %w", l.name(), err)
		}
		p := page{at: at + int64(n), packed: int(h.CompressedPageSize), size: int(h.UncompressedPageSize),
			sum: uint32(h.CRC)}
		if p.packed < 0 || p.size < 0 || int64(p.packed) > end-p.at {
			return nil, nil, damaged(l)
		}
		if p.size > mostPage {
			return nil, nil, fmt.Errorf("column %s has pages of %d MB, more than %d; write the table with smaller row groups", l.name(), p.size>>20, mostPage>>20)
		}
		if p.size > max(unpacking*p.packed, lightly) {
			return nil, nil, fmt.Errorf("column %s: a page of %d bytes is to be unpacked to %d, which is no picture's size", l.name(), p.packed, p.size)
		}
		at = p.at + int64(p.packed)
		switch {
		case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid && dict == nil && pages == nil:
			p.values, p.encoding = int(h.DictionaryPageHeader.V.NumValues), format.Plain
			if p.values < 0 || p.values > p.size {
				return nil, nil, damaged(l)
			}
			dict = &p
			continue
		case h.Type == format.DataPage && h.DataPageHeader.Valid:
			d := &h.DataPageHeader.V
			p.values, p.encoding = int(d.NumValues), d.Encoding
			if l.levels > 0 && d.DefinitionLevelEncoding != format.RLE {
				return nil, nil, damaged(l)
			}
		case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
			d := &h.DataPageHeaderV2.V
			p.values, p.encoding = int(d.NumValues), d.Encoding
			p.second, p.skipped, p.levels = true, int(d.RepetitionLevelsByteLength), int(d.DefinitionLevelsByteLength)
			p.plain = d.IsCompressed.Valid && !d.IsCompressed.V
			all := min(p.packed, p.size)
			if p.skipped < 0 || p.skipped > all || p.levels < 0 || p.levels > all-p.skipped {
				return nil, nil, damaged(l)
			}
		case h.Type == format.IndexPage:
			continue
		default:
			return nil, nil, damaged(l)
		}
		if p.values < 0 || int64(p.values) > left || p.values > max(mostValues, unpacking*p.packed) {
			return nil, nil, damaged(l)
		}
		if !known(p.encoding) {
			return nil, nil, fmt.Errorf("column %s is written as %v, which is not read; write it as plain or with a dictionary", l.name(), p.encoding)
		}
		if dictionary(p.encoding) && dict == nil {
			return nil, nil, damaged(l)
		}
		left -= int64(p.values)
		pages = append(pages, p)
	}
	if left != 0 {
		return nil, nil, fmt.Errorf("this table is damaged: column %s has %d values in a group of %d rows", l.name(), rows-left, rows)
	}
	return dict, pages, nil
}

// plainDictionary is an older name of a dictionary's encoding.
const plainDictionary = 2

func damaged(l *leaf) error {
	return fmt.Errorf("this table is damaged: the pages of column %s do not fit; fetch or write it again", l.name())
}

func dictionary(e format.Encoding) bool {
	return e == plainDictionary || e == format.RLEDictionary
}

func known(e format.Encoding) bool {
	switch e {
	case format.Plain, format.RLE, format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray,
		format.ByteStreamSplit:
		return true
	}
	return dictionary(e)
}

// header reads the header of a page at place at, and its length.
func header(r io.ReaderAt, at, end int64, buf *[]byte) (h format.PageHeader, n int, err error) {
	for room := 256; ; room *= 8 {
		room = int(min(int64(room), end-at))
		if cap(*buf) < room {
			*buf = make([]byte, room)
		}
		raw := (*buf)[:room]
		if err := readAt(r, raw, at); err != nil {
			return h, 0, err
		}
		if n, err = verify(raw); err == nil {
			if decode(raw[:n], &h) != nil {
				err = errMeta
			}
			return h, n, err
		}
		if room > mostHeader || int64(room) == end-at {
			return h, 0, err
		}
	}
}

// unpack reads a page and unpacks it: levels, then values.
func (f *File) unpack(r io.ReaderAt, p *page, codec format.CompressionCodec) ([]byte, error) {
	raw := make([]byte, p.packed)
	if err := readAt(r, raw, p.at); err != nil {
		return nil, err
	}
	if p.sum != 0 && crc32.ChecksumIEEE(raw) != p.sum {
		return nil, errors.New("the checksum of a page does not fit; fetch the file again")
	}
	if codec == format.Uncompressed || p.plain {
		if len(raw) != p.size {
			return nil, errPage
		}
		return raw, nil
	}
	out := make([]byte, p.size)
	levels := p.skipped + p.levels
	copy(out, raw[:levels])
	if err := unpackInto(out[levels:], raw[levels:], codec); err != nil {
		return nil, err
	}
	return out, nil
}

// errPage is the error of a page whose bytes make no sense.
var errPage = errors.New("a page of this table is damaged; fetch or write it again")

// unpackInto unpacks raw, which must fill out to the byte.
func unpackInto(out, raw []byte, codec format.CompressionCodec) error {
	if len(out) == 0 {
		return nil // some writers pack nothing to nothing
	}
	var in io.Reader
	switch codec {
	case format.Snappy:
		n, err := snappy.DecodedLen(raw)
		if err != nil || n != len(out) {
			return errPage
		}
		if got, err := snappy.Decode(out, raw); err != nil || len(got) != len(out) {
			return errPage
		}
		return nil
	case format.Zstd:
		const usual = 8 << 20 // of what is looked back to
		z, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(uint64(max(usual, 1<<bits.Len(uint(len(out)))))))
		if err != nil {
			return errPage
		}
		defer z.Close()
		in = z
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return errPage
		}
		in = z
	case format.Brotli:
		in = brotli.NewReader(bytes.NewReader(raw))
	case format.Lz4Raw:
		if n, err := lz4.UncompressBlock(raw, out); err != nil || n != len(out) {
			return errPage
		}
		return nil
	case format.Lz4:
		return unpackFramed(out, raw)
	default:
		return fmt.Errorf("the table is packed by %v, which is not read; write it with snappy or zstd", codec)
	}
	if _, err := io.ReadFull(in, out); err != nil {
		return errPage
	}
	// The checksum comes behind the last byte.
	if _, err := io.ReadFull(in, make([]byte, 1)); err != io.EOF {
		return errPage
	}
	return nil
}

// unpackFramed unpacks what is packed by the older LZ4, which writers have understood in two
// ways: as pieces that each begin with their sizes, unpacked and packed, high byte first
// (Hadoop's Lz4Codec), and as one bare block.
func unpackFramed(out, raw []byte) error {
	to, from := out, raw
	for len(from) >= 8 && len(to) > 0 {
		size, packed := binary.BigEndian.Uint32(from), binary.BigEndian.Uint32(from[4:])
		if from = from[8:]; uint64(size) > uint64(len(to)) || uint64(packed) > uint64(len(from)) {
			break
		}
		if n, err := lz4.UncompressBlock(from[:packed], to[:size]); err != nil || n != int(size) {
			break
		}
		to, from = to[size:], from[packed:]
	}
	if len(to) == 0 && len(from) == 0 {
		return nil
	}
	if n, err := lz4.UncompressBlock(raw, out); err != nil || n != len(out) {
		return errPage
	}
	return nil
}

// hybrid reads n numbers of so many bits in the form that mixes runs and packed numbers
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/, RLE).
func hybrid(raw []byte, width, n int) ([]uint32, error) {
	if width > 32 {
		return nil, errPage
	}
	out := make([]uint32, 0, n)
	for len(out) < n {
		head, k := binary.Uvarint(raw)
		if k <= 0 {
			return nil, errPage
		}
		raw = raw[k:]
		if head&1 == 0 { // one number, many times
			size := (width + 7) / 8
			if len(raw) < size || head>>1 == 0 {
				return nil, errPage
			}
			v := uint32(0)
			for i := range size {
				v |= uint32(raw[i]) << (8 * i)
			}
			raw = raw[size:]
			for range min(head>>1, uint64(n-len(out))) {
				out = append(out, v)
			}
			continue
		}
		groups := head >> 1 // of eight numbers
		if groups == 0 || groups > math.MaxInt32 {
			return nil, errPage
		}
		size := int(min(groups*uint64(width), uint64(len(raw)))) // the last group may be cut
		bit := 0
		for range min(groups*8, uint64(n-len(out))) { // which others may follow that fill up the page
			v := uint32(0)
			for i := range width {
				if bit/8 >= size {
					return nil, errPage
				}
				v |= uint32(raw[bit/8]>>(bit%8)&1) << i
				bit++
			}
			out = append(out, v)
		}
		raw = raw[size:]
	}
	return out, nil
}
