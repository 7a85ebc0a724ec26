package ledger

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vicreg/internal/check"
)

const magic = "LIST1\n"

func TestOpen(t *testing.T) {
	path := Path(filepath.Join(t.TempDir(), "deep"), "/data")
	w, err := Create(path, magic)
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("what "))
	w.Write([]byte("is there"))
	if _, ok := Open(path, magic); ok {
		t.Error("a list that was not ended is there")
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if contents, ok := Open(path, magic); !ok || string(contents) != "what is there" {
		t.Errorf("%q, %v", contents, ok)
	}
	if _, ok := Open(path, "LIST2\n"); ok {
		t.Error("a list of another kind is taken")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range raw {
		bad := slices.Clone(raw)
		bad[at] ^= 0x21
		for _, b := range [][]byte{bad, raw[:at]} {
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
			if _, ok := Open(path, magic); ok {
				t.Fatalf("a list with byte %d changed, or cut there, is taken", at)
			}
		}
	}
	if _, ok := Open(filepath.Dir(path), magic); ok {
		t.Error("a folder is a list")
	}
	if other := Path(filepath.Dir(path), "/other"); other == path {
		t.Error("two folders have one list")
	}
	if w, err = Create(path, magic); err != nil {
		t.Fatal(err)
	}
	w.Discard()
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("a list that was given up leaves %v", entries)
	}
}

// Lists that were not read for long go; others, and what is no list, stay.
func TestPrune(t *testing.T) {
	dir := t.TempDir()
	put := func(path string, age time.Duration) string {
		w, err := Create(path, magic)
		if err == nil {
			err = w.Commit()
		}
		if err == nil {
			err = os.Chtimes(path, time.Time{}, time.Now().Add(-age))
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, read, young := put(Path(dir, "old"), stay+day), put(Path(dir, "read"), stay+day), put(Path(dir, "young"), stay-day)
	scan := put(filepath.Join(dir, "0123456789abcdef01234567.json"), stay+day)
	alien := put(filepath.Join(dir, "notes.list"), stay+day)
	if _, ok := Open(read, magic); !ok {
		t.Fatal("the list cannot be read")
	}
	Prune(dir)
	for path, stays := range map[string]bool{old: false, read: true, young: true, scan: false, alien: true} {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	Prune(filepath.Join(dir, "gone"))
}

func TestReader(t *testing.T) {
	b := binary.AppendUvarint(nil, math.MaxInt64)
	b = binary.AppendUvarint(b, math.MaxInt32)
	b = binary.AppendVarint(b, math.MinInt64)
	b = Text(Text(b, "text"), "")
	b = binary.LittleEndian.AppendUint32(b, 7)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(0.5))
	read := func(b []byte) (ok bool) {
		r := Reader{Rest: b}
		ok = r.Number() == math.MaxInt64 && r.Int() == math.MaxInt32 && r.Signed() == math.MinInt64 &&
			r.Text() == "text" && r.Text() == "" && r.Word() == 7 && r.Double() == 0.5
		return ok && r.Whole()
	}
	if !read(b) || read(append(slices.Clone(b), 0)) {
		t.Error("what was written is not what is read")
	}
	for at := range b {
		if read(b[:at]) {
			t.Errorf("cut at byte %d, all of it is read", at)
		}
	}
	for _, c := range []struct {
		what string
		b    []byte
		read func(r *Reader)
	}{
		{"a number of 64 bits", binary.AppendUvarint(nil, math.MaxUint64), func(r *Reader) { r.Number() }},
		{"a number of 33 bits", binary.AppendUvarint(nil, 1<<32), func(r *Reader) { r.Int() }},
		{"a number without end", slices.Repeat([]byte{0xff}, 12), func(r *Reader) { r.Signed() }},
		{"more things than bytes", []byte{3, 1, 1, 1, 1, 1, 1, 1, 1}, func(r *Reader) { r.Count(3) }},
		{"a text that goes on", []byte{9, 'x'}, func(r *Reader) { r.Text() }},
	} {
		r := Reader{Rest: c.b}
		if c.read(&r); !r.Bad || r.Rest != nil || r.Whole() || r.Text() != "" || r.Word() != 0 {
			t.Errorf("%s is read", c.what)
		}
	}
}

// Whatever bytes say of sizes, what is read lies within them.
func FuzzReader(f *testing.F) {
	f.Add([]byte{4, 't', 'e', 'x', 't', 2, 1, 1, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		check.Bounded(t, 8, 5*time.Second, func() {
			r := Reader{Rest: b}
			for !r.Bad && len(r.Rest) > 0 {
				before := len(r.Rest)
				if n := r.Count(2); 2*n > before || len(r.Text()) > before {
					t.Errorf("%d things in %d bytes", n, before)
				}
				r.Word()
				r.Double()
			}
		})
	})
}
