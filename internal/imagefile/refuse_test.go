package imagefile

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		{tag(t, "rgb_raw.tif", 259, 34925), "TIFF that is not read (LZMA compression)"},
		{tag(t, "rgb_raw.tif", 259, 6), "TIFF that is not read (old-style JPEG compression)"},
		{tag(t, "rgb_raw.tif", 259, 4711), "TIFF that is not read (value 4711 of compression)"},
		{tag(t, "rgb_raw.tif", 259, 4), "TIFF that is not read (fax of 8 bits)"},
		{tag(t, "rgb_raw.tif", 262, 6), "TIFF that is not read (YCbCr colours that are not packed as JPEG)"},
		{tag(t, "rgb_raw.tif", 262, 32803), "TIFF that is not read (a camera's raw samples)"},
		{tag(t, "rgb_raw.tif", 262, 1), "TIFF that is not read (grey of 3 samples)"},
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
