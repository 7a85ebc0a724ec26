package tiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// tagOf is a tag of SHORTs, or of LONGs.
type tagOf struct {
	tag    uint16
	long   bool
	values []int
}

// build returns a file of the given tags, to which the places and lengths of the
// strips are added.
func build(order binary.AppendByteOrder, tags []tagOf, strips ...[]byte) []byte {
	places, lengths := tagOf{tagStripOffsets, true, make([]int, len(strips))}, tagOf{tagStripBytes, true, nil}
	for _, s := range strips {
		lengths.values = append(lengths.values, len(s))
	}
	tags = append(tags, places, lengths)
	head := "II*\x00"
	if order.String() == "BigEndian" {
		head = "MM\x00*"
	}
	write := func() []byte {
		b := order.AppendUint16(order.AppendUint32([]byte(head), 8), uint16(len(tags)))
		var more []byte
		for _, t := range tags {
			kind, v := uint16(3), []byte(nil)
			for _, x := range t.values {
				if t.long {
					kind, v = 4, order.AppendUint32(v, uint32(x))
				} else {
					v = order.AppendUint16(v, uint16(x))
				}
			}
			b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, t.tag), kind), uint32(len(t.values)))
			if len(v) <= 4 {
				b = append(b, append(v, 0, 0, 0, 0)[:4]...)
			} else {
				b = order.AppendUint32(b, uint32(8+2+12*len(tags)+4+len(more)))
				more = append(more, v...)
			}
		}
		return append(append(b, 0, 0, 0, 0), more...)
	}
	at := len(write())
	for i, s := range strips {
		places.values[i] = at
		at += len(s)
	}
	return append(write(), bytes.Join(strips, nil)...)
}

func basic(w, h, samples, bits, compression, photometric, rows int) []tagOf {
	return []tagOf{{tagWidth, false, []int{w}}, {tagHeight, true, []int{h}}, {tagBits, false, []int{bits}},
		{tagCompression, false, []int{compression}},
		{tagPhotometric, false, []int{photometric}}, {tagSamples, false, []int{samples}},
		{tagRowsPerStrip, true, []int{rows}}}
}

func decode(data []byte) (*Picture, error) {
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	return f.Decode(data, noJPEG)
}

// Planes of 8 and 16 bits, in either order of bytes, with and without alpha, whole
// or in strips: a pixel is what stands at its place in each plane.
func TestPlanes(t *testing.T) {
	const w, h = 5, 7
	value := func(x, y, s int) int { return 20 + 11*x + 9*y + 31*s } // of 8 bits
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, bits := range []int{8, 16} {
			for _, samples := range []int{1, 3, 4} {
				for _, rows := range []int{h, 3} {
					var strips [][]byte
					for s := range samples {
						for top := 0; top < h; top += rows {
							var b []byte
							for y := top; y < min(top+rows, h); y++ {
								for x := range w {
									v := value(x, y, s)
									if s == 3 {
										v = 255 * (x & 1)
									}
									if bits == 16 {
										b = order.AppendUint16(b, uint16(v*257))
									} else {
										b = append(b, byte(v))
									}
								}
							}
							strips = append(strips, b)
						}
					}
					photometric := 2
					if samples == 1 {
						photometric = 1
					}
					tags := append(basic(w, h, samples, bits, 1, photometric, rows), tagOf{tagPlanar, false, []int{2}},
						tagOf{tagExtraSamples, false, []int{2}})
					p, err := decode(build(order, tags, strips...))
					name := fmt.Sprintf("%v, %d × %d bits, %d rows", order, samples, bits, rows)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					for i, got := range p.Pix {
						x, y := i/p.C%w, i/p.C/w
						want := value(x, y, i%p.C)
						if samples == 4 && x&1 == 0 {
							want = 255
						}
						if int(got) != want {
							t.Fatalf("%s: %d at (%d, %d), want %d", name, got, x, y, want)
						}
					}
				}
			}
		}
	}
}

// Strips that are many, or that share their bytes, take no more than the pixels.
func TestManyStrips(t *testing.T) {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write([]byte{7})
	w.Close()
	for name, c := range map[string]struct {
		compression int
		strip       []byte
		want        string
	}{
		"deflate": {packDeflate, z.Bytes(), ""},
		"LZW":     {packLZW, []byte("\x80\x01\xd0\x20"), ""},
		"fax":     {packGroup4, []byte{0xff}, "fax of 8 bits"},
		"JPEG":    {packJPEG, []byte("\xff\xd8\xff\xd9"), "a JPEG in 100000 pieces"},
	} {
		const h = 100_000
		places, lengths := make([]int, h), make([]int, h)
		tags := append(basic(1, h, 1, 8, c.compression, 1, 1), tagOf{tagStripOffsets, true, places},
			tagOf{tagStripBytes, true, lengths})
		data := build(binary.LittleEndian, tags[:7])
		at := len(data) + 24
		var table []byte
		for range h {
			table = binary.LittleEndian.AppendUint32(table, uint32(at+8*h))
		}
		for range h {
			table = binary.LittleEndian.AppendUint32(table, 1<<20) // more than there is
		}
		// The tags of the strips, written again with all of them.
		head := build(binary.LittleEndian, tags[:7])
		n := 10 + 12*7
		for i, tag := range []uint16{tagStripOffsets, tagStripBytes} {
			e := head[n+12*i:]
			binary.LittleEndian.PutUint16(e, tag)
			binary.LittleEndian.PutUint16(e[2:], 4)
			binary.LittleEndian.PutUint32(e[4:], h)
			binary.LittleEndian.PutUint32(e[8:], uint32(at+4*h*i))
		}
		data = append(append(append(head, make([]byte, 24)...), table...), append(c.strip, make([]byte, 64)...)...)
		check.Bounded(t, 16, 2*time.Second, func() {
			p, err := decode(data)
			if c.want == "" && (err != nil || p.H != h || p.Pix[h-1] != 7) ||
				c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// Many strips may not name one JPEG that is larger than their places.
func TestJPEGLargerThanStrips(t *testing.T) {
	jpeg := []byte{0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0, 64, 0, 64, 1, 1, 0x11, 0, 0xff, 0xda, 0, 2, 0xff, 0xd9}
	for _, c := range []struct {
		height, rows int
		ok           bool
	}{{4096, 64, true}, {4096, 32, true}, {4096, 1, false}} {
		strips := make([][]byte, c.height/c.rows)
		for i := range strips {
			strips[i] = jpeg
		}
		data := build(binary.LittleEndian, basic(64, c.height, 1, 8, packJPEG, 1, c.rows), strips...)
		f, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.Decode(data, noJPEG); (err == nil) != c.ok {
			t.Errorf("%d rows: %v", c.rows, err)
		}
	}
}

// Strips and tiles of no place and no length are zeros, as GDAL means them.
func TestSparse(t *testing.T) {
	full := bytes.Repeat([]byte{7}, 16*16)
	tiled := func(photometric int) []tagOf {
		return []tagOf{{tagWidth, false, []int{32}}, {tagHeight, false, []int{16}}, {tagBits, false, []int{8}},
			{tagPhotometric, false, []int{photometric}},
			{tagTileWidth, false, []int{16}}, {tagTileHeight, false, []int{16}}}
	}
	zero := func(data []byte, strip int) []byte { // its place
		at := int(binary.LittleEndian.Uint32(data[4:])) + 2
		for ; binary.LittleEndian.Uint16(data[at:]) != tagStripOffsets; at += 12 {
		}
		if binary.LittleEndian.Uint32(data[at+4:]) > 1 {
			at = int(binary.LittleEndian.Uint32(data[at+8:])) - 8
		}
		binary.LittleEndian.PutUint32(data[at+8+4*strip:], 0)
		return data
	}
	for _, c := range []struct {
		name        string
		data        []byte
		first, last int // -1: refused
	}{
		{"second tile", zero(build(binary.LittleEndian, tiled(1), full, nil), 1), 7, 0},
		{"first tile", zero(build(binary.LittleEndian, tiled(1), nil, full), 0), 0, 7},
		{"white is zero", zero(build(binary.LittleEndian, tiled(0), full, nil), 1), 248, 255},
		{"all tiles", zero(zero(build(binary.LittleEndian, tiled(1), nil, nil), 0), 1), 0, 0},
		{"a strip", zero(build(binary.LittleEndian, basic(16, 32, 1, 8, 1, 1, 16), full, nil), 1), 7, 0},
		{"all strips", zero(zero(build(binary.LittleEndian, basic(16, 32, 1, 8, 1, 1, 16), nil, nil), 0), 1), -1, 0},
		{"no length, but a place", build(binary.LittleEndian, basic(16, 32, 1, 8, packDeflate, 1, 16), full, nil), -1, 0},
	} {
		p, err := decode(c.data)
		switch {
		case c.first < 0:
			if err == nil {
				t.Errorf("%s: read", c.name)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case int(p.Pix[0]) != c.first || int(p.Pix[len(p.Pix)-1]) != c.last:
			t.Errorf("%s: %d, %d", c.name, p.Pix[0], p.Pix[len(p.Pix)-1])
		}
	}
}

// A palette may be shorter than its indices, and the number of samples may follow
// from their bits. The values are Pillow's.
func TestLooseTags(t *testing.T) {
	tags := append(basic(4, 1, 1, 8, 1, 3, 1), tagOf{tagColorMap, false, []int{256, 512, 768, 1024, 2560, 65535}})
	p, err := decode(build(binary.LittleEndian, tags, []byte{0, 1, 2, 255}))
	if want := []byte{1, 3, 10, 2, 4, 255, 2, 2, 2, 255, 255, 255}; err != nil || !bytes.Equal(p.Pix, want) {
		t.Errorf("%v, %v", p, err)
	}
	rgb := []tagOf{{tagWidth, false, []int{1}}, {tagHeight, false, []int{1}}, {tagBits, false, []int{8, 8, 8}},
		{tagPhotometric, false, []int{2}}}
	p, err = decode(build(binary.LittleEndian, rgb, []byte{1, 2, 3}))
	if want := []byte{1, 2, 3}; err != nil || !bytes.Equal(p.Pix, want) {
		t.Errorf("%v, %v", p, err)
	}
}

// Differences of floating-point samples lie in planes of bytes, the highest first, whatever the
// order of bytes elsewhere.
func TestFloatDifferences(t *testing.T) {
	const w, h, samples = 6, 4, 3
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, bits := range []int{32, 64} {
			var plain []float64
			var packed bytes.Buffer
			z := zlib.NewWriter(&packed)
			for y := range h {
				n, size := w*samples, bits/8
				row := make([]byte, n*size)
				for i := range n {
					v := float64(float32(1.5*float64(i) - float64(7*y)))
					plain = append(plain, v)
					b := binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(v)))
					if bits == 64 {
						b = binary.BigEndian.AppendUint64(nil, math.Float64bits(v))
					}
					for k := range size {
						row[k*n+i] = b[k]
					}
				}
				for i := len(row) - 1; i >= samples; i-- {
					row[i] -= row[i-samples]
				}
				z.Write(row)
			}
			z.Close()
			tags := append(basic(w, h, samples, bits, packDeflate, 1, h), tagOf{tagPredictor, false, []int{3}},
				tagOf{tagSampleFormat, false, []int{3}})
			data := build(order, tags, packed.Bytes())
			f, err := Open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			s, err := f.Read(data, []int{3, 1}, noJPEG)
			if err != nil || s.C != 2 || s.Bytes != 4 {
				t.Fatalf("%v, %d bits: %+v, %v", order, bits, s, err)
			}
			for i := range w * h {
				for c, from := range []int{2, 0} {
					got := math.Float32frombits(binary.LittleEndian.Uint32(s.Pix[4*(2*i+c):]))
					if float64(got) != plain[samples*i+from] {
						t.Fatalf("%v, %d bits: pixel %d is %v, want %v", order, bits, i, got, plain[samples*i+from])
					}
				}
			}
			if _, err := f.Decode(data, noJPEG); err == nil || !strings.Contains(err.Error(), "floating-point samples") {
				t.Errorf("as a picture: %v", err)
			}
		}
	}
}

// A Deflate strip with any of its bits turned is refused or has the same pixels. Its checksum
// may be missing, and rows below the picture, or others still, may stand before it.
func TestDeflateChecksum(t *testing.T) {
	const w, h, rows = 20, 7, 4
	pix := make([]byte, w*2*rows)
	for i := range pix {
		pix[i] = byte(i * i / 7)
	}
	packed := func(b []byte) []byte {
		var z bytes.Buffer
		d := zlib.NewWriter(&z)
		d.Write(b)
		d.Close()
		return z.Bytes()
	}
	top, tags := packed(pix[:w*rows]), basic(w, h, 1, 8, packDeflate, 1, rows)
	long := packed(append(bytes.Clone(pix[w*rows:]), make([]byte, 99)...))
	for name, last := range map[string][]byte{"as long as it need be": packed(pix[w*rows : w*h]),
		"of as many rows as others": packed(pix[w*rows:]), "of more rows": long} {
		for what, c := range map[string]struct {
			last []byte
			ok   bool
		}{"": {last, true}, "without checksum": {last[:len(last)-4], true}, "with half a checksum": {last[:len(last)-2], true},
			"with a wrong checksum": {append(bytes.Clone(last[:len(last)-1]), last[len(last)-1]^1), &last[0] == &long[0]}} {
			p, err := decode(build(binary.LittleEndian, tags, top, c.last))
			switch {
			case c.ok && (err != nil || !bytes.Equal(p.Pix, pix[:w*h])):
				t.Errorf("a last strip %s %s: %v", name, what, err)
			case !c.ok && (err == nil || err.Error() != FormatError("invalid checksum").Error()):
				t.Errorf("a last strip %s %s: %v", name, what, err)
			}
		}
		if &last[0] == &long[0] {
			continue
		}
		for i := range 8 * len(last) {
			bad := bytes.Clone(last)
			bad[i/8] ^= 1 << (i % 8)
			p, err := decode(build(binary.LittleEndian, tags, top, bad))
			if err == nil && !bytes.Equal(p.Pix, pix[:w*h]) {
				t.Errorf("a last strip %s with bit %d turned: other pixels", name, i)
			}
		}
	}
}

// Tiles that claim to be very high, and share one strip that unpacks to much, take no longer.
func TestDeflateBelow(t *testing.T) {
	var z bytes.Buffer
	w, _ := zlib.NewWriterLevel(&z, zlib.BestCompression)
	w.Write(make([]byte, 1<<25))
	w.Close()
	const tiles = 2000
	tags := []tagOf{{tagWidth, false, []int{16 * tiles}}, {tagHeight, false, []int{1}}, {tagBits, false, []int{8}},
		{tagCompression, false, []int{packDeflate}}, {tagPhotometric, false, []int{1}},
		{tagTileWidth, false, []int{16}}, {tagTileHeight, true, []int{1 << 30}}}
	data := append(build(binary.LittleEndian, tags, make([][]byte, tiles)...), z.Bytes()...)
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	delete(f.d.entries, tagStripBytes) // each goes on to the end of the file
	check.Bounded(t, 16, 2*time.Second, func() {
		if p, err := f.Decode(data, noJPEG); err != nil || p.W != 16*tiles {
			t.Error(err)
		}
	})
}
