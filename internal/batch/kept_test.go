package batch

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"vicreg/internal/dataset"
)

// What a Scan found of many images is taken again for the same images, and for no others.
func TestScanIsKept(t *testing.T) {
	least := keptLeast
	keptLeast = 4
	defer func() { keptLeast = least }()
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("LocalAppData", cache)
	dir := t.TempDir()
	for i := range 6 {
		writePNG(t, filepath.Join(dir, fmt.Sprint(i, ".png")), 5+i, 4, uint8(40*i))
	}
	bad := filepath.Join(dir, "x.png")
	if err := os.WriteFile(bad, []byte("no picture at all"), 0o666); err != nil {
		t.Fatal(err)
	}
	most := 0.5
	scan := func(key string) (*Report, *dataset.Dataset) {
		t.Helper()
		d, _, err := dataset.Open(dir, dataset.Options{Labels: "none"})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSource(d, SourceOptions{Most: &most})
		r, err := s.Scan(context.Background(), ScanOptions{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if s.channels != r.Channels || len(d.Items) != r.Images {
			t.Errorf("%d channels, %d images of %+v", s.channels, len(d.Items), r)
		}
		return r, d
	}
	again := func(d *dataset.Dataset) bool {
		return strings.Contains(strings.Join(d.Notes, "; "), "not looked at again")
	}
	texts := func(r *Report) (all []string) {
		for _, b := range r.Bad {
			all = append(all, b.Name+" "+b.Err.Error())
		}
		return all
	}
	first, d := scan("a")
	if again(d) || len(first.Bad) != 1 {
		t.Fatalf("at first: %+v, %q", first, d.Notes)
	}
	second, d := scan("a")
	if !again(d) || !reflect.DeepEqual(texts(first), texts(second)) {
		t.Fatalf("again: %+v, %q", second, d.Notes)
	}
	a, b := *first, *second
	if a.Bad, b.Bad = nil, nil; !reflect.DeepEqual(a, b) {
		t.Errorf("found %+v, kept %+v", a, b)
	}
	if _, d := scan("b"); again(d) {
		t.Error("other files are not looked at")
	}
	if _, d := scan(""); again(d) {
		t.Error("without a key")
	}
	files, _ := filepath.Glob(filepath.Join(cache, "vicreg", "scans", "*"))
	if len(files) == 0 {
		files, _ = filepath.Glob(filepath.Join(cache, "*", "*", "vicreg", "scans", "*"))
	}
	if len(files) != 2 {
		t.Fatalf("kept %q", files)
	}
	for _, text := range []string{"", "{}", `{"Version":2}`} {
		for _, f := range files {
			os.WriteFile(f, []byte(text), 0o666)
		}
		if r, d := scan("a"); again(d) || !reflect.DeepEqual(texts(first), texts(r)) {
			t.Errorf("%q is taken for what was found", text)
		}
	}

	// Of images that are no pictures, it is kept that they are none.
	raw := t.TempDir()
	for i := range 4 {
		head := "{'descr': '<u2', 'fortran_order': False, 'shape': (20, 20, 3), }\n"
		b := append(append([]byte("\x93NUMPY\x01\x00"), byte(len(head)), 0), head...)
		path := filepath.Join(raw, fmt.Sprint(i, ".npy"))
		if err := os.WriteFile(path, append(b, make([]byte, 2400)...), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		d, _, err := dataset.Open(raw, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSource(d, SourceOptions{})
		r, err := s.Scan(context.Background(), ScanOptions{Key: "raw"})
		if err != nil || !r.Raw || !s.raw || r.Channels != 3 || again(d) != (round == 1) {
			t.Errorf("%d: %+v, %q: %v", round, r, d.Notes, err)
		}
	}

	// An image that was bad and no longer is.
	writePNG(t, bad, 5, 5, 9)
	if r, d := scan("a"); again(d) || len(r.Bad) != 0 {
		t.Errorf("mended: %+v, %q", r, d.Notes)
	}
}

func writePNG(t *testing.T, path string, w, h int, grey uint8) {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = grey + uint8(i)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}
