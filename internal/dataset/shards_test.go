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
			[]string{"1 sample has no image and is left out, first x.tar/a", "(files of it: 1 .txt)", "2 samples have several images", "of each one is taken, such as x.tar/b.left.png, and 2 images are left out"}},
		{"dots in names", map[string][]string{"x.tar": {"s.0.png", "s.1.png", "s.2.png"}}, "x.tar", Options{}, "x.tar/s.0.png", "none",
			[]string{"1 sample has several images", "and 2 images are left out"}},
		{"parts within a shard", map[string][]string{"x.tar": {"train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg",
			"test/cat/3.jpg", "test/dog/3.jpg", "val/cat/4.jpg"}}, "x.tar", Options{},
			"x.tar/train/cat/1.jpg=cat x.tar/train/cat/2.jpg=cat x.tar/train/dog/1.jpg=dog x.tar/train/dog/2.jpg=dog",
			"x.tar/test/cat/3.jpg=cat x.tar/test/dog/3.jpg=dog", []string{"val/ in the shards (1 image) is not used: as test/ scores"}},
		{"parts within a folder of a shard, named", map[string][]string{"x.tar": {"d/train/cat/1.jpg", "d/train/dog/2.jpg", "d/test/cat/3.jpg"}},
			"x.tar", Options{Labels: "folders"}, "x.tar/d/train/cat/1.jpg=cat x.tar/d/train/dog/2.jpg=dog", "x.tar/d/test/cat/3.jpg=cat", nil},
		{"parts within shards of parts", map[string][]string{"train.tar": {"train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg"},
			"val.tar": {"val/cat/3.jpg", "val/dog/3.jpg"}}, "", Options{},
			"train.tar/train/cat/1.jpg=cat train.tar/train/cat/2.jpg=cat train.tar/train/dog/1.jpg=dog train.tar/train/dog/2.jpg=dog",
			"val.tar/val/cat/3.jpg=cat val.tar/val/dog/3.jpg=dog", nil},
		{"parts within a shard, with fields", map[string][]string{"x.tar": {"train/1.jpg", "train/1.cls=3", "test/1.jpg", "test/1.cls=3", "2.jpg"}},
			"x.tar", Options{}, "x.tar/train/1.jpg=3", "x.tar/test/1.jpg=3", []string{"what lies in no folder in the shards (1 image) is not used"}},
		{"folders of systems", map[string][]string{"x.tar": {"cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg", "cat/@eaDir/1.jpg/S.png", ".t/3.jpg"}},
			"x.tar", Options{}, "x.tar/cat/1.jpg=cat x.tar/cat/2.jpg=cat x.tar/dog/1.jpg=dog x.tar/dog/2.jpg=dog", "none",
			[]string{"2 files in the shards are not read, as they lie in hidden folders"}},
		{"the first sample has no class", map[string][]string{"x.tar": {"a.jpg", "b.jpg", "b.cls=1", "c.jpg", "c.cls=\ufeff1"}}, "x.tar", Options{},
			"x.tar/a.jpg x.tar/b.jpg=1 x.tar/c.jpg=1", "none", []string{"1 image has no label, first x.tar/a.jpg"}},
		{"the first JSON tells no class", map[string][]string{"x.tar": {"a.jpg", "a.json={}", "b.jpg", "b.json=\ufeff{\"label\": \"cat\"}"}}, "x.tar",
			Options{}, "x.tar/a.jpg x.tar/b.jpg=cat", "none", []string{"1 image has no label, first x.tar/a.jpg"}},
		{"classes that look alike", map[string][]string{"x.tar": {"a.jpg", "a.cls=1", "b.jpg", "b.cls=01"}}, "x.tar", Options{},
			"x.tar/a.jpg=1 x.tar/b.jpg=01", "none", []string{`the classes: "01" (1), "1" (1) are different classes`}},
		{"JSON that tells no class", map[string][]string{"x.tar": {"a.jpg", `a.json={"width": 3}`}}, "x.tar", Options{}, "x.tar/a.jpg", "none",
			[]string{"--labels @json.KEY names another key"}},
		{"other files beside shards", map[string][]string{"a.tar": {"1.jpg"}, "x/y/b.tar": {"2.jpg"}, "notes.md": {}, "c.tar.gz": {"3.jpg"}}, "",
			Options{}, "a.tar/1.jpg x/y/b.tar/2.jpg", "none", []string{"1 other file not read: 1 .md", "1 compressed shard is not read"}},

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

// Shards and tables beside each other, shards that are not there and compressed ones are no guesses.
func TestFolderOfShardsErrors(t *testing.T) {
	keepIn(t)
	dir := t.TempDir()
	tarOf(t, filepath.Join(dir, "a.tar"), "1.jpg")
	try := func(name string, want ...string) {
		t.Helper()
		_, _, err := Open(dir, Options{})
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", name, err, w)
			}
		}
	}
	table := filepath.Join(dir, "deep", "er", "b.parquet")
	tarOf(t, table, "1.jpg")
	try("two kinds", "a.tar", "b.parquet", "are of two kinds; give a pattern of one, such as "+dir+"/*.tar")
	os.Remove(table)
	if err := os.Symlink("nowhere", filepath.Join(dir, "c.tar")); err != nil {
		t.Skip(err)
	}
	try("a link that leads nowhere", "1 link of a file of many images leads nowhere, so it is not there: c.tar")
	os.Remove(filepath.Join(dir, "c.tar"))
	if err := os.Rename(filepath.Join(dir, "a.tar"), filepath.Join(dir, "a.tar.gz")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.tar.gz"), []byte("\x1f\x8b\x08\x00"), 0o666); err != nil {
		t.Fatal(err)
	}
	try("a compressed shard alone", "a.tar.gz", "gzip")
}

// A folder that is called as the built-in images are.
func TestFolderCalledSample(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("sample", 0o777); err != nil {
		t.Fatal(err)
	}
	train, _, err := Open("sample", Options{})
	if err != nil || !strings.Contains(strings.Join(train.Notes, "; "), "these are the built-in images; ./sample names what lies here") {
		t.Errorf("%v, %v", err, train.Notes)
	}
	if train, _, err = Open("", Options{}); err != nil || len(train.Notes) > 0 {
		t.Errorf("%v, %v", err, train.Notes)
	}
}
