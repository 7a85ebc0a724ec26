package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"image"
	"image/png"
	"io"
)

// loosePNG is what other readers can use of a PNG that package image/png refuses: the
// chunks that the picture needs, in any order, and of the pixels no more than there
// should be.
type loosePNG struct {
	ihdr, plte, trns []byte
	idat             []io.Reader
	doubt            bool // the checksum of a part of the pixels is wrong
}

func openLoose(data []byte) (*loosePNG, error) {
	p := new(loosePNG)
	for i := 8; i+8 <= len(data); {
		kind, body := string(data[i+4:i+8]), data[i+8:]
		length := int64(binary.BigEndian.Uint32(data[i:]))
		whole := length+4 <= int64(len(body))
		good := whole && crc32.ChecksumIEEE(data[i+4:i+8+int(length)]) == binary.BigEndian.Uint32(body[length:])
		body = body[:min(int64(len(body)), length)]
		to, needed := (*[]byte)(nil), false
		switch kind {
		case "IHDR":
			to, needed = &p.ihdr, p.ihdr == nil
		case "PLTE":
			to, needed = &p.plte, p.idat == nil
		case "tRNS":
			to, needed = &p.trns, p.idat == nil
		case "IDAT":
			p.idat = append(p.idat, bytes.NewReader(body))
			p.doubt = p.doubt || whole && !good
		}
		if needed {
			if !whole {
				return nil, errCut
			}
			if !good {
				return nil, png.FormatError("invalid checksum")
			}
			*to = body
		}
		if !whole || kind == "IEND" {
			break
		}
		i += 12 + int(length)
	}
	if len(p.ihdr) != 13 || p.idat == nil {
		return nil, errCut
	}
	return p, nil
}

// raw returns the bytes of the pixels, unpacked.
func (p *loosePNG) raw() int64 {
	w, h := int64(binary.BigEndian.Uint32(p.ihdr)), int64(binary.BigEndian.Uint32(p.ihdr[4:]))
	bits := int64(p.ihdr[8]) * samplesPNG[p.ihdr[9]]
	pass := func(w, h int64) int64 {
		if w <= 0 || h <= 0 {
			return 0
		}
		return h * (1 + (w*bits+7)/8)
	}
	if p.ihdr[12] == 0 {
		return pass(w, h)
	}
	n := int64(0)
	for _, a := range [7]struct{ x, y, dx, dy int64 }{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
		{0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		n += pass((w-a.x+a.dx-1)/a.dx, (h-a.y+a.dy-1)/a.dy)
	}
	return n
}

// decode hands package image/png a file without what it would refuse.
func (p *loosePNG) decode() (image.Image, error) {
	z, err := zlib.NewReader(io.MultiReader(p.idat...))
	if err != nil {
		return nil, err
	}
	kind, colours := p.ihdr[9], 0
	s := &stored{from: z, left: p.raw(), sum: adler32.New(), out: []byte("\x89PNG\r\n\x1a\n")}
	s.chunk("IHDR", p.ihdr)
	if kind == 3 {
		colours = min(len(p.plte)/3, 1<<p.ihdr[8])
		s.chunk("PLTE", p.plte[:3*colours])
	}
	switch n := min(len(p.trns), map[byte]int{0: 2, 2: 6, 3: colours}[kind]); {
	case kind == 3 && n > 0, kind == 0 && n == 2, kind == 2 && n == 6:
		s.chunk("tRNS", p.trns[:n])
	}
	m, err := png.Decode(s)
	if err == nil {
		// The checksum after the pixels may be missing but not wrong; and it must be
		// right if that of a chunk is wrong.
		var more [1]byte
		n, end := io.ReadFull(z, more[:])
		if end == zlib.ErrChecksum || p.doubt && (n > 0 || end != io.EOF) {
			return nil, png.FormatError("invalid checksum")
		}
	}
	if s.err == io.EOF || s.err == io.ErrUnexpectedEOF {
		return nil, errCut
	}
	return m, err
}

// stored reads as a PNG whose pixels are not packed.
type stored struct {
	from  io.Reader // of pixels
	left  int64     // of them
	sum   hash.Hash32
	out   []byte // to be read
	begun bool
	err   error // of from
}

func (s *stored) chunk(kind string, body []byte) {
	s.out = binary.BigEndian.AppendUint32(s.out, uint32(len(body)))
	at := len(s.out)
	s.out = append(append(s.out, kind...), body...)
	s.out = binary.BigEndian.AppendUint32(s.out, crc32.ChecksumIEEE(s.out[at:]))
}

func (s *stored) Read(p []byte) (int, error) {
	if len(s.out) == 0 {
		if s.left == 0 {
			return 0, io.EOF
		}
		n := int(min(s.left, 1<<16-1))
		s.left -= int64(n)
		body := make([]byte, 0, n+16)
		if !s.begun {
			s.begun, body = true, append(body, 0x78, 1)
		}
		last := byte(0)
		if s.left == 0 {
			last = 1
		}
		body = append(body, last, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8))
		at := len(body)
		body = body[:at+n]
		if _, s.err = io.ReadFull(s.from, body[at:]); s.err != nil {
			return 0, s.err
		}
		s.sum.Write(body[at:])
		if last == 1 {
			body = binary.BigEndian.AppendUint32(body, s.sum.Sum32())
		}
		s.chunk("IDAT", body)
		if last == 1 {
			s.chunk("IEND", nil)
		}
	}
	n := copy(p, s.out)
	if s.out = s.out[n:]; len(s.out) == 0 {
		s.out = nil
	}
	return n, nil
}
