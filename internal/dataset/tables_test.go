package dataset

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	writer "github.com/parquet-go/parquet-go"

	"vicreg/internal/imagefile"
)

type tableRow struct {
	Image struct {
		Bytes []byte `parquet:"bytes,optional"`
		Path  string `parquet:"path,optional"`
	} `parquet:"image"`
	Label int64  `parquet:"label"`
	Kind  string `parquet:"kind"`
}

// tableOf writes a table of small images with some labels.
func tableOf(t testing.TB, path string, labels ...int64) {
	t.Helper()
	var rows []tableRow
	for i, label := range labels {
		r := tableRow{Label: label, Kind: []string{"x", "y"}[i%2]}
		r.Image.Bytes = []byte(smallPNG(t, uint8(i)))
		rows = append(rows, r)
	}
	var b bytes.Buffer
	w := writer.NewGenericWriter[tableRow](&b, writer.KeyValueMetadata("huggingface",
		`{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}`))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestTables(t *testing.T) {
	dir := t.TempDir()
	tableOf(t, filepath.Join(dir, "data", "train-0.parquet"), 1, 0)
	tableOf(t, filepath.Join(dir, "data", "train-1.parquet"), 0)
	tableOf(t, filepath.Join(dir, "data", "validation-0.parquet"), 1, -1)
	for _, c := range []struct {
		spec        string
		options     Options
		train, test string
	}{
		{"data/train-*.parquet", Options{}, "train-0.parquet[0]=dog train-0.parquet[1]=cat train-1.parquet[0]=cat", "none"},
		{"", Options{}, "train-0.parquet[0]=dog train-0.parquet[1]=cat train-1.parquet[0]=cat", "validation-0.parquet[0]=dog"},
		{"data/train-{0..1}.parquet", Options{Labels: "@kind"}, "train-0.parquet[0]=x train-0.parquet[1]=y train-1.parquet[0]=x", "none"},
		{"data/train-0.parquet", Options{Labels: "none"}, "train-0.parquet[0] train-0.parquet[1]", "none"},
	} {
		train, test, err := Open(filepath.Join(dir, c.spec), c.options)
		if err != nil {
			t.Errorf("%s: %v", c.spec, err)
			continue
		}
		if got := list(train); got != c.train {
			t.Errorf("%s: train: %s\nwant:  %s", c.spec, got, c.train)
		}
		if got := list(test); got != c.test {
			t.Errorf("%s: test: %s\nwant: %s", c.spec, got, c.test)
		}
		if runs, _ := train.Runs(); runs != nil || !train.Items[0].Dear() {
			t.Errorf("%s: all fit, but there are runs %v", c.spec, runs)
		}
		for i := range train.Items {
			if m, err := train.Items[i].Read(imagefile.Limits{}); err != nil || m.W != 3 {
				t.Errorf("%s: %v, %v", train.Items[i].Name, m, err)
			}
		}
	}
	tarOf(t, filepath.Join(dir, "a.tar"), "a.jpg")
	os.WriteFile(filepath.Join(dir, "bad.parquet"), []byte("text and no table"), 0o666)
	for spec, want := range map[string]string{
		"data/train-0.parquet|folders": "rows of tables lie in no folders",
		"data/train-0.parquet|@nobody": "there is no column nobody",
		"data/train-{0..3}.parquet|":   "2 of the 4 files",
		"{a.tar,bad.parquet}|":         "are of two kinds",
		"bad.parquet|":                 "this is no Parquet file",
	} {
		name, labels, _ := strings.Cut(spec, "|")
		_, _, err := Open(filepath.Join(dir, name), Options{Labels: labels})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", spec, err, want)
		}
	}
}

// Whoever watches large data being listed may end it.
func TestWatchEndsOpen(t *testing.T) {
	keepIn(t)
	dir := t.TempDir()
	tableOf(t, filepath.Join(dir, "t.parquet"), 1, 0)
	tarOf(t, filepath.Join(dir, "a.tar"), "a.jpg")
	if err := os.WriteFile(filepath.Join(dir, "1.png"), []byte(smallPNG(t, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for _, spec := range []string{dir, filepath.Join(dir, "a.tar"), filepath.Join(dir, "t.parquet")} {
		said := ""
		_, _, err := Open(spec, Options{Watch: func(what string, done, total int) error {
			said = what
			return enough
		}})
		if !errors.Is(err, enough) || !strings.HasPrefix(said, "listing") {
			t.Errorf("%s: %v after %q", spec, err, said)
		}
	}
}
