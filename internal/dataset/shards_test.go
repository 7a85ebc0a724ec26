package dataset

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/imagefile"
)

// tarOf writes a tar of files "name=content"; without a content it is a small PNG.
func tarOf(t testing.TB, path string, files ...string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, f := range files {
		name, text, ok := strings.Cut(f, "=")
		if !ok {
			text = smallPNG(t, uint8(i))
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	w.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func smallPNG(t testing.TB, grey uint8) string {
	m := image.NewGray(image.Rect(0, 0, 3, 2))
	m.SetGray(0, 0, color.Gray{grey})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// keepIn puts what programs keep for the user into a folder of the test's.
func keepIn(t testing.TB) string {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv("LocalAppData", dir)
	return dir
}

func TestShards(t *testing.T) {
	keepIn(t)
	for _, c := range []struct {
		name        string
		shards      map[string][]string
		spec        string // below the folder; empty: the folder
		options     Options
		train, test string
		notes       []string // parts of them
	}{
		{"numbers are classes, in their order", map[string][]string{
			"t-0.tar": {"a.jpg", "a.cls=10", "b.jpg", "b.cls=9\n"}, "t-1.tar": {"c.png", "c.cls=10"}},
			"t-{0..1}.tar", Options{}, "t-0.tar/a.jpg=10 t-0.tar/b.jpg=9 t-1.tar/c.png=10", "none", nil},
		{"a folder of parts", map[string][]string{
			"train-0.tar": {"a.jpg", "a.cls=0"}, "val-0.tar": {"b.jpg", "b.cls=0"}, "test-0.tar": {"c.jpg", "c.cls=0"},
			"more-0.tar": {"d.jpg"}},
			"", Options{}, "train-0.tar/a.jpg=0", "test-0.tar/c.jpg=0",
			[]string{"1 file is not used, as test-0.tar and the like score: val-0.tar", "neither of what trains nor of what scores: more-0.tar"}},
		{"parts in folders", map[string][]string{"train/0.tar": {"a.jpg", "a.cls=1"},
			"val/0.tar": {"b.jpg", "b.cls=1"}},
			"", Options{}, "train/0.tar/a.jpg=1", "val/0.tar/b.jpg=1", nil},
		{"one shard of folders", map[string][]string{"x.tar": {"cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"}},
			"x.tar", Options{Holdout: 0.2}, "x.tar/cat/1.jpg=cat x.tar/dog/1.jpg=dog", "x.tar/cat/2.jpg=cat x.tar/dog/2.jpg=dog", nil},
		{"leaf", map[string][]string{"x.tar": {"a/cat/1.jpg", "b/cat/2.jpg", "3.jpg"}}, "x.tar", Options{Labels: "leaf"},
			"x.tar/a/cat/1.jpg=cat x.tar/b/cat/2.jpg=cat x.tar/3.jpg", "none", nil},
		{"no labels wanted", map[string][]string{"x.tar": {"a.jpg", "a.cls=1"}}, "x.tar", Options{Labels: "none"},
			"x.tar/a.jpg", "none", nil},
		{"a key of JSON is guessed", map[string][]string{
			"x.tar": {"a.jpg", `a.json={"label": "cat", "n": 1}`, "b.jpg", `b.json={"label": "dog"}`}},
			"x.tar", Options{}, "x.tar/a.jpg=cat x.tar/b.jpg=dog", "none", nil},
		{"a key within", map[string][]string{"x.tar": {"a.jpg", `a.json={"meta": {"n": 7}}`, "b.jpg", `b.json={}`}},
			"x.tar", Options{Labels: "@json.meta.n"}, "x.tar/a.jpg=7 x.tar/b.jpg", "none", []string{"1 image has no label, first x.tar/b.jpg"}},
		{"text", map[string][]string{"x.tar": {"a.jpg", "a.txt= two words \n"}}, "x.tar", Options{Labels: "@txt"},
			"x.tar/a.jpg=two words", "none", nil},
		{"text is no class unless it is named", map[string][]string{"x.tar": {"a.jpg", "a.txt=words"}}, "x.tar", Options{},
			"x.tar/a.jpg", "none", nil},
		{"a pattern of names", map[string][]string{"x.tar": {"n1_a.jpg", "n2_b.jpg"}}, "x.tar", Options{Labels: "{label}_*.jpg"},
			"x.tar/n1_a.jpg=n1 x.tar/n2_b.jpg=n2", "none", nil},
		{"without an image, and with several", map[string][]string{"x.tar": {"a.txt=x", "b.left.png", "b.right.png", "c.mask.png", "c.jpg"}},
			"x.tar", Options{}, "x.tar/b.left.png x.tar/c.jpg", "none",
			[]string{"1 sample has no image and is left out, first x.tar/a", "2 samples have several images, of which one is taken, as x.tar/b.left.png"}},
		{"a list", map[string][]string{"b.tar": {"1.jpg"}, "a.tar": {"2.jpg"}}, "b.tar::DIR/a.tar", Options{}, "b.tar/1.jpg a.tar/2.jpg", "none", nil},
		{"stars", map[string][]string{"b.tar": {"1.jpg"}, "a.tar": {"2.jpg"}}, "*.tar", Options{}, "a.tar/2.jpg b.tar/1.jpg", "none", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, files := range c.shards {
				tarOf(t, filepath.Join(dir, filepath.FromSlash(name)), files...)
			}
			spec := strings.ReplaceAll(dir+"/"+c.spec, "DIR", dir)
			train, test, err := Open(spec, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := list(train); got != c.train {
				t.Errorf("train: %s\nwant:  %s", got, c.train)
			}
			if got := list(test); got != c.test {
				t.Errorf("test: %s\nwant: %s", got, c.test)
			}
			notes := strings.Join(train.Notes, "; ")
			for _, want := range c.notes {
				if !strings.Contains(notes, want) {
					t.Errorf("notes %s, want %s", notes, want)
				}
			}
			for i := range train.Items {
				item := &train.Items[i]
				m, err := item.Read(imagefile.Limits{})
				if err != nil || m.W != 3 || m.H != 2 || item.Held() || !item.Encoded() {
					t.Errorf("%s: %v, %v", item.Name, m, err)
				}
				if w, h, err := item.Stat(imagefile.Limits{}); err != nil || w != 3 || h != 2 || item.Large() {
					t.Errorf("%s: %d × %d, %v", item.Name, w, h, err)
				}
			}
			again, _, err := Open(spec, c.options)
			if err != nil || again.Fingerprint() != train.Fingerprint() ||
				strings.Contains(strings.Join(again.Notes, " "), "listed") {
				t.Errorf("again: %v, notes %q", err, again.Notes)
			}
			if !Own(spec) {
				t.Errorf("%s is not the user's own", spec)
			}
			if all, err := OpenAll(spec, Options{Labels: "none"}); err != nil || len(all.Items) < len(train.Items) {
				t.Errorf("all: %v, %v", all, err)
			}
		})
	}
}

func TestShardErrors(t *testing.T) {
	keepIn(t)
	dir := t.TempDir()
	tarOf(t, filepath.Join(dir, "a-0.tar"), "a.jpg", "b.txt=x")
	tarOf(t, filepath.Join(dir, "text.tar"), "b.txt=x")
	tarOf(t, filepath.Join(dir, "bad.tar"), "a.jpg", "a.json=[1]", "b.jpg", "b.json=")
	tarOf(t, filepath.Join(dir, "above.tar"), "../a.jpg")
	os.WriteFile(filepath.Join(dir, "z.tar.gz"), []byte("\x1f\x8b"), 0o666)
	os.WriteFile(filepath.Join(dir, "z.txt"), []byte("x"), 0o666)
	os.Mkdir(filepath.Join(dir, "flat"), 0o777)
	os.WriteFile(filepath.Join(dir, "flat", "1.png"), []byte(smallPNG(t, 1)), 0o666)
	for _, c := range []struct {
		spec, labels, want string
	}{
		{"a-{0..2}.tar", "", "2 of the 3 files that"},
		{"a-{0..2", "", "not closed"},
		{"*.nothing", "", "no file has such a name"},
		{"{a-0.tar,z.txt}", "", "z.txt: a pattern stands for shards (.tar) or tables"},
		{"text.tar", "", "no sample in 1 shard holds"},
		{"z.tar.gz", "", "compressed by gzip"},
		{"above.tar", "", "outside the folder"},
		{"bad.tar", "@json.label", "a.json: this is no JSON object"},
		{"a-0.tar", "@json", "name the value"},
		{"a-0.tar", "@", "name the field"},
		{"a-0.tar", "@cls", "no sample has one"},
		{"a-0.tar", "folders", "lies in no folder of its shard"},
		{"flat", "@cls", "have no fields"},
	} {
		_, _, err := Open(filepath.Join(dir, c.spec), Options{Labels: c.labels})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, labels %q: %v; want %q", c.spec, c.labels, err, c.want)
		}
	}
	if files := PatternFiles(filepath.Join(dir, "a-{0..1}.tar")); len(files) != 2 {
		t.Errorf("a pattern stands for %q", files)
	}
	if files := PatternFiles(dir); files != nil {
		t.Errorf("a folder stands for %q", files)
	}
}

// A run goes on only with the data that it began with: other sizes of files are other data.
func TestFingerprintOfShards(t *testing.T) {
	keepIn(t)
	path := filepath.Join(t.TempDir(), "x.tar")
	tarOf(t, path, "a.jpg", "b.jpg")
	open := func() string {
		t.Helper()
		d, err := OpenAll(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d.Fingerprint()
	}
	first := open()
	tarOf(t, path, "a.jpg", fmt.Sprintf("b.jpg=%s ", smallPNG(t, 1)))
	later := time.Now().Add(time.Second)
	os.Chtimes(path, later, later)
	if open() == first {
		t.Error("another image makes no other data")
	}
}

// An array is a sample's image where there is no picture beside it.
func TestShardArrays(t *testing.T) {
	keepIn(t)
	head := "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 3, 2), }\n"
	array := "\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), 0}) + head + strings.Repeat("x", 24)
	path := filepath.Join(t.TempDir(), "a.tar")
	tarOf(t, path, "one.npy="+array, "one.cls=0", "two.npy="+array, "two.png", "two.cls=1")
	d, _, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var channels []int
	for _, item := range d.Items {
		m, err := item.Read(imagefile.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		channels = append(channels, m.C)
	}
	if fmt.Sprint(channels) != "[2 1]" {
		t.Errorf("%v channels", channels)
	}
}
