package torchfile

import (
	"archive/zip"
	"bytes"
	"io"
	"math"
	"path"
	"path/filepath"
	"testing"
	"time"

	"vicreg/internal/check"
)

// fixtures are all files of testdata.
func fixtures(f *testing.F) (all [][]byte) {
	names, err := filepath.Glob("testdata/*.pth")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		if b := fixture(f, filepath.Base(name)); len(b) < 20<<10 {
			all = append(all, b)
		}
	}
	return all
}

// Whatever the bytes, there is an error of one sentence, or tensors that can be read,
// written and read again, soon and in little memory.
func FuzzOpen(f *testing.F) {
	for _, b := range fixtures(f) {
		f.Add(b)
	}
	f.Add(saved(f, mapped(text("w"), vector(1)), "1234"))
	f.Add(legacy(mapped(text("w"), vector(1)), 1, "1234"))
	f.Fuzz(bounded)
}

// The same of any pickle, with right checksums around it.
func FuzzPickle(f *testing.F) {
	for _, b := range fixtures(f) {
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		for _, e := range z.File {
			if path.Base(e.Name) != "data.pkl" {
				continue
			}
			if r, err := e.Open(); err == nil {
				pickle, _ := io.ReadAll(r)
				f.Add(string(pickle), false)
			}
		}
	}
	for _, pickle := range []string{"", mapped(text("w"), vector(1)), "(dp0\nS'a\\'b'\np1\n" + vector(1) + "sV\\u00e9\ng1\nsI01\nI7\ns.",
		mapped(text("w"), viewed(stored("UntypedStorage", 9), 1, wholes(2, 3), wholes(1, 2))),
		mapped(text("w"), viewed(stored("LongStorage", 1), 0, wholes(1000), wholes(0)))} {
		f.Add(pickle, false)
		f.Add(pickle, true)
	}
	f.Fuzz(func(t *testing.T, pickle string, old bool) {
		const data = "0123456789abcdef"
		if old {
			bounded(t, legacy(pickle, 4, data))
		} else {
			bounded(t, saved(t, pickle, data))
		}
	})
}

func bounded(t *testing.T, b []byte) {
	check.Bounded(t, 50+len(b)>>12, 2*time.Second, func() {
		f, err := open(b)
		if err != nil {
			sentence(t, err)
			return
		}
		var kept []Tensor
		for _, i := range f.Tensors()[:min(20, len(f.list))] {
			v, err := f.Float32(i.Name)
			if err != nil {
				sentence(t, err)
				continue
			}
			n := 1
			for _, s := range i.Shape {
				n *= s
			}
			if len(v) != n {
				t.Fatalf("%+v has %d values", i, len(v))
			}
			if n < 1<<16 {
				kept = append(kept, Tensor{i.Name, i.Shape, v})
			}
		}
		if len(kept) > 0 {
			writtenAgain(t, kept)
		}
	})
}

func writtenAgain(t *testing.T, tensors []Tensor) {
	var out bytes.Buffer
	if err := write(&out, tensors); err != nil {
		t.Fatal(err)
	}
	g, err := open(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		v, err := g.Float32(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range x.Data.([]float32) {
			if math.Float32bits(v[i]) != math.Float32bits(want) {
				t.Fatalf("%q: element %d is %v, was %v", x.Name, i, v[i], want)
			}
		}
	}
}
