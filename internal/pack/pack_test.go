package pack

import (
	"bytes"
	"encoding/binary"
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
func write(t *testing.T, train, test []Item) string {
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
		if f.Name != "animals" || !slices.Equal(f.Classes, []string{"cat", "dog, small"}) {
			t.Errorf("%q, %q", f.Name, f.Classes)
		}
		equal := func(a, b Item) bool {
			return a.Name == b.Name && a.Label == b.Label && a.Image.W == b.Image.W && a.Image.H == b.Image.H &&
				a.Image.C == b.Image.C && bytes.Equal(a.Image.Pix, b.Image.Pix)
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

func TestDamage(t *testing.T) {
	train, test := items(8)
	good, err := os.ReadFile(write(t, train, test))
	if err != nil {
		t.Fatal(err)
	}
	at := int(binary.LittleEndian.Uint64(good[24:]))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	sealed := func(b []byte) []byte {
		binary.LittleEndian.PutUint64(b[32:], crc64.Checksum(b[binary.LittleEndian.Uint64(b[24:]):], table))
		binary.LittleEndian.PutUint64(b[56:], crc64.Checksum(b[:56], table))
		return b
	}
	for want, data := range map[string][]byte{
		"not a packed data set;":                   []byte("a letter to a friend"),
		"cut short within its header":              good[:40],
		"cut short: it has":                        good[:len(good)-1],
		"1 too many":                               change(func(b []byte) []byte { return append(b, 0) }),
		"header of this":                           change(func(b []byte) []byte { b[17]++; return b }),
		"index of this packed data set is damaged": change(func(b []byte) []byte { b[at+5]++; return b }),
		"version 2":                                change(func(b []byte) []byte { b[8] = 2; return sealed(b) }),
		"makes no sense":                           change(func(b []byte) []byte { b[at] = 200; return sealed(b) }),
	} {
		path := filepath.Join(t.TempDir(), "bad.pack")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path) {
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
			return sealed(b)
		})
		f, err := parse(b)
		if err != nil {
			continue
		}
		for _, i := range slices.Concat(f.Train, f.Test) {
			if m := i.Image; m.W < 1 || m.H < 1 || len(m.Pix) != m.W*m.H*m.C || i.Label < -1 || i.Label >= len(f.Classes) {
				t.Fatalf("image of %d × %d × %d with %d bytes, label %d", m.W, m.H, m.C, len(m.Pix), i.Label)
			}
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
