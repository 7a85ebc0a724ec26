package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/imagefile"
	"vicreg/internal/pack"
)

// packed writes a file of ten images that train, of two classes unless none,
// and some that score; the first image's pixel is value.
func packed(t *testing.T, name string, classes []string, test int, value uint8) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	w, err := pack.Create(path, "photos", classes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 + test {
		label := -1
		if classes != nil {
			label = i % 2
		}
		m := imagefile.Image{W: 1, H: 1, C: 1, Pix: []uint8{value + uint8(i)}}
		if err := w.Add(pack.Item{Name: fmt.Sprint(i), Label: label, Image: m}, i >= 10); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenPacked(t *testing.T) {
	classes := []string{"cat", "dog"}
	for _, c := range []struct {
		name        string
		classes     []string
		tests       int
		options     Options
		train, test int // -1: none
		labels      bool
	}{
		{"a.pack", classes, 4, Options{Holdout: 0.2}, 10, 4, true},
		{"b", classes, 0, Options{Holdout: 0.2}, 8, 2, true},
		{"c.pack", classes, 0, Options{}, 10, -1, true},
		{"d.pack", classes, 4, Options{Labels: "none", Holdout: 0.2}, 10, -1, false},
		{"e.pack", nil, 0, Options{Holdout: 0.2}, 10, -1, false},
	} {
		train, test, err := Open(packed(t, c.name, c.classes, c.tests, 3), c.options)
		if err != nil {
			t.Fatal(err)
		}
		got := -1
		if test != nil {
			got = len(test.Items)
		}
		if len(train.Items) != c.train || got != c.test || (train.Classes != nil) != c.labels || train.Channels != 1 ||
			train.Name != "photos" {
			t.Errorf("%s: %d train, %d score, classes %v, %d channels, %q", c.name, len(train.Items), got, train.Classes, train.Channels, train.Name)
		}
		i := train.Items[0]
		if m, err := i.Read(imagefile.Limits{}); err != nil || i.Name != "0" || (i.Label >= 0) != c.labels ||
			m.Pix[0] != 3 || i.Held() {
			t.Errorf("%s: %+v, %v", c.name, i, err)
		}
	}

	open := func(path string) string {
		d, _, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Fingerprint()
	}
	one := packed(t, "a.pack", classes, 0, 3)
	if a, b, c := open(one), open(one), open(packed(t, "a.pack", classes, 0, 4)); a != b || a == c {
		t.Errorf("fingerprints %s, %s, with other pixels %s", a, b, c)
	}
}

func TestOpenPackedErrors(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{"a.pack": "not a packed data set", "VICREGPK": "cut short"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(name+" and no more"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
