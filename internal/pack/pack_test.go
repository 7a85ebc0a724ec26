package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/imagefile"
)

func picture(r *rand.Rand) imagefile.Image {
	m := imagefile.Image{W: 1 + r.IntN(40), H: 1 + r.IntN(40), C: 1 + 2*r.IntN(2)}
	m.Pix = make([]uint8, m.W*m.H*m.C)
	for i := range m.Pix {
		m.Pix[i] = uint8(r.Uint32())
	}
	return m
}

// write packs train and test images and returns the file.
func write(t testing.TB, train, test []Item) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.pack")
	w, err := Create(path, "animals", []string{"cat", "dog, small"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range max(len(train), len(test)) { // the parts may come mixed
		for part, items := range [][]Item{train, test} {
			if i < len(items) {
				if err := w.Add(items[i], part == 1); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	size, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		t.Fatalf("%v, %v, want %d bytes", info, err, size)
	}
	return path
}

func items(n int) (train, test []Item) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		train = append(train, Item{strings.Repeat("größer/", i%3) + "a.jpg", i%3 - 1, picture(r)})
		if i%2 == 0 {
			test = append(test, Item{"test/b.png", 1, picture(r)})
		}
	}
	return train, test
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 2, 50} {
		train, test := items(n)
		path := write(t, train, test)
		if !Is(path) {
			t.Error("not recognised")
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != "animals" || !slices.Equal(f.Classes, []string{"cat", "dog, small"}) || len(f.Notes) > 0 {
			t.Errorf("%q, %q, %q", f.Name, f.Classes, f.Notes)
		}
		var buf []byte
		equal := func(a Stored, b Item) bool {
			m, err := a.Read(buf)
			buf = m.Pix
			return err == nil && a.Name == b.Name && a.Label == b.Label && m.W == b.Image.W && m.H == b.Image.H &&
				m.C == b.Image.C && m.W == a.W && m.H == a.H && m.C == a.C && bytes.Equal(m.Pix, b.Image.Pix)
		}
		if !slices.EqualFunc(f.Train, train, equal) || !slices.EqualFunc(f.Test, test, equal) {
			t.Errorf("%d images come back otherwise", n)
		}
	}
}

// The checksum tells apart what differs in pixels alone.
func TestSum(t *testing.T) {
	train, test := items(5)
	sum := func() uint64 {
		f, err := Open(write(t, train, test))
		if err != nil {
			t.Fatal(err)
		}
		return f.Sum
	}
	a, b := sum(), sum()
	train[3].Image.Pix[0]++
	if c := sum(); a != b || a == c {
		t.Errorf("%x, %x, then %x", a, b, c)
	}
}

// resealed gives a changed header and index the checksums they should have.
func resealed(b []byte) []byte {
	at := min(binary.LittleEndian.Uint64(b[24:]), uint64(len(b)))
	binary.LittleEndian.PutUint64(b[32:], crc64.Checksum(b[at:], table))
	binary.LittleEndian.PutUint64(b[56:], crc64.Checksum(b[:56], table))
	return b
}

// used opens a file that is not on disk and reads all its images.
func used(b []byte) error {
	f, err := newFile(bytes.NewReader(b), int64(len(b)), "x")
	if err != nil {
		return err
	}
	for _, s := range slices.Concat(f.Train, f.Test) {
		if m, err := s.Read(nil); err != nil {
			return err
		} else if s.W < 1 || s.H < 1 || len(m.Pix) != s.W*s.H*s.C || s.Label < -1 || s.Label >= len(f.Classes) {
			return fmt.Errorf("MISSED: image of %d × %d × %d with %d bytes, label %d", s.W, s.H, s.C, len(m.Pix), s.Label)
		}
	}
	return nil
}

func TestDamage(t *testing.T) {
	train, test := items(8)
	good, err := os.ReadFile(write(t, train, test))
	if err != nil {
		t.Fatal(err)
	}
	at := int(binary.LittleEndian.Uint64(good[24:]))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for want, data := range map[string][]byte{
		"not a packed data set;":                   []byte("a letter to a friend"),
		"cut short within its header":              good[:40],
		"cut short: it has":                        good[:len(good)-1],
		"1 too many":                               change(func(b []byte) []byte { return append(b, 0) }),
		"header of this":                           change(func(b []byte) []byte { b[17]++; return b }),
		"index of this packed data set is damaged": change(func(b []byte) []byte { b[at+5]++; return b }),
		"version 4":                                change(func(b []byte) []byte { b[8] = 4; return resealed(b) }),
		"version 0":                                change(func(b []byte) []byte { b[8] = 0; return resealed(b) }),
		"makes no sense":                           change(func(b []byte) []byte { b[at] = 200; return resealed(b) }),
	} {
		path := filepath.Join(t.TempDir(), "bad.pack")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), path) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty); err == nil || Is(empty) {
		t.Errorf("empty: %v", err)
	}

	// An index of any bytes, well sealed, gives an error or images that lie
	// within the file.
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		b := change(func(b []byte) []byte {
			for range 1 + r.IntN(3) {
				b[at+r.IntN(len(b)-at)] = uint8(r.Uint32())
			}
			return resealed(b)
		})
		if err := used(b); err != nil && strings.Contains(err.Error(), "MISSED") {
			t.Fatal(err)
		}
	}
}

// No byte changes unseen: not of the header, the index, the pixels, nor of the
// zeros between them.
func TestEveryByteCounts(t *testing.T) {
	train, test := items(3)
	good, err := os.ReadFile(write(t, train, test))
	if err != nil {
		t.Fatal(err)
	}
	if err := used(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		if err := used(b); err == nil {
			t.Fatalf("byte %d of %d changes unseen", i, len(good))
		}
	}
}

// An image that has changed is named, and so is a file that is cut short or
// written over while it is open; the other images are as they were.
func TestDamageWhileOpen(t *testing.T) {
	train, _ := items(4)
	for want, damage := range map[string]func(path string, at int64) error{
		"größer/größer/a.jpg is damaged: the checksum of its pixels is ": func(path string, at int64) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte{train[2].Image.Pix[0] + 1}, at)
				f.Close()
			}
			return err
		},
		"größer/größer/a.jpg: the file was cut short while it was in use": func(path string, at int64) error { return os.Truncate(path, at+1) },
		"größer/größer/a.jpg: the file was cut short while":               func(path string, at int64) error { return os.Truncate(path, at-0) },
	} {
		path := write(t, train, nil)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(path, f.Train[2].place); err != nil {
			t.Fatal(err)
		}
		for i := range f.Train {
			m, err := f.Train[i].Read(nil)
			switch {
			case i == 2 && (err == nil || !strings.HasPrefix(err.Error(), path+": "+want) ||
				!strings.HasSuffix(err.Error(), "; pack the images anew")):
				t.Errorf("want %s, got %v", want, err)
			case i < 2 && (err != nil || !bytes.Equal(m.Pix, train[i].Image.Pix)):
				t.Errorf("image %d: %v", i, err)
			}
		}
	}
}

// first makes a file of version 1 of one of version 2.
func first(t testing.TB, b []byte) []byte {
	t.Helper()
	f, err := newFile(bytes.NewReader(b), int64(len(b)), "x")
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(b[:headerSize])
	var sum uint64
	parts := [2][]placed{}
	for _, s := range f.inOrder() {
		m, err := s.Read(nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, make([]byte, padding(int64(len(out))))...)
		part := 0
		if len(f.Test) > 0 && s.place >= f.Test[0].place {
			part = 1
		}
		parts[part] = append(parts[part], placed{s.Name, s.Label, s.W, s.H, s.C, int64(len(out)) / align, 0, 0})
		out = append(out, m.Pix...)
		sum = crc64.Update(sum, table, m.Pix)
	}
	f.version = 1
	at := len(out)
	out = append(out, f.index(parts[0], parts[1])...)
	out[8] = 1
	binary.LittleEndian.PutUint64(out[16:], uint64(len(out)))
	binary.LittleEndian.PutUint64(out[24:], uint64(at))
	binary.LittleEndian.PutUint64(out[40:], sum)
	return resealed(out)
}

// Files of version 1 are read, and their pixels checked as a whole.
func TestFirstVersion(t *testing.T) {
	train, _ := items(5)
	good, err := os.ReadFile(write(t, train, nil))
	if err != nil {
		t.Fatal(err)
	}
	old := first(t, good)
	f, err := newFile(bytes.NewReader(old), int64(len(old)), "x")
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range f.Train {
		if m, err := s.Read(nil); err != nil || s.Name != train[i].Name || !bytes.Equal(m.Pix, train[i].Image.Pix) {
			t.Errorf("image %d: %v", i, err)
		}
	}
	for _, s := range f.Train {
		b := bytes.Clone(old)
		b[s.place+s.pixels()/2] ^= 16
		if err := used(b); err == nil || !strings.Contains(err.Error(), "the images of this packed data set are damaged: their checksum is") {
			t.Errorf("a pixel: %v", err)
		}
	}
}

// What is not closed leaves nothing, and what stood there stays.
func TestAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pack")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := Create(path, "x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(Item{"a", -1, picture(rand.New(rand.NewPCG(1, 1)))}, false); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	entries, err := os.ReadDir(dir)
	if b, _ := os.ReadFile(path); string(b) != "old" || err != nil || len(entries) != 1 {
		t.Errorf("%q, %v, %v", b, entries, err)
	}
	if _, err := Create(filepath.Join(dir, "nowhere", "a.pack"), "x", nil); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("in no folder: %v", err)
	}
}
