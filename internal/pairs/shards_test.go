package pairs

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tarOf writes a tar of name and content in turn.
func tarOf(t testing.TB, path string, files ...string) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(files[i+1]))
	}
	w.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func pngOf(t testing.TB, width int) string {
	var b bytes.Buffer
	m := image.NewGray(image.Rect(0, 0, width, 9))
	m.Pix[3] = 200
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wavOf is a mono WAV file of 16 bits, 100 samples at 8 kHz.
func wavOf() string {
	var b bytes.Buffer
	b.WriteString("RIFF\xec\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\xc8\x00\x00\x00")
	for i := range 100 {
		binary.Write(&b, binary.LittleEndian, int16(i*100))
	}
	return b.String()
}

func TestPairsInShards(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("LocalAppData", cache)
	dir := t.TempDir()
	tarOf(t, filepath.Join(dir, "train-0.tar"), "a.png", pngOf(t, 9), "a.txt", "a red thing\n", "a.json", `{"n": 3, "in": {"m": 4.5}}`,
		"b.PNG", pngOf(t, 10), "b.txt", "blue", "b.json", `{"n": 7}`, "c.txt", "no image", "a.wav", wavOf(), "a.cls", "1")
	tarOf(t, filepath.Join(dir, "val-0.tar"), "d.png", pngOf(t, 11), "d.txt", "val", "d.json", `{"n": 9}`,
		"d.cls", "0", "d.wav", wavOf())
	open := func(spec string, o Options, sides ...string) (*Data, *Data, []Side) {
		t.Helper()
		var all []Side
		for _, s := range sides {
			side, err := ParseSide(s)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, side)
		}
		train, test, err := Open(filepath.Join(dir, spec), all, o)
		if err != nil {
			t.Fatal(err)
		}
		return train, test, all
	}
	most := 0.5
	train, test, sides := open("{train,val}-0.tar", Options{Most: &most, Label: "cls"}, "image=jpg;png", "text=txt")
	if len(train.Rows) != 3 || test == nil || len(test.Rows) != 1 || strings.Join(train.Classes, " ") != "0 1" {
		t.Fatalf("%d rows train, %v score, classes %q", len(train.Rows), test, train.Classes)
	}
	if name := train.RowName(1); !strings.HasSuffix(name, ": train-0.tar/b") || train.ItemName(1, 0) != "train-0.tar/b.PNG" {
		t.Errorf("row %s, item %s", name, train.ItemName(1, 0))
	}
	s := NewSource(train, sides, 0)
	r, err := s.Scan(context.Background(), ScanOptions{})
	if err != nil || r.Rows != 2 || len(r.Bad) != 1 ||
		!strings.Contains(r.Bad[0].Err.Error(), "train-0.tar/c: jpg;png: the field is empty") {
		t.Fatalf("%+v, %v", r, err)
	}
	if m, err := s.Sample(1, 0); err != nil || m.Image.W != 10 {
		t.Errorf("an image: %v, %v", m.Image.W, err)
	}
	if m, err := s.Sample(0, 1); err != nil || m.Text != "a red thing" {
		t.Errorf("a text: %q, %v", m.Text, err)
	}
	if f := FilesOf(train); f.N != 2 {
		t.Errorf("%d files", f.N)
	} else if _, path := f.At(0); path != "" {
		t.Errorf("a file of its own: %s", path)
	}

	train, _, sides = open("val-0.tar", Options{}, "waveform=wav", "numeric=json.n")
	s = NewSource(train, sides, 0)
	if r, err := s.Scan(context.Background(), ScanOptions{}); err != nil || r.Rows != 1 {
		t.Fatalf("sound and numbers: %+v, %v", r, err)
	}
	if m, err := s.Sample(0, 0); err != nil || len(m.Values) != 100 {
		t.Errorf("a sound: %d, %v", len(m.Values), err)
	}
	if m, err := s.Sample(0, 1); err != nil || m.Values[0] != 9 {
		t.Errorf("a number: %v, %v", m.Values, err)
	}
	for spec, want := range map[string]string{
		"train-0.tar image=png text=caption": "no sample has a file of the ending caption",
		"train-0.tar image=png series=csv":   "not read out of shards",
		"gone-0.tar image=png text=txt":      "there is no such file",
		"t-{0..1}.tar image=png text=txt":    "2 of the 2 files",
	} {
		words := strings.Fields(spec)
		a, _ := ParseSide(words[1])
		b, _ := ParseSide(words[2])
		_, _, err := Open(filepath.Join(dir, words[0]), []Side{a, b}, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", spec, err, want)
		}
	}
	named, err := Names(filepath.Join(dir, "train-*.tar"), func(p string) bool { return filepath.Base(p) == "train-0.tar" })
	if err != nil || !named {
		t.Errorf("the shard is not named: %v", err)
	}
}
