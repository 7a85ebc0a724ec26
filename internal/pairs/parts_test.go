package pairs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
)

// notesOf opens a manifest and returns what is said of it.
func notesOf(t testing.TB, text string, o Options, specs ...string) []string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{"m.csv": text})
	d, _, err := Open(filepath.Join(dir, "m.csv"), sides(t, specs...), o)
	if err != nil {
		t.Fatal(err)
	}
	return d.Notes
}

// A file that is both trained and scored on is told, whichever way it is named.
func TestFileInBothParts(t *testing.T) {
	const want = "m.csv: 2 rows to score on are of a file that is trained on, too, the first row 4 (as row 2); scores come out too high"
	rows := "a,t,p\n1.png,x,train\n2.png,y,train\n./1.png,x,test\n3.png,y,test\ns/../2.png,z,test\nNA,z,test\nNA,z,train\n"
	if got := notesOf(t, rows, Options{Split: "p"}, "image=a", "text=t"); !slices.Equal(got, []string{want}) {
		t.Errorf("%q", got)
	}
	if got := notesOf(t, rows, Options{Split: "p"}, "text=t"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// Numbers of 64 bits that are alike in 32 are told.
func TestCoarseArrays(t *testing.T) {
	dir := t.TempDir()
	rows := "s,e\n"
	far := func(i, j int) float64 { return []float64{1e9, 0, 3e9}[j] + float64(i*i%7) }
	for i := range 12 {
		check.Doubles(t, filepath.Join(dir, fmt.Sprintf("s%d.npy", i)), 30, 2, func(k, j int) float64 {
			return float64(k*k%11) + float64(1-j)*(1.7e9+float64(k)/50)
		})
		check.Doubles(t, filepath.Join(dir, fmt.Sprintf("e%d.npy", i)), 1, 3, func(_, j int) float64 { return far(i, j) })
		rows += fmt.Sprintf("s%d.npy,e%[1]d.npy\n", i)
	}
	check.Doubles(t, filepath.Join(dir, "all.npy"), 12, 3, far)
	write(t, dir, map[string]string{"m.csv": rows})
	const lost = "2 of its 3 numbers differ between rows by hardly more than the 32 bits they are computed with tell; take off what they have in common"
	for spec, want := range map[string]string{
		"series=s":          "series=s: 12 of 12 rows have values that differ and are the same in the 32 bits they are computed with: 12 column 1; take off what they have in common, or multiply what is very small",
		"embedding=e":       "embedding=e: " + lost,
		"embedding=all.npy": "embedding=all.npy: " + lost,
	} {
		d, _, err := Open(filepath.Join(dir, "m.csv"), sides(t, spec), Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewSource(d, sides(t, spec), 0).Scan(context.Background(), ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Concat(d.Notes, r.Notes); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q", spec, got)
		}
	}
}

func TestNotes(t *testing.T) {
	for _, c := range []struct {
		text string
		o    Options
		want []string
	}{
		{"a,k\nx,cat\ny,\nz,dog\nw, \n", Options{Label: "k"}, []string{"m.csv: 2 rows have no k, and are never scored, the first in row 3"}},
		{"a,k\nx,NA\ny,null\nz,dog\nw,NA\n", Options{Label: "k"}, []string{`m.csv: column k: "NA" (2), "null" (1) taken as a class; leave the cell empty where there is no label`}},
		{"a,k\nx,Cat\ny,cat\nz,dog\nw,c at\nv,1\nu,1.0\n", Options{Label: "k"}, []string{`m.csv: column k: "1" (1), "1.0" (1) are different classes, though they differ only in case, spaces or the spelling of a number; and 1 more such`}},
		{"a,k\nx,caf\u00e9\ny,cafe\u0301\nz,dog\n", Options{Label: "k"}, []string{"m.csv: column k: \"cafe\u0301\" (1), \"caf\u00e9\" (1) are different classes, though they differ only in case, spaces or how characters are coded"}},
		{"a,k\nx,dog\ny,dog\u200b\nz,cat\n", Options{Label: "k"}, []string{`m.csv: column k: "dog" (1), "dog\u200b" (1) are different classes, though they differ only in case, spaces or how characters are coded`}},
		{"a,k\nx,1\n\\N,2\n\\N,2\na,k\n", Options{}, []string{`m.csv: 1 row repeats the header and is left out: row 5`, `m.csv: 2 rows whose a is \N, as databases write where there is no value; it is taken as a text, the first in row 3`}},
		{"a,k\nx,cat\ny,dog,z\nz,cat\n", Options{Label: "k"}, nil}, // a broken row has no class
		{"a,p\nx,train\ny,val\nz,test\nw,val\n", Options{Split: "p"}, []string{"m.csv: 2 rows are of val in column p left out, since there are rows of test to score on"}},
		{"a,p\nx,train\ny,val\n", Options{Split: "p"}, []string{"m.csv: column p has no rows of test; those of val are scored on"}},
		{"a,k,p\nx,cat,train\ny,cat,val\nz,,test\nw,,test\n", Options{Label: "k", Split: "p"}, []string{"m.csv: 2 rows have no k, and are never scored, the first in row 4",
			"m.csv: 2 rows are of test in column p left out, as none has a label; those of val are scored on"}},
		{"a,p\nx,train\ny,val\nz,test\n", Options{Split: "p"}, []string{"m.csv: 1 row is of val in column p left out, since there are rows of test to score on"}},
		{"a,k,p\nx,cat,train\ny,dog,test\nz,emu,train\nw,emu,test\n", Options{Label: "k", Split: "p"}, []string{
			`m.csv: no rows to train on, only to score on, of 1 class: "dog"`, `m.csv: no rows to score on, only to train on, of 1 class: "cat"`}},
		{"a,k\nx,cat\ny,dog\n", Options{Label: "k", Holdout: 0.5}, []string{"m.csv: nothing is held out to score on, since every class has one row only, or rows that share a file"}},
		{"a,k\nx,cat\ny,dog\nz,cat\n", Options{Label: "k", Holdout: 0.5}, []string{`m.csv: no rows to score on, only to train on, of 1 class: "dog"`}},
		{"a,Split\nx,train\ny,test\n", Options{}, []string{"m.csv: column Split is not used; if it says which rows are to train on and which to test, name it by --split"}},
		{"a,split\nx,train\ny,test\n", Options{All: true}, nil},
		{"a,split\nx,train\ny,test\n", Options{Split: "split"}, nil},
		{"a,split\nx,train\ny,test\n", Options{Label: "split"}, nil},
	} {
		if got := notesOf(t, c.text, c.o, "text=a"); !slices.Equal(got, c.want) {
			t.Errorf("%q:\n%s\nwant\n%s", c.text, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

// NA, null and None are words in a text and names of files; only numbers miss a
// value then.
func TestWords(t *testing.T) {
	dir := t.TempDir()
	csv := "f,c,x\n"
	for _, w := range []string{"NA", "null", "None", "nan", "-"} {
		csv += fmt.Sprintf("%s,%[1]s,1\n", w)
		write(t, dir, map[string]string{w: "1\n2\n"})
	}
	write(t, dir, map[string]string{"m.csv": csv})
	s, r := open(t, filepath.Join(dir, "m.csv"), "series=f", "text=c")
	if len(r.Bad) > 0 {
		t.Error(r.Bad)
	}
	for i, want := range []string{"NA", "null", "None", "nan", "-"} {
		if m, err := s.Sample(i, 1); err != nil || m.Text != want {
			t.Errorf("%q, %v", m.Text, err)
		}
	}
}

// One file is one, whichever way its path is written.
func TestSharedFiles(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{"m.csv": "i,c\nx.png,1\n./x.png,2\nlink/x.png,3\n" + dir + "/x.png,4\n" + dir + "//link/./x.png,5\ny.png,6\n" + dir + "/./y.png,7\n"}
	write(t, dir, files)
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	t.Chdir(dir)
	for _, path := range []string{"m.csv", "link/m.csv", filepath.Join(dir, "m.csv"), filepath.Join(dir, "link", "m.csv")} {
		d, _, err := Open(path, sides(t, "image=i", "text=c"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(d.groups()); got != "[[0 1 2 3 4] [5 6]]" {
			t.Errorf("%s: groups %s", path, got)
		}
	}
}

// The tenth that may be bad is one of all rows, wherever the bad ones lie; but no
// part is lost.
func TestBadParts(t *testing.T) {
	dir := t.TempDir()
	manifest := func(bad ...int) string {
		csv := "a,x,p\n"
		for i := range 33 {
			x, part := fmt.Sprint(i), "train"
			if slices.Contains(bad, i) {
				x = "warm"
			}
			if i < 3 {
				part = "test"
			}
			csv += fmt.Sprintf("t%d,%s,%s\n", i, x, part)
		}
		write(t, dir, map[string]string{"m.csv": csv})
		return filepath.Join(dir, "m.csv")
	}
	for _, c := range []struct {
		bad   []int
		want  string
		notes string
	}{
		{[]int{1}, "", "1 of the 3 rows to score on cannot be used"},
		{[]int{1, 10, 11}, "", "1 of the 3 rows to score on cannot be used"},
		{[]int{10, 11, 12}, "", ""},
		{[]int{1, 10, 11, 12}, `4 of 33 rows cannot be read, more than a tenth: m.csv: row 12: x is "warm"`, ""},
		{[]int{10, 11, 12, 13}, `at least 4 of 33 rows cannot be read, more than a tenth: m.csv: row 12: x is "warm"`, ""},
		{[]int{0, 1, 2}, `none of the 3 rows to score on can be read: m.csv: row 2: x is "warm"`, ""},
	} {
		list := sides(t, "text=a", "numeric=x")
		train, test, err := Open(manifest(c.bad...), list, Options{Split: "p"})
		if err != nil {
			t.Fatal(err)
		}
		o := ScanOptions{Parts: NewParts(train, test), Part: "rows to train on"}
		s := NewSource(train, list, 0)
		r, err := s.Scan(context.Background(), o)
		if err == nil {
			o.Part = "rows to score on"
			r, err = NewSource(test, s.Sides(), 0).Scan(context.Background(), o)
		}
		switch {
		case err != nil:
			if c.want == "" || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%v: %v", c.bad, err)
			}
		case c.want != "" || (c.notes != "") != slices.Contains(r.Notes, c.notes):
			t.Errorf("%v: %q", c.bad, r.Notes)
		}
	}
}

// A row that is broken is counted though it belongs to no part.
func TestBrokenRowIsCounted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"m.csv": "a,p\n" + strings.Repeat("x,train\n", 20) + "y, and more,train\n" + strings.Repeat("x,test\n", 5)})
	list := sides(t, "text=a")
	train, test, err := Open(filepath.Join(dir, "m.csv"), list, Options{Split: "p"})
	if err != nil || len(train.Rows) != 21 || len(test.Rows) != 5 {
		t.Fatal(err)
	}
	r, err := NewSource(train, list, 0).Scan(context.Background(), ScanOptions{})
	if err != nil || len(r.Bad) != 1 || r.Bad[0].Err.Error() != "m.csv: row 22: it has 3 fields, but the header has 2" {
		t.Error(r, err)
	}
}
