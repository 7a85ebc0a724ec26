package imagefile

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// bitmap is the header of a BMP.
type bitmap struct {
	w, h    int
	topDown bool
	bits    int
	packed  uint32 // its compression
	masks   [4]uint32
	palette [][3]byte
	pixels  int64 // where they are
}

// Compressions of a BMP.
const (
	bmpPlain  = 0
	bmpRLE8   = 1
	bmpRLE4   = 2
	bmpFields = 3 // where the bits of each colour are is told by masks
	bmpAlpha  = 6 // likewise, with a mask of alpha
)

var bmpPackings = map[uint32]string{4: "JPEG in it", 5: "PNG in it", 11: "CMYK", 12: "CMYK", 13: "CMYK"}

func openBMP(r io.ReaderAt, size int64) (*bitmap, error) {
	const most = 14 + 124 + 16
	head := make([]byte, min(most, size))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if len(head) < 26 {
		return nil, errCut
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	m, length := &bitmap{pixels: int64(u32(head[10:]))}, int64(u32(head[14:]))
	body := head[14:]
	switch length {
	case 12, 16, 40, 52, 56, 64, 108, 124:
	default:
		return nil, unsupportedError(fmt.Sprintf("a header of %d bytes", length))
	}
	if int64(len(body)) < length {
		return nil, errCut
	}
	colours, entry := uint32(0), 4 // the number of planes is not looked at
	if length == 12 {              // of OS/2
		m.w, m.h, m.bits = int(u16(body[4:])), int(int16(u16(body[6:]))), int(u16(body[10:]))
		entry = 3
	} else {
		m.w, m.h, m.bits = int(int32(u32(body[4:]))), int(int32(u32(body[8:]))), int(u16(body[14:]))
	}
	if length >= 40 {
		m.packed, colours = u32(body[16:]), u32(body[32:])
	}
	if m.h < 0 {
		m.topDown, m.h = true, -m.h
	}
	if m.w < 0 || m.h < 0 {
		return nil, fmt.Errorf("%d × %d pixels", m.w, m.h)
	}
	if err := m.kind(length); err != nil {
		return nil, err
	}
	if m.packed == bmpFields || m.packed == bmpAlpha {
		n := 3
		if length >= 56 || m.packed == bmpAlpha {
			n = 4
		}
		if len(body) < 40+4*n {
			return nil, errCut
		}
		for i := range n {
			m.masks[i] = u32(body[40+4*i:])
		}
		if length == 40 {
			length += 4 * int64(n)
		}
	}
	if err := m.checkMasks(); err != nil {
		return nil, err
	}
	if m.bits > 8 {
		if m.pixels < 14+length {
			m.pixels = 14 + length
		}
		return m, nil
	}
	// The palette reaches to the pixels, whatever number of colours is stated. Where the
	// place of the pixels is not stated, it is as long as that number.
	n := int64(1) << m.bits
	if m.pixels > 14+length {
		if n = min(n, (m.pixels-14-length)/int64(entry)); n == 0 {
			return nil, fmt.Errorf("no palette before the pixels")
		}
	} else {
		if colours > 0 {
			n = min(n, int64(colours))
		}
		m.pixels = 14 + length + n*int64(entry)
	}
	table := make([]byte, n*int64(entry))
	if _, err := r.ReadAt(table, 14+length); err != nil {
		return nil, errCut
	}
	m.palette = make([][3]byte, 1<<m.bits) // what is missing is black
	for i := range n {
		e := table[i*int64(entry):]
		m.palette[i] = [3]byte{e[2], e[1], e[0]}
	}
	return m, nil
}

// kind refuses what is not read.
func (m *bitmap) kind(length int64) error {
	os2 := length == 16 || length == 64
	fits := false
	switch m.packed {
	case bmpPlain:
		switch m.bits {
		case 1, 2, 4, 8, 24:
			fits = true
		case 16:
			m.masks, fits = [4]uint32{0x7c00, 0x3e0, 0x1f}, true
		case 32: // the fourth byte is unused
			m.masks, fits = [4]uint32{0xff0000, 0xff00, 0xff}, true
		}
	case bmpRLE8:
		fits = m.bits == 8
	case bmpRLE4:
		fits = m.bits == 4
	case bmpFields, bmpAlpha:
		if os2 && m.bits == 1 {
			return unsupportedError("fax in it")
		}
		fits = m.bits == 16 || m.bits == 32
	case 4:
		if os2 {
			return unsupportedError("run lengths of 24 bits")
		}
	}
	if name := bmpPackings[m.packed]; name != "" {
		return unsupportedError(name)
	}
	if !fits {
		return unsupportedError(fmt.Sprintf("%d bits a pixel with compression %d", m.bits, m.packed))
	}
	return nil
}

// checkMasks refuses masks that overlap, or whose bits are not side by side. No masks at
// all mean the usual ones.
func (m *bitmap) checkMasks() error {
	if m.bits != 16 && m.bits != 32 {
		return nil
	}
	if m.masks == [4]uint32{} && m.bits == 32 {
		m.masks = [4]uint32{0xff0000, 0xff00, 0xff, 0xff000000}
	}
	all := uint32(0)
	for i, mask := range m.masks {
		run := mask >> bits.TrailingZeros32(mask)
		if mask&all != 0 || run&(run+1) != 0 || mask == 0 && i < 3 || m.bits == 16 && mask > 0xffff {
			return unsupportedError(fmt.Sprintf("masks %08x", m.masks))
		}
		all |= mask
	}
	if bits.OnesCount32(m.masks[3]) == 1 { // Pillow takes no notice of it either
		m.masks[3] = 0
	}
	return nil
}

// stride is the length of a row, which is a multiple of four bytes.
func (m *bitmap) stride() int64 { return (int64(m.w)*int64(m.bits) + 31) / 32 * 4 }

func sizeBMP(r io.ReaderAt, bytes int64) (claim, error) {
	m, err := openBMP(r, bytes)
	if err != nil {
		return claim{}, err
	}
	return claim{m.w, m.h, func() error { return m.check(bytes) },
		func() int64 { return 4 * int64(m.w) * int64(m.h) }}, nil
}

func (m *bitmap) check(size int64) error {
	if m.packed == bmpRLE8 || m.packed == bmpRLE4 {
		return nil
	}
	// The last row may lack what fills it up to four bytes.
	if last := (int64(m.w)*int64(m.bits) + 7) / 8; m.pixels+m.stride()*int64(m.h-1)+last > size {
		return errCut
	}
	return nil
}
