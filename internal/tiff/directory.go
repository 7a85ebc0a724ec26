package tiff

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
)

// Tags of a directory that are looked at.
const (
	tagWidth         = 0x100
	tagHeight        = 0x101
	tagBits          = 0x102
	tagCompression   = 0x103
	tagPhotometric   = 0x106
	tagFillOrder     = 0x10a
	tagStripOffsets  = 0x111
	tagOrientation   = 0x112
	tagSamples       = 0x115
	tagRowsPerStrip  = 0x116
	tagStripBytes    = 0x117
	tagMaxSample     = 0x119
	tagPlanar        = 0x11c
	tagT4Options     = 0x124
	tagPredictor     = 0x13d
	tagColorMap      = 0x140
	tagTileWidth     = 0x142
	tagTileHeight    = 0x143
	tagTileOffsets   = 0x144
	tagTileBytes     = 0x145
	tagInks          = 0x14c
	tagExtraSamples  = 0x152
	tagSampleFormat  = 0x153
	tagJPEGTables    = 0x15b
	tagXMP           = 0x2bc
	tagNoData        = 0xa481 // of GDAL, which writes a number as text
	maxEntries       = 65535
	maxMetadataBytes = 1 << 20
)

// Magic reports whether head begins a TIFF file, a BigTIFF included. Two ways
// to write the version in the wrong byte order are let pass, as everywhere.
func Magic(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	switch string(head[:4]) {
	case "II*\x00", "MM\x00*", "II\x00*", "MM*\x00", "II+\x00", "MM\x00+":
		return true
	}
	return false
}

// Directory is the first directory of a TIFF structure, which may be that of a
// file or of EXIF data.
type Directory struct {
	r       io.ReaderAt
	size    int64
	order   binary.ByteOrder
	entries map[uint16]entry
	cut     bool            // the structure ends inside the directory
	lost    map[uint16]bool // tags whose values are not in the structure
	next    uint64          // where the next directory is, 0 if this is the last
}

type entry struct {
	kind  uint16
	count uint64
	at    int64 // of its values in the file
}

var errCut = errors.New("the file is cut short")

// ReadDirectory reads the first directory of the structure that r holds. What
// the tags hold is read when it is asked for.
func ReadDirectory(r io.ReaderAt, size int64) (*Directory, error) {
	var head [16]byte
	n, _ := r.ReadAt(head[:min(16, size)], 0)
	if n < 8 {
		return nil, errCut
	}
	if !Magic(head[:]) {
		return nil, errors.New("no TIFF header")
	}
	d := &Directory{r: r, size: size, order: binary.LittleEndian, entries: map[uint16]entry{}, lost: map[uint16]bool{}}
	if head[0] == 'M' {
		d.order = binary.BigEndian
	}
	big := head[2] == '+' || head[3] == '+'
	at, counts, length, inline := uint64(d.order.Uint32(head[4:])), int64(2), int64(12), int64(4)
	if big {
		if n < 16 {
			return nil, errCut
		}
		if d.order.Uint16(head[4:]) != 8 {
			return nil, errors.New("offsets that are not of 8 bytes")
		}
		at, counts, length, inline = d.order.Uint64(head[8:]), 8, 20, 8
	}
	if at > uint64(size) || size-int64(at) < counts {
		return nil, errCut
	}
	var number [8]byte
	if _, err := r.ReadAt(number[:counts], int64(at)); err != nil {
		return nil, errCut
	}
	var many uint64
	if big {
		many = d.order.Uint64(number[:])
	} else {
		many = uint64(d.order.Uint16(number[:]))
	}
	if many > maxEntries {
		return nil, errors.New("a directory of more than 65535 tags")
	}
	start := int64(at) + counts
	if n, _ := r.ReadAt(number[:inline], start+int64(many)*length); int64(n) == inline && inline == 8 {
		d.next = d.order.Uint64(number[:])
	} else if int64(n) == inline {
		d.next = uint64(d.order.Uint32(number[:]))
	}
	raw := make([]byte, min(int64(many)*length, size-start))
	n, _ = r.ReadAt(raw, start)
	raw = raw[:n]
	for i := int64(0); i < int64(many); i++ {
		if int64(len(raw)) < (i+1)*length {
			d.cut = true
			break
		}
		b := raw[i*length:]
		e := entry{kind: d.order.Uint16(b[2:]), count: uint64(d.order.Uint32(b[4:]))}
		if big {
			e.count = d.order.Uint64(b[4:])
		}
		tag, width := d.order.Uint16(b), uint64(kindSize(e.kind))
		if width == 0 || e.count == 0 || e.count > uint64(size)/width {
			d.lost[tag] = true // unknown, empty, or more than there is
			continue
		}
		value := start + i*length + length - inline
		if bytes := e.count * width; bytes > uint64(inline) {
			var offset uint64
			if big {
				offset = d.order.Uint64(b[length-inline:])
			} else {
				offset = uint64(d.order.Uint32(b[length-inline:]))
			}
			if offset > uint64(size) || uint64(size)-offset < bytes {
				d.lost[tag] = true
				continue
			}
			value = int64(offset)
		}
		e.at = value
		d.entries[tag] = e
	}
	return d, nil
}

// kindSize returns the bytes of a value of a field type, 0 if it is unknown.
func kindSize(kind uint16) int {
	switch kind {
	case 1, 2, 6, 7: // BYTE, ASCII, SBYTE, UNDEFINED
		return 1
	case 3, 8: // SHORT, SSHORT
		return 2
	case 4, 9, 11, 13: // LONG, SLONG, FLOAT, IFD
		return 4
	case 5, 10, 12, 16, 17, 18: // RATIONAL, SRATIONAL, DOUBLE, LONG8, SLONG8, IFD8
		return 8
	}
	return 0
}

// ints returns the values of a tag, at most the given number of them; none if
// it is not there or holds other things than whole numbers.
func (d *Directory) ints(tag uint16, most int) []int64 {
	e, ok := d.entries[tag]
	if !ok {
		return nil
	}
	width := kindSize(e.kind)
	raw := make([]byte, int(min(e.count, uint64(most)))*width)
	if _, err := d.r.ReadAt(raw, e.at); err != nil && err != io.EOF {
		return nil
	}
	values := make([]int64, 0, len(raw)/width)
	for ; len(raw) >= width; raw = raw[width:] {
		v, ok := whole(e.kind, raw, d.order)
		if !ok {
			return nil
		}
		values = append(values, v)
	}
	return values
}

// whole reads one value of a field type, if it is a whole number.
func whole(kind uint16, b []byte, order binary.ByteOrder) (int64, bool) {
	switch kind {
	case 1:
		return int64(b[0]), true
	case 6:
		return int64(int8(b[0])), true
	case 3:
		return int64(order.Uint16(b)), true
	case 8:
		return int64(int16(order.Uint16(b))), true
	case 4, 13:
		return int64(order.Uint32(b)), true
	case 9:
		return int64(int32(order.Uint32(b))), true
	case 16, 17, 18:
		v := int64(order.Uint64(b))
		return v, kind == 17 || v >= 0
	case 5, 10:
		n, d := int64(order.Uint32(b)), int64(order.Uint32(b[4:]))
		if kind == 10 {
			n, d = int64(int32(n)), int64(int32(d))
		}
		if d == 0 || n%d != 0 {
			return 0, false
		}
		return n / d, true
	case 11:
		return wholeFloat(float64(math.Float32frombits(order.Uint32(b))))
	case 12:
		return wholeFloat(math.Float64frombits(order.Uint64(b)))
	}
	return 0, false
}

func wholeFloat(v float64) (int64, bool) {
	if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return 0, false
	}
	return int64(v), true
}

// one returns the first value of a tag, otherwise if there is none.
func (d *Directory) one(tag uint16, otherwise int64) int64 {
	if v := d.ints(tag, 1); len(v) > 0 {
		return v[0]
	}
	return otherwise
}

// bytes returns the bytes of a tag of single bytes.
func (d *Directory) bytes(tag uint16) []byte {
	e, ok := d.entries[tag]
	if !ok || kindSize(e.kind) != 1 || e.count > maxMetadataBytes {
		return nil
	}
	b := make([]byte, e.count)
	if _, err := d.r.ReadAt(b, e.at); err != nil && err != io.EOF {
		return nil
	}
	return b
}

// Orientation returns the EXIF orientation as it stands, -1 if there is none. A
// count of more than one counts for its first value; any type of whole numbers
// will do.
func (d *Directory) Orientation() int {
	v := d.ints(tagOrientation, 1)
	if len(v) == 0 {
		return -1
	}
	return int(min(max(v[0], 0), 1000))
}

// XMP returns the XMP packet, nil if there is none.
func (d *Directory) XMP() []byte { return d.bytes(tagXMP) }
