package imagefile

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Whatever the bytes, there is an error of one line or a picture, in little time
// and memory, and the header alone tells its size.
func FuzzDecode(f *testing.F) {
	for _, path := range fixtures(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, path := range bandFiles(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, c := range loosePNGs() {
		f.Add(c.file)
	}
	for _, c := range looseGIFs() {
		f.Add(c.file)
	}
	for _, data := range plainFiles() {
		f.Add(data)
	}
	limits := Limits{Pixels: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		check.Bounded(t, 48+len(data)>>10, 2*time.Second, func() {
			two, err := Decode(data, Limits{Pixels: limits.Pixels, Raw: true, Bands: []int{2, 1}})
			if err == nil && (!two.Complete() || two.C != 2) {
				t.Fatalf("two channels: %d × %d × %d, %d bytes", two.W, two.H, two.C, len(two.Pix))
			}
			m, err := Decode(data, limits)
			kind, unknown := sniff(data)
			if unknown != nil {
				if err == nil {
					t.Fatalf("decoded, but %v", unknown)
				}
				return
			}
			var head claim
			headErr := kind.contain(func() (err error) {
				head, err = kind.header(bytes.NewReader(data), int64(len(data)), limits)
				return err
			})
			if err != nil {
				if s := err.Error(); strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
					t.Fatalf("error %q", s)
				}
				return
			}
			if headErr != nil {
				t.Fatalf("decoded, but %v", headErr)
			}
			if !m.Complete() || m.C > MostChannels {
				t.Fatalf("%d × %d × %d, %d bytes", m.W, m.H, m.C, len(m.Pix))
			}
			if o := orientation(kind, data); o >= 5 {
				m.W, m.H = m.H, m.W
			}
			if m.W != head.w || m.H != head.h {
				t.Fatalf("%d × %d, but %d × %d by the header", m.W, m.H, head.w, head.h)
			}
		})
	})
}

// FuzzOrientation puts the bytes where each format keeps EXIF data, XMP and text.
func FuzzOrientation(f *testing.F) {
	f.Add(exif(binary.LittleEndian, 3, 1, 6))
	f.Add(exif(binary.BigEndian, 4, 3, 8))
	f.Add([]byte("\nexif\n  3\n457869660000\n4949\n"))
	f.Add([]byte(`\x00\x00\x00\x00\x00<tiff:Orientation>8</tiff:Orientation>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 60000 {
			return
		}
		check.Bounded(t, 32, 2*time.Second, func() {
			for kind, file := range map[*format][]byte{
				formatJPEG: append([]byte("\xff\xd8"), segment(0xe1, exifPrefix, string(data))...),
				formatWebP: webpWith(t, webpEXIF|webpXMP, "EXIF", data),
				formatTIFF: data,
				formatPNG: bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), pngChunk("eXIf", data),
					pngChunk("zTXt", append([]byte("Raw profile type exif\x00"), data...)),
					pngChunk("iTXt", append([]byte("XML:com.adobe.xmp\x00"), data...))}, nil),
			} {
				if o := orientation(kind, file); o < 1 || o > 8 {
					t.Fatalf("%s: orientation %d", kind.name, o)
				}
			}
		})
	})
}
