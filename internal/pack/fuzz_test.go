package pack

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"hash/crc64"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/host"
)

// Whatever stands in an index with the right checksum, the file is refused or
// all its images lie within it, and what it says can be written and read again.
func FuzzPack(f *testing.F) {
	build := func(v byte, pixels int, index []byte) []byte {
		b := make([]byte, headerSize+pixels, headerSize+pixels+len(index))
		copy(b, magic)
		b[8] = v
		binary.LittleEndian.PutUint64(b[16:], uint64(len(b)+len(index)))
		binary.LittleEndian.PutUint64(b[24:], uint64(len(b)))
		return resealed(append(b, index...))
	}
	sum := func(n int) uint32 { return crc32.Checksum(make([]byte, n), castagnoli) }
	meta := File{Name: "x", Classes: []string{"a", "b"}, version: 2}
	f.Add(byte(2), 192, meta.index([]placed{{"1", 0, 5, 4, 3, 1, sum(64), 0}, {"2", -1, 1, 1, 1, 3, sum(64), 0}},
		[]placed{{"3", 1, 64, 1, 1, 2, sum(64), 0}}))
	f.Add(byte(2), 0, meta.index(nil, nil))
	f.Add(byte(2), 64, meta.index([]placed{{"1", 0, 1 << 24, 1 << 24, 3, 1, 0, 0}}, nil))
	f.Add(byte(2), 64, meta.index([]placed{{"1", 2, 64, 1, 1, 1, 0, 0}}, nil))
	f.Add(byte(2), 128, meta.index([]placed{{"1", 0, 64, 1, 1, 1, 0, 0}, {"2", 0, 64, 1, 1, 1, 0, 0}}, nil))
	meta.version = 3
	f.Add(byte(3), 192, meta.index([]placed{{"1", 0, 2, 2, 4, 1, sum(64), 2}, {"2", -1, 1, 1, 13, 2, sum(64), 1}},
		[]placed{{"3", 1, 9, 1, 7, 3, sum(64), 0}}))
	f.Add(byte(3), 64, meta.index([]placed{{"1", 0, 1 << 24, 1 << 24, 64, 1, 0, 2}}, nil))
	f.Add(byte(3), 64, meta.index([]placed{{"1", 0, 4, 4, 1, 1, 0, 7}, {"2", 0, 1, 1, 200, 1, 0, 0}}, nil))
	meta.version = 1
	f.Add(byte(1), 84, meta.index([]placed{{"1", 0, 5, 4, 3, 1, 0, 0}, {"2", -1, 20, 1, 1, 2, 0, 0}}, nil))
	f.Add(byte(2), 64, binary.AppendUvarint(nil, 1<<62))
	f.Fuzz(func(t *testing.T, v byte, pixels int, index []byte) {
		pixels &= 1<<16 - 1
		b := build(v, pixels, index)
		check.Bounded(t, 8+len(index)>>12, 2*time.Second, func() {
			x, err := newFile(bytes.NewReader(b), int64(len(b)), "x")
			if err != nil {
				return
			}
			var buf []byte
			var parts [2][]placed
			for i, part := range [][]Stored{x.Train, x.Test} {
				for _, s := range part {
					m, err := s.Read(buf)
					if err == nil && (s.W < 1 || s.H < 1 || len(m.Pix) != s.W*s.H*s.C*s.Type.Size() || s.Label < -1 ||
						s.Label >= len(x.Classes)) {
						t.Fatalf("image of %d × %d × %d with %d bytes, label %d", s.W, s.H, s.C, len(m.Pix), s.Label)
					}
					buf = m.Pix
					parts[i] = append(parts[i], placed{s.Name, s.Label, s.W, s.H, s.C, s.place / align, s.sum, s.Type})
				}
			}
			y := &File{version: x.version}
			if !y.parse(x.index(parts[0], parts[1]), int64(headerSize+pixels)) || y.Name != x.Name ||
				!slices.Equal(y.Classes, x.Classes) {
				t.Fatalf("%q is not read again", index)
			}
			for i := range x.Train {
				a, b := x.Train[i], y.Train[i]
				if a.file, b.file = nil, nil; !reflect.DeepEqual(a, b) {
					t.Fatalf("%+v became %+v", a, b)
				}
			}
		})
	})
}

// An index of nothing but classes, or of images that are not there, takes no
// more memory than it justifies.
func TestIndexBombs(t *testing.T) {
	many := binary.AppendUvarint([]byte{0}, 8<<20)
	for what, index := range map[string][]byte{
		"classes": append(many, make([]byte, 8<<20)...),
		"images":  append(binary.AppendUvarint([]byte{0, 0}, 1<<20), make([]byte, 6<<20)...),
		"name":    append(binary.AppendUvarint(nil, 8<<20-10), make([]byte, 8<<20)...),
	} {
		b := make([]byte, headerSize, headerSize+len(index))
		copy(b, magic)
		b[8] = 2
		binary.LittleEndian.PutUint64(b[16:], uint64(len(b)+len(index)))
		binary.LittleEndian.PutUint64(b[24:], uint64(len(b)))
		b = resealed(append(b, index...))
		check.Bounded(t, 40, time.Second, func() {
			if err := used(b); err == nil {
				t.Errorf("%s: accepted", what)
			}
		})
	}
}

// An index with more holes than a machine has memory is not read.
func TestIndexOfHoles(t *testing.T) {
	t.Setenv(host.MemoryVariable, "1GB")
	path := filepath.Join(t.TempDir(), "a.pack")
	const size = 1 << 40
	b := make([]byte, headerSize)
	copy(b, magic)
	b[8] = 2
	binary.LittleEndian.PutUint64(b[16:], size)
	binary.LittleEndian.PutUint64(b[24:], headerSize)
	binary.LittleEndian.PutUint64(b[56:], crc64.Checksum(b[:56], table))
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Skip(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "the index of this packed data set takes 8.8 TB of memory, but VICREG_MEMORY allows 1.0 GB") {
		t.Error(err)
	}
}

func BenchmarkRead(b *testing.B) {
	m := picture(rand.New(rand.NewPCG(1, 1)))
	m.W, m.H, m.C = 500, 375, 3
	m.Pix = make([]uint8, m.W*m.H*m.C)
	f, err := Open(write(b, []Item{{"a", 0, m}}, nil))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(m.Pix)))
	var buf []byte
	for b.Loop() {
		m, err := f.Train[0].Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		buf = m.Pix
	}
}
