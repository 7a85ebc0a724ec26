package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"testing"
)

// deflated returns the zlib stream of b.
func deflated(b []byte) []byte {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(b)
	w.Close()
	return z.Bytes()
}

// loosePNGs are PNGs of 3 × 2 pixels that image/png refuses; Pillow 9.4 reads most,
// and pixels that it gives; nil: what must be refused.
func loosePNGs() map[string]struct {
	file []byte
	want []byte
} {
	type c = struct{ file, want []byte }
	chunk := pngChunk
	ihdr := func(depth, kind byte) []byte {
		return chunk("IHDR", []byte{0, 0, 0, 3, 0, 0, 0, 2, depth, kind, 0, 0, 0})
	}
	join := func(parts ...[]byte) []byte {
		return bytes.Join(append([][]byte{[]byte("\x89PNG\r\n\x1a\n")}, parts...), nil)
	}
	bad := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	end := chunk("IEND", nil)
	grey := []byte{0, 10, 20, 30, 0, 40, 50, 60}
	z, pixels := deflated(grey), []byte{10, 20, 30, 40, 50, 60}
	four := []byte{0, 0x12, 0x30, 0, 0x32, 0x10} // indices 1, 2, 3 and 3, 2, 1
	palette := bytes.Repeat([]byte{200, 200, 200}, 256)
	copy(palette, []byte{0, 0, 0, 5, 5, 5, 6, 6, 6, 7, 7, 7})
	indexed, zp := []byte{5, 6, 7, 7, 6, 5}, deflated(four)
	rgba := deflated([]byte{0, 1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 0, 1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255})
	return map[string]c{
		"long palette": {join(ihdr(4, 3), chunk("PLTE", palette), chunk("IDAT", zp), end), indexed},
		"transparency before it": {join(ihdr(4, 3), chunk("tRNS", []byte{255, 0}), chunk("PLTE", palette),
			chunk("IDAT", zp), end), []byte{255, 6, 7, 7, 6, 255}},
		"long transparency": {join(ihdr(4, 3), chunk("PLTE", palette[:12]),
			chunk("tRNS", bytes.Repeat([]byte{255}, 9)), chunk("IDAT", zp), end), indexed},
		"short palette":   {join(ihdr(4, 3), chunk("PLTE", palette[:9]), chunk("IDAT", zp), end), []byte{5, 6, 3, 3, 6, 5}},
		"palette of grey": {join(ihdr(8, 0), chunk("PLTE", palette), chunk("IDAT", z), end), pixels},
		"transparency of alpha": {join(ihdr(8, 6), chunk("tRNS", []byte{0, 0}), chunk("IDAT", rgba), end),
			[]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"more data":              {join(ihdr(8, 0), chunk("IDAT", deflated(append(grey[:8:8], 1, 2, 3))), end), pixels},
		"no zlib checksum":       {join(ihdr(8, 0), chunk("IDAT", z[:len(z)-4]), end), pixels},
		"wrong zlib checksum":    {join(ihdr(8, 0), chunk("IDAT", bad(bytes.Clone(z))), end), nil},
		"wrong chunk checksum":   {join(ihdr(8, 0), bad(chunk("IDAT", z)), end), pixels},
		"both":                   {join(ihdr(8, 0), bad(chunk("IDAT", z[:len(z)-4])), end), nil},
		"no end":                 {join(ihdr(8, 0), chunk("IDAT", z)), pixels},
		"end cut":                {join(ihdr(8, 0), chunk("IDAT", z), end[:5]), pixels},
		"pixels' end cut":        {join(ihdr(8, 0), chunk("IDAT", z)[:len(z)+9]), pixels},
		"end with data":          {join(ihdr(8, 0), chunk("IDAT", z), chunk("IEND", []byte{1})), pixels},
		"second header":          {join(ihdr(8, 0), ihdr(8, 0), chunk("IDAT", z), end), pixels},
		"pixels in two places":   {join(ihdr(8, 0), chunk("IDAT", z[:6]), chunk("tEXt", []byte("a\x00b")), chunk("IDAT", z[6:]), end), pixels},
		"wrong palette checksum": {join(ihdr(4, 3), bad(chunk("PLTE", palette)), chunk("IDAT", zp), end), nil},
		"cut":                    {join(ihdr(8, 0), chunk("IDAT", deflated(grey[:7])), end), nil},
	}
}

func TestLoosePNG(t *testing.T) {
	for name, c := range loosePNGs() {
		m, err := Decode(c.file, Limits{})
		switch {
		case c.want == nil && err == nil:
			t.Errorf("%s: read", name)
		case c.want != nil && (err != nil || !bytes.Equal(m.Pix, c.want)):
			t.Errorf("%s: %v, %v", name, m.Pix, err)
		}
	}
}

// gifCodes packs codes of a GIF's pixels, all of the width of the first, in a block.
func gifCodes(size int, codes ...int) []byte {
	var b []byte
	at := 0
	for _, c := range codes {
		for i := range size + 1 {
			if at&7 == 0 {
				b = append(b, 0)
			}
			b[at>>3] |= byte(c>>i&1) << (at & 7)
			at++
		}
	}
	return append([]byte{byte(size), byte(len(b))}, b...)
}

// looseGIFs are GIFs of 2 × 2 pixels that image/gif refuses and Pillow 9.4 reads.
func looseGIFs() map[string]struct {
	file []byte
	want []byte
} {
	type c = struct{ file, want []byte }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	head := func(flags byte) []byte { return []byte{'G', 'I', 'F', '8', '9', 'a', 2, 0, 2, 0, flags, 0, 0} }
	frame := func(flags byte) []byte { return []byte{',', 0, 0, 0, 0, 2, 0, 2, 0, flags} }
	palette := []byte{9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6}
	codes, end := gifCodes(2, 4, 0, 1, 4, 2, 3, 5), []byte{0, ';'}
	control := []byte{'!', 0xf9, 5, 1, 0, 0, 2, 0, 0}
	pixels := []byte{9, 8, 7, 6}
	return map[string]c{
		"as usual":            {join(head(0x81), palette, frame(0), codes, end), pixels},
		"more pixels":         {join(head(0x81), palette, frame(0), gifCodes(2, 4, 0, 1, 4, 2, 3, 4, 1, 1, 5), end), pixels},
		"more blocks":         {join(head(0x81), palette, frame(0), codes, []byte{3, 1, 2, 3}, end), pixels},
		"no clear code":       {join(head(0x81), palette, frame(0), gifCodes(2, 0, 1, 4, 2, 3, 5), end), pixels},
		"no end code":         {join(head(0x81), palette, frame(0), gifCodes(2, 4, 0, 1, 4, 2, 3), end), pixels},
		"no end":              {join(head(0x81), palette, frame(0), codes), pixels},
		"short palette":       {join(head(0x80), palette[:6], frame(0), codes, end), []byte{9, 8, 2, 3}},
		"short local palette": {join(head(0x81), palette, frame(0x80), palette[:6], codes, end), []byte{9, 8, 2, 3}},
		"no palette":          {join(head(0), frame(0), codes, end), []byte{0, 1, 2, 3}},
		"pixels of one bit":   {join(head(0x80), palette[:6], frame(0), gifCodes(1, 2, 0, 1, 2, 1, 0, 3), end), []byte{9, 8, 8, 9}},
		"long control":        {join(head(0x81), palette, control, frame(0), codes, end), []byte{9, 8, 255, 6}},
		"bytes between":       {join(head(0x81), palette, []byte{0, 0, 0}, frame(0), codes, end), pixels},
		"pixels missing":      {join(head(0x81), palette, frame(0), gifCodes(2, 4, 0, 1, 5), end), nil},
		"no such code":        {join(head(0x81), palette, frame(0), gifCodes(2, 4, 0, 7), end), nil},
	}
}

func TestLooseGIF(t *testing.T) {
	for name, c := range looseGIFs() {
		m, err := Decode(c.file, Limits{})
		switch {
		case c.want == nil && err == nil:
			t.Errorf("%s: read", name)
		case c.want != nil && (err != nil || m.C != 1 || !bytes.Equal(m.Pix, c.want)):
			t.Errorf("%s: %v, %v", name, m.Pix, err)
		}
	}
}

// BMPs that lack what no reader needs are the same pictures.
func TestLooseBMP(t *testing.T) {
	u16, u32 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32
	header := func(bits, packing, planes int) []byte {
		b := u32(u32(u32(nil, 40), 2), 2)
		b = u32(u16(u16(b, uint16(planes)), uint16(bits)), uint32(packing))
		return append(b, make([]byte, 20)...)
	}
	file := func(parts ...[]byte) []byte {
		return append(append([]byte("BM"), make([]byte, 12)...), bytes.Join(parts, nil)...)
	}
	rows := []byte{1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0}
	colours := []byte{9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4}
	palette := make([]byte, 1024)
	for i := range 256 {
		copy(palette[4*i:], []byte{byte(i), byte(i), byte(i)})
	}
	for name, c := range map[string]struct{ file, want []byte }{
		"no planes":        {file(header(24, 0, 0), rows), colours},
		"no file header":   {append(header(24, 0, 1), rows...), colours},
		"run lengths":      {file(header(8, 1, 1), palette, []byte{2, 5, 0, 0, 2, 6, 0, 0, 0, 1}), []byte{6, 6, 5, 5}},
		"no end":           {file(header(8, 1, 1), palette, []byte{2, 5, 0, 0, 2, 6, 0, 0}), []byte{6, 6, 5, 5}},
		"no end of a row":  {file(header(8, 1, 1), palette, []byte{2, 5, 0, 0, 2, 6}), []byte{6, 6, 5, 5}},
		"half of a mark":   {file(header(8, 1, 1), palette, []byte{2, 5, 0, 0, 2, 6, 0}), []byte{6, 6, 5, 5}},
		"a pixel missing":  {file(header(8, 1, 1), palette, []byte{2, 5, 0, 0, 1, 6}), nil},
		"a row missing":    {file(header(8, 1, 1), palette, []byte{2, 5}), nil},
		"nothing but this": {header(24, 0, 1), nil},
	} {
		m, err := Decode(c.file, Limits{})
		switch {
		case c.want == nil && err == nil:
			t.Errorf("%s: read", name)
		case c.want != nil && (err != nil || !bytes.Equal(m.Pix, c.want)):
			t.Errorf("%s: %v, %v", name, m.Pix, err)
		}
	}
}
