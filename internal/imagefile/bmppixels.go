package imagefile

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

func decodeBMP(data []byte) (Image, error) {
	m, err := openBMP(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Image{}, err
	}
	if err := m.check(int64(len(data))); err != nil {
		return Image{}, err
	}
	if m.pixels > int64(len(data)) {
		return Image{}, errCut
	}
	data = data[m.pixels:]
	if m.packed == bmpRLE8 || m.packed == bmpRLE4 {
		if data, err = m.unpack(data); err != nil {
			return Image{}, err
		}
		m.bits = 8
		return m.indexed(data, m.w), nil
	}
	if m.bits <= 8 {
		return m.indexed(data, int(m.stride())), nil
	}
	return m.colours(data), nil
}

// line returns where row y of the picture is among those of the file.
func (m *bitmap) line(y int) int {
	if m.topDown {
		return y
	}
	return m.h - 1 - y
}

// indexed looks up the colours of a palette.
func (m *bitmap) indexed(data []byte, stride int) Image {
	grey := true
	for _, p := range m.palette {
		grey = grey && p[0] == p[1] && p[1] == p[2]
	}
	out := Image{W: m.w, H: m.h, C: 3}
	if grey {
		out.C = 1
	}
	out.Pix = make([]uint8, out.W*out.H*out.C)
	i := 0
	for y := range m.h {
		row := data[m.line(y)*stride:]
		for x := range m.w {
			bit := x * m.bits
			v := row[bit>>3] >> (8 - bit&7 - m.bits) & (1<<m.bits - 1)
			i += copy(out.Pix[i:i+out.C], m.palette[v][:])
		}
	}
	return out
}

// colours reads pixels of 16, 24 and 32 bits. Alpha that is 0 everywhere is not meant as
// alpha.
func (m *bitmap) colours(data []byte) Image {
	out := Image{W: m.w, H: m.h, C: 3, Pix: make([]uint8, m.w*m.h*3)}
	stride := int(m.stride())
	if m.bits == 24 {
		for y := range m.h {
			row, dst := data[m.line(y)*stride:], out.Pix[y*m.w*3:(y+1)*m.w*3]
			for x := 0; x < len(dst); x += 3 {
				dst[x], dst[x+1], dst[x+2] = row[x+2], row[x+1], row[x]
			}
		}
		return out
	}
	var shift, most [4]uint32
	for c, mask := range m.masks {
		shift[c] = uint32(bits.TrailingZeros32(mask)) & 31
		most[c] = mask >> shift[c]
	}
	at := func(row []byte, x int) uint32 {
		if m.bits == 16 {
			return uint32(binary.LittleEndian.Uint16(row[2*x:]))
		}
		return binary.LittleEndian.Uint32(row[4*x:])
	}
	alpha := false
	for y := 0; y < m.h && !alpha && m.masks[3] != 0; y++ {
		row := data[m.line(y)*stride:]
		for x := range m.w {
			alpha = alpha || at(row, x)&m.masks[3] != 0
		}
	}
	for y := range m.h {
		row, dst := data[m.line(y)*stride:], out.Pix[y*m.w*3:(y+1)*m.w*3]
		for x := range m.w {
			v, d := at(row, x), dst[3*x:3*x+3]
			for c := range 3 {
				d[c] = scaled(v>>shift[c]&most[c], most[c])
			}
			if alpha {
				a := scaled(v>>shift[3]&most[3], most[3])
				for c := range 3 {
					d[c] = onWhite(d[c], a)
				}
			}
		}
	}
	return out
}

// scaled maps a value from 0..most to 0..255.
func scaled(v, most uint32) uint8 { return uint8(uint64(v) * 255 / uint64(most)) }

// unpack returns the indices of a run-length coded picture, a byte each, in the order of
// the file. Pixels that are skipped have the first colour.
func (m *bitmap) unpack(data []byte) ([]byte, error) {
	out := make([]byte, m.w*m.h)
	x, y := 0, 0
	put := func(v byte) {
		if x < m.w && y < m.h {
			out[y*m.w+x] = v
		}
		x++
	}
	nibble := func(b byte, k int) byte {
		if m.packed == bmpRLE8 {
			return b
		}
		return b >> (4 * (1 - k&1)) & 15
	}
	for y < m.h {
		if len(data) < 2 {
			if y == m.h-1 && x >= m.w { // only the marks of the end are missing
				return out, nil
			}
			return nil, errCut
		}
		n, b := int(data[0]), data[1]
		data = data[2:]
		switch {
		case n > 0:
			for k := range n {
				put(nibble(b, k))
			}
		case b == 0: // end of row
			x, y = 0, y+1
		case b == 1: // end of picture
			return out, nil
		case b == 2: // go on elsewhere
			if len(data) < 2 {
				return nil, errCut
			}
			x, y = x+int(data[0]), y+int(data[1])
			data = data[2:]
		default: // so many pixels as they are
			bytes := int(b)
			if m.packed == bmpRLE4 {
				bytes = (bytes + 1) / 2
			}
			if len(data) < bytes {
				return nil, errCut
			}
			for k := range int(b) {
				if m.packed == bmpRLE8 {
					put(data[k])
				} else {
					put(nibble(data[k/2], k))
				}
			}
			data = data[min(len(data), bytes+bytes&1):]
		}
	}
	return out, nil
}
