package fax

import (
	"bytes"
	"io"
	"testing"
	"time"

	"golang.org/x/image/ccitt"

	"vicreg/internal/check"
)

// Whatever the bytes, rows come or an error does. Where another reader of fax
// takes the data, it finds the same pixels.
func FuzzReader(f *testing.F) {
	f.Add(uint8(0), uint16(45), []byte("\x35\x1c\x47\x00"))
	f.Add(uint8(2), uint16(17), []byte("\x00\x10\x01\x9a\x80\x08\x00\x80\x08\x00\x80\x08\x00\x80"))
	f.Add(uint8(3), uint16(9), []byte("\x00\x1d\x40\x00\x1e\x80\x00\x1f"))
	f.Add(uint8(4), uint16(100), []byte("\x26\xa0\x9a\xff\x00\x10\x01"))
	f.Add(uint8(4), uint16(65000), bytes.Repeat([]byte{0xff}, 100))
	f.Fuzz(func(t *testing.T, kind uint8, width uint16, data []byte) {
		if len(data) > 1<<14 || width == 0 {
			return
		}
		o := Options{Coding: Coding(kind % 4), Width: int(width), Two: kind&4 != 0}
		rows := min(64, len(data)*8)
		check.Bounded(t, 16, 2*time.Second, func() {
			size := (o.Width + 7) / 8
			got := make([]byte, rows*size)
			n, err := io.ReadFull(NewReader(data, o), got)
			if n%size != 0 || err == nil && n != len(got) {
				t.Fatalf("%d bytes of rows of %d, %v", n, size, err)
			}
			for y := 0; y < n; y += size {
				if o.Width%8 != 0 && got[y+size-1]<<(o.Width%8) != 0 {
					t.Fatalf("pixels behind the end of row %d", y/size)
				}
			}
			if o.Coding != Group4 || err != nil {
				return
			}
			want := make([]byte, n)
			theirs := ccitt.NewReader(bytes.NewReader(data), ccitt.MSB, ccitt.Group4, o.Width, rows, nil)
			if _, err := io.ReadFull(theirs, want); err == nil {
				for i := range want {
					want[i] = ^want[i]
				}
				for y := 0; y < n && o.Width%8 != 0; y += size {
					want[y+size-1] &= 0xff << (8 - o.Width%8)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("other pixels than x/image/ccitt finds:\n%x\n%x", got, want)
				}
			}
		})
	})
}
