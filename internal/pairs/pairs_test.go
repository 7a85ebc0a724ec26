package pairs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/npy"
)

// write puts files into a folder: text by name.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// writeArray writes an .npy file of n × d.
func writeArray(t testing.TB, path string, n, d int, value func(i, j int) float32) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := npy.NewWriter(f, n, d)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		for j := range d {
			if err := w.Write([]float32{value(i, j)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func sides(t testing.TB, specs ...string) []Side {
	t.Helper()
	var list []Side
	for _, spec := range specs {
		s, err := ParseSide(spec)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

func TestParseSide(t *testing.T) {
	for spec, want := range map[string]string{
		"image=photo":             "image [photo] ",
		" numeric = temp, load ":  "numeric [temp load] ",
		"embedding=vectors.npy":   "embedding [] vectors.npy",
		"embedding=path":          "embedding [path] ",
		"text=caption = in words": "text [caption = in words] ",
	} {
		s, err := ParseSide(spec)
		if got := fmt.Sprintf("%s %v %s", s.Type, s.Columns, s.File); err != nil || got != want {
			t.Errorf("%q: %s, %v", spec, got, err)
		}
		if again, err := ParseSide(s.String()); err != nil || again.String() != s.String() {
			t.Errorf("%q is written %q: %v", spec, s.String(), err)
		}
	}
	for spec, want := range map[string]string{
		"photo":            `"photo" must be type=column, as image=photo or numeric=temp,load; the types are image, waveform,`,
		"=photo":           "must be type=column",
		"picture=photo":    `unknown type "picture"; the types are image, waveform, spectrogram, series, numeric, text, embedding`,
		"image=":           "image: column 1 has no name",
		"numeric=a,,b":     "numeric: column 2 has no name",
		"numeric=a,b,a":    `numeric: column "a" is named twice`,
		"text=title,body":  "text is one column, but 2 are named (title, body); only numeric takes several",
		"embedding=a,b":    "embedding is one column",
		"waveform=a,b.npy": "waveform is one column",
	} {
		if _, err := ParseSide(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

func TestSideCheck(t *testing.T) {
	for want, s := range map[string]Side{
		"text: size is 32, but it belongs to image":                                                      {Type: "text", Columns: []string{"a"}, Size: 32},
		"image: size is 4, but must be at least 8":                                                       {Type: "image", Columns: []string{"a"}, Size: 4},
		"image: channels is 17, but must be 1 (grey), 3 (colour), another":                               {Type: "image", Columns: []string{"a"}, Channels: 17},
		`image: values is "no", but must be raw`:                                                         {Type: "image", Columns: []string{"a"}, Values: "no"},
		`text: values is "raw", but it belongs to image`:                                                 {Type: "text", Columns: []string{"a"}, Values: "raw"},
		"waveform: rate is 8, but must be at least 1000":                                                 {Type: "waveform", Columns: []string{"a"}, Rate: 8},
		"series: mean is of 1 and std of 0; give as many of both, or neither":                            {Type: "series", Columns: []string{"a"}, Mean: []float64{1}},
		"numeric: mean and std are of 1, but 2 are needed, one for each column; give as many or neither": {Type: "numeric", Columns: []string{"a", "b"}, Mean: []float64{1}, Std: []float64{1}},
		"numeric: a standard deviation is 0, but must be above 0":                                        {Type: "numeric", Columns: []string{"a"}, Mean: []float64{1}, Std: []float64{0}},
		`numeric: incomplete names "c", which is not among its columns`:                                  {Type: "numeric", Columns: []string{"a", "b"}, Incomplete: []string{"c"}},
		"embedding: give a column or a file, not both":                                                   {Type: "embedding", Columns: []string{"a"}, File: "a.npy"},
		"text: a file of rows is for embeddings; name the column":                                        {Type: "text", File: "a.npy"},
		"image: no column is named":                                                                      {Type: "image"},
		"series: length is -1, but must be at least 1":                                                   {Type: "series", Columns: []string{"a"}, Length: -1},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func rowNumbers(d *Data) []int {
	if d == nil {
		return nil
	}
	var out []int
	for _, r := range d.Rows {
		out = append(out, r.Line)
	}
	return out
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	csv := "photo,caption,kind,part\n"
	for i := range 12 {
		csv += fmt.Sprintf("p/%d.png,text %d,%s,%s\n", i/2, i, []string{"dog", "cat", "NA"}[i%3], []string{"train", "Train", "VAL", "test"}[i%4])
	}
	write(t, dir, map[string]string{"pairs.csv": csv})
	path := filepath.Join(dir, "pairs.csv")
	ab := sides(t, "image=photo", "text=caption")

	all, test, err := Open(path, ab, Options{Label: "kind"})
	if err != nil || test != nil || len(all.Rows) != 12 || all.Name != "pairs" ||
		!slices.Equal(all.Classes, []string{"NA", "cat", "dog"}) {
		t.Fatalf("%+v %+v %v", all, test, err)
	}
	if got := all.Labels(); !slices.Equal(got[:4], []int{2, 1, 0, 2}) {
		t.Errorf("labels %v", got)
	}
	if got := all.Items(0); !slices.Equal(got, []int{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}) {
		t.Errorf("items %v", got)
	}
	if got := all.Items(1); got[11] != 11 {
		t.Errorf("items %v", got)
	}
	if all.RowName(3) != "pairs.csv: row 5" || all.ItemName(3, 0) != "p/1.png" || all.ItemName(3, 1) != "row 5" {
		t.Errorf("%s, %s, %s", all.RowName(3), all.ItemName(3, 0), all.ItemName(3, 1))
	}

	train, test, err := Open(path, ab, Options{Split: "part"})
	if err != nil || !slices.Equal(rowNumbers(train), []int{2, 3, 6, 7, 10, 11}) ||
		!slices.Equal(rowNumbers(test), []int{5, 9, 13}) {
		t.Errorf("%v %v %v", rowNumbers(train), rowNumbers(test), err)
	}
	if want := "6 rows of pairs.csv to train on, 3 (test) to score on; 3 (val) are left out"; train.About != want {
		t.Error(train.About)
	}

	// Both captions of an image go together.
	train, test, err = Open(path, ab, Options{Holdout: 0.34})
	if err != nil || !slices.Equal(rowNumbers(test), []int{6, 7, 12, 13}) || len(train.Rows) != 8 {
		t.Errorf("%v %v %v", rowNumbers(train), rowNumbers(test), err)
	}
	train, _, _ = Open(path, ab, Options{Holdout: 0.34, Limit: 4})
	if !slices.Equal(rowNumbers(train), []int{2, 4, 8, 10}) {
		t.Errorf("%v", rowNumbers(train))
	}
	// Without files to share, every class gives its part.
	train, test, err = Open(path, sides(t, "text=caption"), Options{Holdout: 0.25, Label: "kind"})
	if err != nil || !slices.Equal(rowNumbers(test), []int{11, 12, 13}) {
		t.Errorf("%v %v", rowNumbers(test), err)
	}

	fingerprint := train.Fingerprint()
	again, _, _ := Open(path, sides(t, "text=caption"), Options{Holdout: 0.25, Label: "kind"})
	other, _, _ := Open(path, sides(t, "text=caption"), Options{Holdout: 0.25, Label: "part"})
	if again.Fingerprint() != fingerprint || other.Fingerprint() == fingerprint || !strings.HasPrefix(fingerprint, "9-") {
		t.Errorf("%s %s %s", fingerprint, again.Fingerprint(), other.Fingerprint())
	}
	again.Remove([]string{"pairs.csv: row 3", "pairs.csv: row 4"})
	if !slices.Equal(rowNumbers(again), []int{2, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("%v", rowNumbers(again))
	}
}

// Items are the same whichever way the manifest writes them.
func TestItems(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"pairs.csv": "photo,caption,x,y\n1.png,a,1.5,-0\n" + dir + "/1.png,a ,1.50,0\n" +
		"./1.png, a,15e-1,0.0\n2.png,b,1.5,\nq/../2.png,b,1.5,NA\n"})
	writeArray(t, filepath.Join(dir, "all.npy"), 5, 2, func(i, _ int) float32 { return float32(i / 3) })
	list := sides(t, "image=photo", "text=caption", "numeric=x,y", "embedding=all.npy")
	d, _, err := Open(filepath.Join(dir, "pairs.csv"), list, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for k := range list {
		if got := d.Items(k); !slices.Equal(got, []int{0, 0, 0, 1, 1}) {
			t.Errorf("%s: %v", &list[k], got)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"pairs.csv": "photo,caption,part,,none\n1.png,a,train,,\n2.png,b,tset,,\n"})
	writeArray(t, filepath.Join(dir, "three.npy"), 3, 2, func(i, j int) float32 { return 0 })
	path := filepath.Join(dir, "pairs.csv")
	for _, c := range []struct {
		side string
		o    Options
		want string
	}{
		{"image=foto", Options{}, `image=foto: pairs.csv: there is no column "foto"; its columns are photo, caption, part, none`},
		{"text=caption", Options{Label: "kind"}, `label: pairs.csv: there is no column "kind"; its columns are`},
		{"text=caption", Options{Label: "none"}, `label: pairs.csv: column "none" is empty in every row`},
		{"text=caption", Options{Split: "what"}, `split: pairs.csv: there is no column "what"`},
		{"text=caption", Options{Split: "part"}, `pairs.csv: row 3: part is "tset", but must be train, test or val`},
		{"text=caption", Options{Holdout: 1}, "holdout 1: must be a share from 0 to below 1"},
		{"embedding=three.npy", Options{}, "three.npy has 3 rows, but pairs.csv has 2 below its header"},
		{"embedding=four.npy", Options{}, "four.npy: there is no such file"},
	} {
		if _, _, err := Open(path, sides(t, c.side), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v\nwant %s", c.side, c.o, err, c.want)
		}
	}
}
