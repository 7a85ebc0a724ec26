package imagefile

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vicreg/internal/check"
)

// tag returns a small-endian TIFF of testdata in which a SHORT tag has another
// value; the first of several that stand elsewhere.
func tag(t testing.TB, name string, tag, value uint16) []byte {
	data := readFile(t, "testdata/"+name)
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	at := int(u32(data[4:]))
	for i := range int(u16(data[at:])) {
		e := data[at+2+12*i:]
		if u16(e) == tag {
			if u32(e[4:]) > 2 {
				e = data[u32(e[8:])-8:]
			}
			binary.LittleEndian.PutUint16(e[8:], value)
			return data
		}
	}
	t.Fatalf("%s has no tag %d", name, tag)
	return nil
}

// at returns a file of testdata with other bytes at a place.
func at(t testing.TB, name string, place int, b ...byte) []byte {
	data := readFile(t, "testdata/"+name)
	copy(data[place:], b)
	return data
}

// frameOf returns a JPEG whose frame has another marker, or other bytes.
func frameOf(t testing.TB, marker byte, place int, b ...byte) []byte {
	data := readFile(t, "testdata/rgb444.jpg")
	i := bytes.Index(data, []byte{0xff, 0xc0})
	data[i+1] = marker
	copy(data[i+4+place:], b)
	return data
}

// What is not read is called by its name, by Read as by Stat, and never broken.
func TestKindsNotRead(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct {
		data []byte
		want string
	}{
		{frameOf(t, 0xc9, 0), "JPEG that is not read (arithmetic coding)"},
		{frameOf(t, 0xca, 0), "JPEG that is not read (arithmetic coding, progressive)"},
		{frameOf(t, 0xcb, 0), "JPEG that is not read (arithmetic coding, lossless)"},
		{frameOf(t, 0xc3, 0), "JPEG that is not read (lossless)"},
		{frameOf(t, 0xc5, 0), "JPEG that is not read (hierarchical)"},
		{frameOf(t, 0xf7, 0), "JPEG that is not read (JPEG-LS)"},
		{frameOf(t, 0xc1, 0, 12), "JPEG that is not read (12-bit samples)"},
		{frameOf(t, 0xc0, 1, 0, 0), "JPEG that is not read (its height stands behind the pixels)"},
		{at(t, "rgb.png", 12, []byte("CgBI")...), "PNG that is not read (Apple's form of it, for apps)"},
		{tag(t, "rgb_raw.tif", 259, 34925), "TIFF that is not read (LZMA compression)"},
		{tag(t, "rgb_raw.tif", 259, 6), "TIFF that is not read (old-style JPEG compression)"},
		{tag(t, "rgb_raw.tif", 259, 4711), "TIFF that is not read (value 4711 of compression)"},
		{tag(t, "rgb_raw.tif", 259, 4), "TIFF that is not read (fax of 8 bits)"},
		{tag(t, "rgb_raw.tif", 262, 6), "TIFF that is not read (YCbCr colours that are not packed as JPEG)"},
		{tag(t, "rgb_raw.tif", 262, 32803), "TIFF that is not read (a camera's raw samples)"},
		{tag(t, "rgb_raw.tif", 258, 16), "TIFF that is not read (samples of 16 and of 8 bits)"},
		{tag(t, "rgb_raw.tif", 284, 2), "TIFF that is not read (planes in one strip)"},
		{tag(t, "grey.tif", 258, 32), "TIFF that is not read (samples of 32 bits)"},
		{at(t, "rgb.bmp", 14, 41), "BMP that is not read (a header of 41 bytes)"},
		{at(t, "rgb.bmp", 30, 4), "BMP that is not read (JPEG in it)"},
		{at(t, "rgb.bmp", 30, 5), "BMP that is not read (PNG in it)"},
		{at(t, "rgb.bmp", 28, 64), "BMP that is not read (64 bits a pixel with compression 0)"},
		{at(t, "fields32.bmp", 54, 5, 0, 0, 0), "BMP that is not read (masks [00000005 "},
		{at(t, "fields32.bmp", 54, 0, 0, 0xff, 0xff), "BMP that is not read (masks [ffff0000 "},
	} {
		path := filepath.Join(dir, "x")
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		want := path + ": a kind of " + c.want
		_, err := Read(path, Limits{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "; save it anew as plain PNG or JPEG") {
			t.Errorf("%d, Read: %v; want %s", i, err, want)
		}
		if _, _, err = Stat(path, Limits{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%d, Stat: %v; want %s", i, err, want)
		}
	}
}

// plainFiles returns small files that ask for much: pictures of one colour, or
// nothing, of many pixels; and, by name, how they begin to be refused.
func plainFiles() map[string][]byte {
	u16, u32 := binary.LittleEndian.AppendUint16, binary.LittleEndian.AppendUint32
	riff := func(parts ...[]byte) []byte {
		b := bytes.Join(parts, nil)
		return append(append(u32([]byte("RIFF"), uint32(len(b)+4)), "WEBP"...), b...)
	}
	part := func(kind string, body []byte) []byte {
		b := append(u32([]byte(kind), uint32(len(body))), body...)
		return append(b, make([]byte, len(body)%2)...)
	}
	// Lossless WebP: no transform, no cache, five codes of one symbol each.
	lossless := func(w, h int) []byte {
		var b [13]byte
		at := 0
		put := func(v, n int) {
			for i := range n {
				b[at>>3] |= byte(v>>i&1) << (at & 7)
				at++
			}
		}
		put(0x2f, 8)
		put(w-1, 14)
		put(h-1, 14)
		put(0, 7)
		for _, v := range []int{10, 20, 30, 255, 0} {
			put(1, 3)
			put(v, 8)
		}
		return b[:]
	}
	canvas := func(side int) []byte {
		b := []byte{webpAnimated, 0, 0, 0}
		for range 2 {
			b = append(b, byte(side-1), byte((side-1)>>8), 0)
		}
		return part("VP8X", b)
	}
	frame := part("ANMF", append(make([]byte, 16), part("VP8L", lossless(1, 1))...))
	lossy := func(w, h uint16) []byte {
		return part("VP8 ", append(u16(u16([]byte("\x30\x01\x00\x9d\x01\x2a"), w), h), make([]byte, 20)...))
	}
	gif := func(side, frame uint16) []byte {
		b := append(u16(u16([]byte("GIF89a"), side), side), 0x80, 0, 0, 1, 2, 3, 4, 5, 6)
		b = u16(u16(append(b, ',', 0, 0, 0, 0), frame), frame)
		return append(b, "\x00\x02\x02\x44\x01\x00;"...)
	}
	jpeg := func(marker byte, w, h uint16, scans int) []byte {
		b := append([]byte("\xff\xd8\xff\xdb\x00\x43\x00"), bytes.Repeat([]byte{1}, 64)...)
		b = binary.BigEndian.AppendUint16(append(b, 0xff, marker, 0, 11, 8), h)
		b = append(binary.BigEndian.AppendUint16(b, w), "\x01\x01\x11\x00"...)
		none := string(make([]byte, 15))
		b = append(b, "\xff\xc4\x00\x14\x00\x01"+none+"\x00\xff\xc4\x00\x14\x10\x01"+none+"\xe0"...)
		b = append(append(b, "\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00"...), make([]byte, int(w)*int(h)/512+20)...)
		for range scans {
			b = append(append(b, "\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00"...), make([]byte, int(w)*int(h)/1000000+20)...)
		}
		return append(b, 0xff, 0xd9)
	}
	bmp := func(packed uint32, bits uint16) []byte {
		b := u32(append([]byte("BM"), make([]byte, 8)...), 54+1024)
		b = u16(u16(u32(u32(u32(b, 40), 10000), 10000), 1), bits)
		return append(append(u32(b, packed), make([]byte, 20+1024)...), 0, 1)
	}
	tiff := func(w, h uint32, samples, compression, photometric uint16, tile uint32) []byte {
		b := u16(u32([]byte("II*\x00"), 8), 11)
		for _, e := range [][3]uint32{{256, 4, w}, {257, 4, h}, {258, 3, 8}, {259, 3, uint32(compression)},
			{262, 3, uint32(photometric)},
			{273, 4, 160}, {277, 3, uint32(samples)}, {278, 4, h}, {279, 4, 60}, {322, 4, tile}, {323, 4, tile}} {
			b = u32(u32(u16(u16(b, uint16(e[0])), uint16(e[1])), 1), e[2])
		}
		return append(b, make([]byte, 220-len(b))...)
	}
	const much = "which would take"
	return map[string][]byte{
		much + " 1":                riff(part("VP8L", lossless(16383, 6100))),
		much + " 2":                riff(canvas(10000), frame),
		much + " 3":                riff(lossy(16383, 6100)),
		much + " 4":                gif(10000, 1),
		much + " 5":                gif(10000, 10000),
		much + " 6":                bmp(1, 8),
		"cut short 1":              bmp(0, 24),
		"cut short 2":              header(10000, 10000),
		"cut short 3":              jpeg(0xc0, 10000, 10000, 0)[:1000],
		"cut short 4":              tiff(10000, 10000, 3, 8, 2, 10000),
		"cut short 5":              tiff(10000, 10000, 1, 5, 1, 10000),
		"tiles of 1073741824":      tiff(1, 100, 1, 8, 1, 1<<30),
		"(1000 samples in a pixel": tiff(100, 100, 1000, 1, 2, 100),
		"more scans than its":      jpeg(0xc2, 3000, 3000, 150),
	}
}

// A small file that asks for much is refused at once.
func TestLittleTakesLittle(t *testing.T) {
	for want, data := range plainFiles() {
		check.Bounded(t, 8, time.Second, func() {
			want = strings.TrimRight(want, " 0123456789")
			if _, err := Decode(data, Limits{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v; want ... %s", err, want)
			}
		})
	}
}

// Plain pictures of a size that people have are read, however small the file.
func TestPlainIsRead(t *testing.T) {
	var page bytes.Buffer
	if err := png.Encode(&page, image.NewGray(image.Rect(0, 0, 4960, 7016))); err != nil { // A4 at 600 dpi
		t.Fatal(err)
	}
	if m, err := Decode(page.Bytes(), Limits{}); err != nil || m.W != 4960 || m.H != 7016 {
		t.Errorf("a page: %d × %d, %v", m.W, m.H, err)
	}
}

// What is decoded at once stays within the room there is; what needs more than
// that has it to itself.
func TestReserve(t *testing.T) {
	for _, c := range []struct {
		bytes, file int64
		most        int32 // at once
	}{{room / 2, room, 2}, {room * 3 / 4, room, 1}, {room * 5, room, 1}, {small, room, 8},
		{unearned, 10, 1}, {unearned / 2, 10, 2}, {2 * unearned, unearned / perByte, 1}, {little, 10, 8}} {
		var now, most atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				held := reserve(c.bytes, c.file)
				defer held.Release()
				defer held.decoded()
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(2 * time.Millisecond)
				now.Add(-1)
			})
		}
		wg.Wait()
		if most.Load() > c.most {
			t.Errorf("%d of %d bytes at once, %d allowed", most.Load(), c.bytes, c.most)
		}
		if decoding.bytes != 0 || decoding.unearned != 0 {
			t.Fatalf("%d and %d bytes are not given back", decoding.bytes, decoding.unearned)
		}
	}
}

// One row of all the pixels there may be is no picture.
func TestLongSide(t *testing.T) {
	for _, c := range []struct {
		w, h int
		ok   bool
	}{{maxSide, 2, true}, {maxSide + 1, 1, false}, {1, maxSide + 1, false}} {
		if err := checkSize(claim{w: c.w, h: c.h}, Limits{}.orDefault()); (err == nil) != c.ok {
			t.Errorf("%d × %d: %v", c.w, c.h, err)
		}
	}
}
