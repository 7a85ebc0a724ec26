package tiff

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/image/tiff/lzw"

	"vicreg/internal/check"
)

// noJPEG takes the place of a decoder: a grey or coloured square of the size
// that is asked for.
func noJPEG(data []byte) (w, h, c int, pix []byte, err error) {
	i := bytes.Index(data, []byte{0xff, 0xc0})
	if i < 0 || len(data) < i+10 {
		return 0, 0, 0, nil, errors.New("no frame")
	}
	h, w, c = int(data[i+5])<<8|int(data[i+6]), int(data[i+7])<<8|int(data[i+8]), 1
	if data[i+9] == 3 {
		c = 3
	}
	if w*h > 1<<20 {
		return 0, 0, 0, nil, errors.New("too large")
	}
	return w, h, c, make([]byte, w*h*c), nil
}

// Whatever the bytes, there is an error or a picture of the size that the header
// tells, in time and memory that fit it.
func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob("../imagefile/testdata/*.tif")
	if err != nil || len(paths) < 50 {
		f.Fatalf("%d files: %v", len(paths), err)
	}
	bands, err := filepath.Glob("../imagefile/testdata/bands/*.tif")
	if err != nil || len(bands) < 20 {
		f.Fatalf("%d files: %v", len(bands), err)
	}
	for _, path := range append(paths, bands...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		check.Bounded(t, 48, 2*time.Second, func() {
			file, err := Open(bytes.NewReader(data), int64(len(data)))
			if err != nil || int64(file.W)*int64(file.H) > 1<<20 {
				return
			}
			checked := file.Check()
			if file.Sampled() {
				want := []int{file.Samples(), 1}
				s, err := file.Read(data, want, noJPEG)
				switch {
				case err == nil && checked != nil:
					t.Fatalf("read, but %v", checked)
				case err == nil && (s.W != file.W || s.H != file.H || s.C != 2 || len(s.Pix) != s.W*s.H*s.C*s.Bytes):
					t.Fatalf("%d × %d × %d of %d bytes, %d in all, of %d × %d", s.W, s.H, s.C, s.Bytes, len(s.Pix), file.W, file.H)
				case err == nil && file.Samples() > 1 && file.Memory() < int64(len(s.Pix)):
					t.Fatalf("%d bytes of samples, more than %d", len(s.Pix), file.Memory())
				}
			}
			p, err := file.Decode(data, noJPEG)
			switch {
			case err == nil && checked != nil:
				t.Fatalf("decoded, but %v", checked)
			case err == nil && (p.W != file.W || p.H != file.H || p.C != 1 && p.C != 3 || len(p.Pix) != p.W*p.H*p.C):
				t.Fatalf("%d × %d × %d, %d bytes, of %d × %d", p.W, p.H, p.C, len(p.Pix), file.W, file.H)
			case err == nil && file.Memory() < int64(len(p.Pix)):
				t.Fatalf("%d bytes of pixels, more than %d", len(p.Pix), file.Memory())
			}
		})
	})
}

// FuzzDirectory takes the bytes for EXIF data.
func FuzzDirectory(f *testing.F) {
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x04\x00\x00\x00\x02\x00\x00\x00\x08\x00\x00\x00\x00"))
	f.Add([]byte("II+\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x12\x01\x10\x00\x01\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("MM\x00*\x00\x00\x00\x08\xff\xff\x01\x12\x00\x03\xff\xff\xff\xff\x00\x00\x00\x08"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		check.Bounded(t, 16+len(data)>>17, 2*time.Second, func() {
			d, err := ReadDirectory(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				return
			}
			if o := d.Orientation(); o < -1 || o > 1000 {
				t.Fatalf("orientation %d", o)
			}
			if len(d.XMP()) > len(data) {
				t.Fatal("more than there is")
			}
		})
	})
}

// What another reader of LZW takes, ours takes for the same bytes.
func FuzzLZW(f *testing.F) {
	f.Add([]byte("\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01"))
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06"))
	f.Add(bytes.Repeat([]byte("\x80\x0a\xaa"), 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		check.Bounded(t, 64, 2*time.Second, func() {
			z := newLZW()
			z.reset(data)
			got, err := io.ReadAll(io.LimitReader(z, 1<<20))
			if len(got) > 2731*len(data) {
				t.Fatalf("%d bytes out of %d", len(got), len(data))
			}
			if z.old || err != nil {
				return
			}
			want, err := io.ReadAll(io.LimitReader(lzw.NewReader(bytes.NewReader(data), lzw.MSB, 8), 1<<20))
			if err == nil && !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, not the %d of x/image", len(got), len(want))
			}
		})
	})
}
