package imagefile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"testing"
)

// exif returns EXIF data with a camera's name and the orientation as a value of
// the given field type.
func exif(order binary.AppendByteOrder, kind, count int, orientation int) []byte {
	b := []byte("II*\x00")
	if order.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	b = append(order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x110), 2), 2), "a\x00\x00\x00"...)
	b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x112), uint16(kind)), uint32(count))
	var v []byte
	for range count {
		switch kind {
		case 1, 6, 2, 7:
			v = append(v, byte(orientation))
		case 3, 8:
			v = order.AppendUint16(v, uint16(orientation))
		case 4, 9, 13:
			v = order.AppendUint32(v, uint32(orientation))
		case 5, 10:
			v = order.AppendUint32(order.AppendUint32(v, uint32(2*orientation)), 2)
		case 11:
			v = order.AppendUint32(v, math.Float32bits(float32(orientation)))
		case 12:
			v = order.AppendUint64(v, math.Float64bits(float64(orientation)))
		case 16, 17:
			v = order.AppendUint64(v, uint64(orientation))
		}
	}
	if len(v) > 4 {
		b = order.AppendUint32(b, uint32(len(b)+8))
	} else {
		v = append(v, 0, 0, 0, 0)[:4]
	}
	if len(v) == 4 {
		b = append(b, v...)
		v = nil
	}
	return append(append(b, 0, 0, 0, 0), v...)
}

// Each way to write a file with something in it.

func segment(marker byte, parts ...string) []byte {
	body := ""
	for _, p := range parts {
		body += p
	}
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
}

func readFile(t testing.TB, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func jpegWith(t testing.TB, segments ...[]byte) []byte {
	data := readFile(t, "testdata/rgb444.jpg")
	return append(append(bytes.Clone(data[:2]), bytes.Join(segments, nil)...), data[2:]...)
}

func pngChunk(kind string, body []byte) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), kind...)
	b = append(b, body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngWith puts chunks before the pixels, or behind them.
func pngWith(t testing.TB, behind bool, chunks ...[]byte) []byte {
	data := readFile(t, "testdata/rgb.png")
	at := bytes.Index(data, []byte("IDAT")) - 4
	if behind {
		at = bytes.Index(data, []byte("IEND")) - 4
	}
	return append(append(bytes.Clone(data[:at]), bytes.Join(chunks, nil)...), data[at:]...)
}

func webpWith(t testing.TB, flags byte, kind string, body []byte) []byte {
	pixels := readFile(t, "testdata/lossless.webp")[12:]
	b := append([]byte("VP8X\x0a\x00\x00\x00"), flags, 0, 0, 0, 16, 0, 0, 10, 0, 0)
	b = append(append(b, pixels...), kind...)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(len(body))), body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(b)+4))
	return append(append(file, "WEBP"...), b...)
}

func pack(text []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(text)
	z.Close()
	return b.Bytes()
}

// The orientation is found whatever whole number it is and wherever the file
// keeps it. The places are Pillow's; of the types it leaves BYTE and SBYTE out.
func TestOrientation(t *testing.T) {
	const prefix = "Exif\x00\x00"
	e6 := string(exif(binary.LittleEndian, 3, 1, 6))
	e1 := string(exif(binary.LittleEndian, 3, 1, 1))
	xmp := `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>`
	element := `<tiff:Orientation>8</tiff:Orientation>`
	const xap = "http://ns.adobe.com/xap/1.0/\x00"
	profile := fmt.Appendf(nil, "\nexif\n%8d\n%s\n%s\n", len(prefix+e6), hex.EncodeToString([]byte(prefix + e6))[:72],
		hex.EncodeToString([]byte(prefix + e6))[72:])
	text := func(key string, body []byte) []byte { return append(append([]byte(key), 0), body...) }
	raw := "Raw profile type exif"
	type file struct {
		name string
		data []byte
		want int
	}
	files := []file{
		{"jpeg none", jpegWith(t), 1},
		{"jpeg behind JFIF and others", jpegWith(t, segment(0xe2, "ICC_PROFILE\x00\x01\x01"), segment(0xfe, "a comment"), segment(0xe1, prefix, e6)), 6},
		{"jpeg behind fill bytes", jpegWith(t, []byte{0xff, 0xff, 0xff}, segment(0xe1, prefix, e6)), 6},
		{"jpeg behind another APP1", jpegWith(t, segment(0xe1, "http://ns.adobe.com/xmp/extension/\x00"), segment(0xe1, prefix, e6)), 6},
		{"jpeg in two segments", jpegWith(t, segment(0xe1, prefix, e6[:20]), segment(0xe1, prefix, e6[20:])), 6},
		{"jpeg XMP", jpegWith(t, segment(0xe1, xap, xmp)), 8},
		{"jpeg XMP element", jpegWith(t, segment(0xe1, xap, element)), 8},
		{"jpeg EXIF over XMP", jpegWith(t, segment(0xe1, xap, xmp), segment(0xe1, prefix, e6)), 6},
		{"jpeg upright EXIF over XMP", jpegWith(t, segment(0xe1, xap, xmp), segment(0xe1, prefix, e1)), 1},
		{"jpeg senseless EXIF over XMP", jpegWith(t, segment(0xe1, xap, xmp), segment(0xe1, prefix, string(exif(binary.BigEndian, 3, 1, 0)))), 1},
		{"jpeg EXIF without it, XMP", jpegWith(t, segment(0xe1, xap, xmp), segment(0xe1, prefix, "II*\x00\x08\x00\x00\x00\x00\x00")), 8},
		{"jpeg prefix twice", jpegWith(t, segment(0xe1, prefix, prefix, e6)), 6},
		{"jpeg cut EXIF", jpegWith(t, segment(0xe1, prefix, e6[:30])), 1},
		{"jpeg EXIF that is none", jpegWith(t, segment(0xe1, prefix, "nonsense")), 1},
		{"png before", pngWith(t, false, pngChunk("eXIf", []byte(e6))), 6},
		{"png behind", pngWith(t, true, pngChunk("eXIf", []byte(e6))), 6},
		{"png with the prefix", pngWith(t, true, pngChunk("eXIf", []byte(prefix+e6))), 6},
		{"png tEXt", pngWith(t, false, pngChunk("tEXt", text(raw, profile))), 6},
		{"png zTXt", pngWith(t, true, pngChunk("zTXt", text(raw, append([]byte{0}, pack(profile)...)))), 6},
		{"png other text", pngWith(t, false, pngChunk("tEXt", text("Raw profile type icc", profile))), 1},
		{"png XMP", pngWith(t, false, pngChunk("iTXt", text("XML:com.adobe.xmp", append([]byte{0, 0, 'e', 'n', 0, 0}, xmp...)))), 8},
		{"png packed XMP", pngWith(t, true, pngChunk("iTXt", text("XML:com.adobe.xmp", append([]byte{1, 0, 0, 0}, pack([]byte(xmp))...)))), 8},
		{"webp", webpWith(t, webpEXIF, "EXIF", []byte(e6)), 6},
		{"webp with the prefix", webpWith(t, webpEXIF, "EXIF", []byte(prefix+e6)), 6},
		{"webp without the flag", webpWith(t, 0, "EXIF", []byte(e6)), 1},
		{"webp XMP", webpWith(t, webpXMP, "XMP ", []byte(xmp)), 8},
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, kind := range []int{1, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 16, 17} {
			for _, count := range []int{1, 2, 3} {
				for o := range 10 {
					want := o
					if o < 1 || o > 8 {
						want = 1
					}
					name := fmt.Sprintf("%v type %d × %d: %d", order, kind, count, o)
					files = append(files, file{name,
						jpegWith(t, segment(0xe1, prefix, string(exif(order, kind, count, o)))), want})
				}
			}
		}
		for kind, value := range map[int]int{8: -6, 9: -6, 3: 300, 4: 1 << 30, 2: '6', 7: 6, 99: 6} {
			name := fmt.Sprintf("%v type %d: %d", order, kind, value)
			files = append(files, file{name, jpegWith(t, segment(0xe1, prefix, string(exif(order, kind, 1, value)))),
				1})
		}
	}
	for _, f := range files {
		got, err := Decode(f.data, Limits{})
		if err != nil {
			t.Errorf("%s: %v", f.name, err)
			continue
		}
		kind, err := sniff(f.data)
		if err != nil {
			t.Fatal(err)
		}
		if o := orientation(kind, f.data); o != f.want {
			t.Errorf("%s: orientation %d, want %d", f.name, o, f.want)
		}
		w, h := 17, 11
		if f.want >= 5 {
			w, h = h, w
		}
		if got.W != w || got.H != h {
			t.Errorf("%s: %d × %d, want %d × %d", f.name, got.W, got.H, w, h)
		}
	}
}
