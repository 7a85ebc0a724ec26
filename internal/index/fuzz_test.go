package index

import (
	"bytes"
	"encoding/binary"
	"hash/crc64"
	"os"
	"testing"
	"time"

	"vicreg/internal/check"
)

// sealed gives a file the checksums of header and table of contents that it should have.
func sealed(b []byte) []byte {
	if len(b) < headerSize {
		return b
	}
	b = bytes.Clone(b)
	copy(b, magic)
	at := binary.LittleEndian.Uint64(b[24:])
	binary.LittleEndian.PutUint32(b[8:], version)
	binary.LittleEndian.PutUint64(b[16:], uint64(len(b)))
	if at >= headerSize && at <= uint64(len(b)) {
		binary.LittleEndian.PutUint64(b[32:], crc64.Checksum(b[at:], table))
	}
	binary.LittleEndian.PutUint64(b[56:], crc64.Checksum(b[:56], table))
	return b
}

// What is accepted can be searched; whatever a file claims, it takes no more memory than
// its length justifies.
func FuzzNewFile(f *testing.F) {
	for _, lists := range []int{0, 4} {
		file, _ := written(f, 40, 3, lists)
		b, err := os.ReadFile(file.Path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-9])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, sealed(b)} {
			check.Bounded(t, 6+len(b)>>13, 2*time.Second, func() {
				x, err := newFile(bytes.NewReader(b), int64(len(b)), "x.index")
				if err != nil {
					if len(err.Error()) > 300 {
						t.Errorf("a message of %d bytes", len(err.Error()))
					}
					return
				}
				q := make([]float32, x.D)
				q[0] = 1
				found, err := x.Search(t.Context(), q, Options{K: 3})
				if err == nil && x.Lists == 0 && len(found[0]) != min(3, len(x.Items)) {
					t.Errorf("%d of %d images found", len(found[0]), len(x.Items))
				}
			})
		}
	})
}
