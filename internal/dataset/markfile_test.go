package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// several6 opens a folder of six images with a file of several labels an image.
func several6(t *testing.T, name, text string) (train, test *Dataset, err error) {
	t.Helper()
	dir := t.TempDir()
	for i := range 6 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Open(dir, Options{Labels: file, Several: true, Holdout: 0.5})
}

func TestSeveralLabels(t *testing.T) {
	const p, a, d, u = Present, Absent, Difficult, Unknown
	for _, c := range []struct {
		what, name, text string
		classes          []string
		marks            map[string][]int8
		train, test      int
		note             string
	}{
		{"a cell of several", "l.csv", "image,labels\n0.png,cat;potted plant\n1.png,dog\n2,\n3.png,dog;cat;dog\n",
			[]string{"cat", "dog", "potted plant"},
			map[string][]int8{"0.png": {p, a, p}, "1.png": {a, p, a}, "3.png": {p, p, a}}, 5, 1, `taken apart at ";"`},
		{"blanks", "l.csv", "image,tags\n0.png,cat sky\n1.png,dog\n", []string{"cat", "dog", "sky"},
			map[string][]int8{"0.png": {p, a, p}, "1.png": {a, p, a}}, 5, 1, "taken apart at blanks"},
		{"quoted commas", "l.csv", "image,label\n0.png,\"cat, sky\"\n1.png,cat\n", []string{"cat", "sky"},
			map[string][]int8{"0.png": {p, p}, "1.png": {p, a}}, 5, 1, `taken apart at ","`},
		{"rows of one image", "l.csv", "image,label\n0.png,cat\n1.png,big dog\n0.png,big dog\n", []string{"big dog", "cat"},
			map[string][]int8{"0.png": {p, p}, "1.png": {p, a}}, 5, 1, ""},
		{"columns", "voc.csv", "image,width,cat,dog,split\n0,300,1,0,train\n1,200,-1,1,train\n2,100,,0,test\n3,7,0,0,test\n",
			[]string{"cat", "dog"}, map[string][]int8{"0.png": {p, a}, "1.png": {d, p}, "2.png": {u, a}, "3.png": {a, a}},
			4, 2, "1 column is not used: width"},
		{"none to test has a label", "l.csv", "image,label,split\n0,cat,train\n1,dog,train\n2,cat,val\n3,,test\n4,,test\n5,dog,train\n",
			[]string{"cat", "dog"}, map[string][]int8{"0.png": {p, a}, "1.png": {a, p}, "2.png": {p, a}, "5.png": {a, p}},
			3, 1, "l.csv has no label for those to test; those for validation score"},
		{"lists", "l.json", `[{"file": "0.png", "labels": ["cat", "big, bad; wolf"]}, {"file": "1.png", "labels": []},
			{"file": "2.png", "labels": ["cat"]}]`, []string{"big, bad; wolf", "cat"},
			map[string][]int8{"0.png": {p, p}, "2.png": {a, p}}, 5, 1, "1 row has no label"},
		{"a map of lists", "l.json", `{"0.png": ["cat", "dog"], "1.png": ["dog"]}`, []string{"cat", "dog"},
			map[string][]int8{"0.png": {p, p}, "1.png": {a, p}}, 5, 1, ""},
		{"lists of pandas", "l.csv", "image,labels\n0.png,\"['cat', 'big, bad; wolf']\"\n1.png,[]\n2.png,\"[\"\"cat's\"\", 'caf\\xe9', 'it\\'s é']\"\n3.png,\n",
			[]string{"big, bad; wolf", "café", "cat", "cat's", "it's é"},
			map[string][]int8{"0.png": {p, a, p, a, a}, "2.png": {a, p, a, p, p}}, 5, 1,
			"column labels: cells are read as lists, such as ['cat', 'big, bad; wolf'] in row 2"},
		{"lists of numpy", "l.csv", "image,labels\n0.png,['cat' 'dog']\n1.png,['dog']\n", []string{"cat", "dog"},
			map[string][]int8{"0.png": {p, p}, "1.png": {a, p}}, 5, 1, "read as lists"},
		{"lists of numbers", "l.csv", "image,labels\n0.png,[3 11]\n1.png,\"[11, 3]\"\n2.png,[11]\n", []string{"11", "3"},
			map[string][]int8{"0.png": {p, p}, "1.png": {p, p}, "2.png": {p, a}}, 5, 1, "read as lists"},
		{"lists without quotes", "l.csv", "image,labels\n0.png,\"[big dog, cat]\"\n1.png,[cat]\n", []string{"big dog", "cat"},
			map[string][]int8{"0.png": {p, p}, "1.png": {a, p}}, 5, 1, "read as lists"},
		{"a class in brackets", "l.csv", "image,label\n0.png,[none];cat\n1.png,cat\n", []string{"[none]", "cat"},
			map[string][]int8{"0.png": {p, p}, "1.png": {a, p}}, 5, 1, `taken apart at ";"`},
		{"lists as texts", "l.json", `[{"file": "0.png", "labels": "['cat', 'dog']"}, {"file": "1.png", "labels": "['dog']"}]`,
			[]string{"cat", "dog"}, map[string][]int8{"0.png": {p, p}, "1.png": {a, p}}, 5, 1, "read as lists"},
		{"JSON", "voc.json", `[{"file": "0.png", "cat": 1, "dog": 0}, {"file": "5.png", "cat": 0, "dog": 1}]`,
			[]string{"cat", "dog"}, map[string][]int8{"0.png": {p, a}, "5.png": {a, p}}, 5, 1, ""},
	} {
		train, test, err := several6(t, c.name, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if !reflect.DeepEqual(train.Classes, c.classes) || !reflect.DeepEqual(train.Marks, c.marks) ||
			!reflect.DeepEqual(test.Marks, c.marks) {
			t.Errorf("%s: classes %v, marks %v; want %v, %v", c.what, train.Classes, train.Marks, c.classes, c.marks)
		}
		if len(train.Items) != c.train || len(test.Items) != c.test {
			t.Errorf("%s: %d to train on, %d to score on; want %d, %d", c.what, len(train.Items), len(test.Items), c.train, c.test)
		}
		if notes := strings.Join(train.Notes, "\n"); !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q do not tell %q", c.what, notes, c.note)
		}
		for _, item := range append(train.Items, test.Items...) {
			if _, has := c.marks[item.Name]; has != (item.Label == 0) {
				t.Errorf("%s: %s has label %d", c.what, item.Name, item.Label)
			}
		}
	}
}

func TestSeveralLabelsRefused(t *testing.T) {
	for want, text := range map[string]string{
		"an image is in one part": "image,label,split\n0.png,cat,train\n0.png,dog,test\n",
		"0.png is in row 2, too; where each class has a column, an image has one row": "image,cat,dog\n0.png,1,0\n0.png,0,1\n",
		"row 12: column dog is \"2\", but must be 1 (it has the class)": "image,cat,dog\n" +
			strings.Repeat("1.png,1,0\n", 10) + "0.png,1,2\n",
		"the header names column \"cat\" twice":      "image,cat,cat\n0.png,1,0\n",
		"no column names images of the data, beside": "thing,cat,dog\nnone,1,0\n",
		"every label is empty":                       "image,label\n0.png,\n1.png,\n",
		`l.csv: row 3: column labels is "cat": it is no list, as in other rows; write a list such as ['cat', 'dog']`: "image,labels\n0.png,['cat']\n1.png,cat\n",
		`row 3: column labels is "['cat', 'do": it is no list`:                                                       "image,labels\n0.png,['cat']\n1.png,\"['cat', 'do\"\n",
		`row 2: column labels is "['cat]": a quote mark is missing`:                                                  "image,labels\n0.png,['cat]\n",
		`row 2: column labels is "[np.str_('cat')]": "np.str_('cat')" is no label of a list`:                         "image,labels\n0.png,[np.str_('cat')]\n",
		`"... 'dog'" follows a label in quotes`:                                                                      "image,labels\n0.png,['cat' ... 'dog']\n",
		"no row of column \"image\" names an image":                                                                  "image,label\nx.png,a\n",
	} {
		if _, _, err := several6(t, "l.csv", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, _, err := Open(t.TempDir(), Options{Labels: "leaf", Several: true}); err == nil ||
		!strings.Contains(err.Error(), "told by a file alone") {
		t.Error(err)
	}
}
