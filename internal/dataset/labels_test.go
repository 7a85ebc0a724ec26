package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// pets are images as people keep them.
var pets = []string{"cat/1.jpg", "cat/02.JPG", "dog/3.png", "dog/4.jpg", "5.jpg", "notes.txt"}

// labelsOf opens a tree with labels and writes what came of it: train | test |
// notes.
func labelsOf(t *testing.T, root, labels string, holdout float64) string {
	t.Helper()
	train, test, err := Open(root, Options{Labels: labels, Holdout: holdout})
	if err != nil {
		return strings.NewReplacer(filepath.Dir(root)+"/", "").Replace(err.Error())
	}
	return strings.ReplaceAll(list(train)+" | "+list(test)+" | "+strings.Join(train.Notes, "; "), filepath.Dir(root)+"/", "")
}

func TestLeafAndPatterns(t *testing.T) {
	years := []string{"2019/beach/a_1.jpg", "2019/hill/b_2.jpg", "2020/beach/c_3.jpg", "2020/d_4.jpg"}
	parts := []string{"train/x/cat/1.jpg", "train/dog/2.jpg", "train/3.jpg", "test/y/cat/4.jpg", "test/5.jpg", "unlabeled/z/6.jpg", "7.jpg"}
	breeds := []string{"Abyssinian_1.jpg", "great_pyrenees_12.jpg", "great_pyrenees_3.JPG", "cover.jpg"}
	for _, c := range []struct {
		files        []string
		labels, want string
	}{
		{years, "leaf", "2019/beach/a_1.jpg=beach 2019/hill/b_2.jpg=hill 2020/beach/c_3.jpg=beach 2020/d_4.jpg=2020 | none | " +
			"1 name of a folder is found in several folders, and what lies in them is one class: beach"},
		{parts, "leaf", "train/3.jpg train/dog/2.jpg=dog train/x/cat/1.jpg=cat unlabeled/z/6.jpg | test/y/cat/4.jpg=cat | " +
			"1 name of a folder is found in several folders, and what lies in them is one class: cat; unlabeled/ (1 image) belongs to the part that trains, without labels; " +
			"3 of 7 images are in no folder and have no label: train/3.jpg, test/5.jpg, 7.jpg; 1 class has only images to train on and none to score on: dog; " +
			"1 image outside train/, unlabeled/ and test/ is not used: 7.jpg; 1 image of test/ has no label and is not used"},
		{[]string{"1.jpg", "2.jpg"}, "leaf", "labels leaf: no image lies in a folder, as 1.jpg does not; name a file of labels or a pattern of names (--labels)"},
		{breeds, "{label}_{number}.jpg", "Abyssinian_1.jpg=Abyssinian cover.jpg great_pyrenees_12.jpg=great_pyrenees great_pyrenees_3.JPG=great_pyrenees | none | " +
			"1 of 4 images is under names that the pattern does not fit and has no label: cover.jpg"},
		{breeds, "{label}_{number}", "Abyssinian_1.jpg=Abyssinian cover.jpg great_pyrenees_12.jpg=great_pyrenees great_pyrenees_3.JPG=great_pyrenees | none | " +
			"1 of 4 images is under names that the pattern does not fit and has no label: cover.jpg"},
		{breeds, "{label}_*", "Abyssinian_1.jpg=Abyssinian cover.jpg great_pyrenees_12.jpg=great great_pyrenees_3.JPG=great | none | " +
			"1 of 4 images is under names that the pattern does not fit and has no label: cover.jpg"},
		{[]string{"cat.0.jpg", "dog.0.jpg", "dog.1.jpg"}, "{label}.*", "cat.0.jpg=cat dog.0.jpg=dog dog.1.jpg=dog | none | "},
		{[]string{"x/cat.0.jpg", "y/dog.1.JPG"}, "{label}.{number}", "x/cat.0.jpg=cat y/dog.1.JPG=dog | none | "},
		{[]string{"cat_0.v2.jpg", "dog_1.v2.jpg"}, "{label}_{number}.v2", "cat_0.v2.jpg=cat dog_1.v2.jpg=dog | none | "},
		{[]string{"0.cat.jpg", "1.dog.png"}, "{number}.{label}", "0.cat.jpg=cat 1.dog.png=dog | none | "},
		{[]string{"cat_0.jpg", "cat _1.jpg", "Dog_2.jpg", "dog_3.jpg", "bird_4.jpg"}, "{label}_{number}",
			"Dog_2.jpg=Dog bird_4.jpg=bird cat _1.jpg=cat  cat_0.jpg=cat dog_3.jpg=dog | none | " +
				`labels {label}_{number}: "cat" (1), "cat " (1) are different classes, though they differ only in case, spaces or the spelling of a number; and 1 more such`},
		{[]string{"x/1/0.jpg", "y/01/1.jpg", "z/2/2.jpg"}, "leaf", "x/1/0.jpg=1 y/01/1.jpg=01 z/2/2.jpg=2 | none | " +
			`labels leaf: "01" (1), "1" (1) are different classes, though they differ only in case, spaces or the spelling of a number`},
		{[]string{"A/0.jpg", "a/1.jpg", "a /2.jpg", "b/3.jpg"}, "folders", "A/0.jpg=A a/1.jpg=a a /2.jpg=a  b/3.jpg=b | none | " +
			`sub-folders of photos: "A" (1), "a" (1), "a " (1) are different classes, though they differ only in case, spaces or the spelling of a number`},
		{[]string{"train/A/0.jpg", "train/a/1.jpg", "train/a/2.jpg", "train/A/3.jpg", "test/a/2.jpg", "test/A/3.jpg"}, "auto",
			"train/A/0.jpg=A train/A/3.jpg=A train/a/1.jpg=a train/a/2.jpg=a | test/A/3.jpg=A test/a/2.jpg=a | " +
				`sub-folders of photos/train: "A" (2), "a" (2) are different classes, though they differ only in case, spaces or the spelling of a number`},
		{years, "*/{label}/*.jpg", "2019/beach/a_1.jpg=beach 2019/hill/b_2.jpg=hill 2020/beach/c_3.jpg=beach 2020/d_4.jpg | none | " +
			"1 of 4 images is under names that the pattern does not fit and has no label: 2020/d_4.jpg"},
		{breeds, "x{label}.png", "labels by names like x{label}.png: no image has such a name; the first is Abyssinian_1.jpg"},
		{breeds, "{label}_{count}", `labels "{label}_{count}": {count} is unknown; known: {label}, {number}, and * for anything`},
		{breeds, "{class}_*", `labels "{class}_*": a pattern of file names has {label} once, where the class stands, as in {label}_{number}.jpg`},
		{breeds, "{label}{label}", `labels "{label}{label}": a pattern of file names has {label} once, where the class stands, as in {label}_{number}.jpg`},
		{breeds, "leaves", `unknown labels "leaves"; known: auto, folders, leaf, none, the path of a CSV, TSV or JSON file, and a pattern of file names such as "{label}_{number}.jpg"`},
		{breeds, "no/such.csv", "the file of labels cannot be read: no/such.csv: there is no such file"},
	} {
		if got := labelsOf(t, tree(t, c.files...), c.labels, 0); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.labels, got, c.want)
		}
	}
}

// Paths as people write them, columns as they call them.
func TestLabelFiles(t *testing.T) {
	all := "5.jpg=b cat/02.JPG=a cat/1.jpg=a dog/3.png=b dog/4.jpg=b | none | "
	other := "1 other file not read: 1 .txt"
	for _, c := range []struct{ name, text, want string }{
		// Names of columns, and none.
		{"l.csv", "path,label\ncat/1.jpg,a\ncat/02.JPG,a\ndog/3.png,b\ndog/4.jpg,b\n5.jpg,b\n", all + other},
		{"l.csv", "Image_Path;Class Name\ncat/1.jpg;a\ncat/02.JPG;a\ndog/3.png;b\ndog/4.jpg;b\n5.jpg;b\n", all + other},
		{"l.tsv", "label\tfile\na\tcat/1.jpg\na\tcat/02.JPG\nb\tdog/3.png\nb\tdog/4.jpg\nb\t5.jpg\n", all + other},
		{"l.csv", "cat/1.jpg,a\ncat/02.JPG,a\ndog/3.png,b\ndog/4.jpg,b\n5.jpg,b\n", all + other + "; l.csv: no header; column 1 is taken for paths and column 2 for labels"},
		{"l.txt", "a\tcat/1.jpg\na\tcat/02.JPG\nb\tdog/3.png\nb\tdog/4.jpg\nb\t5.jpg\n", all + other + "; l.txt: no header; column 2 is taken for paths and column 1 for labels"},
		{"l.csv", ",what,kind\n0,cat/1.jpg,a\n1,cat/02.JPG,a\n2,dog/3.png,b\n3,dog/4.jpg,b\n4,5.jpg,b\n", all + other + "; l.csv: column what is taken for paths and column kind for labels"},
		{"l.csv", "id,filename,width,label,note\n7,1.jpg,640,a,\n8,02.JPG,640,a,\n9,3.png,640,b,\n10,4.jpg,640,b,\n11,5.jpg,640,b,\n", all + other + "; l.csv: 3 columns are not used: id, width, note"},

		// Paths: below the data, the label file's folder, the folder above, absolute, other
		// slashes, names alone, without ending.
		{"l.csv", "image,label\n./cat/1.jpg,a\ncat\\02.JPG,a\nphotos/dog/3.png,b\n4.jpg,b\n5,b\n", all + other},
		{"dog/l.csv", "image,label\n../cat/1.jpg,a\nROOT/cat/02.JPG,a\n3.png,b\n4,b\nphotos\\5.jpg,b\n", all + other},
		{"../l.csv", "image,label\nphotos/cat/1.jpg,a\n02,a\ndog/3,b\ndog\\4,b\nphotos/5,b\n", all + other},
		{"l.csv", "image,label\nCAT/1.JPG,a\n02.jpg,a\nDog/3,b\n4.JPG,b\n5.JPG,b\n", all + other},

		// JSON.
		{"l.json", `[{"file": "cat/1.jpg", "label": "a", "box": [1, 2]}, {"file": "02", "label": "a"}, {"file": "3", "label": "b"}, {"file": "4", "label": "b"}, {"file": 5, "label": "b"}]`, all + other + "; l.json: 1 column is not used: box"},
		{"l.jsonl", "{\"id\": \"1\", \"category\": \"a\"}\n{\"id\": \"02\", \"category\": \"a\"}\n{\"id\": 3, \"category\": \"b\"}\n{\"id\": 4, \"category\": \"b\"}\n{\"id\": 5, \"category\": \"b\"}\n", all + other},
		{"l.json", "{\"cat/1.jpg\": \"a\",\n \"02\": \"a\", \"3\": \"b\", \"4.jpg\": \"b\", \"5.jpg\": \"b\"}", all + other},

		// Labels are words: zeros stay, NA is one, an empty cell is none.
		{"l.csv", "path,label\n1.jpg,007\n02.JPG,7\n3.png,NA\n4.jpg,\n5.jpg, 007 \n", "5.jpg=007 cat/02.JPG=7 cat/1.jpg=007 dog/3.png=NA dog/4.jpg | none | " + other +
			`; l.csv: 1 row has no label: row 5; l.csv: column label: "NA" (1) taken as a class; leave the cell empty where there is no label; l.csv: column label: "007" (2), "7" (1) are different classes, though they differ only in case, spaces or the spelling of a number`},

		// What does not meet is counted.
		{"l.csv", "path,label\n1.jpg,a\n1.jpg,a\ngone.jpg,b\n,b\n02.JPG,b\nlost/x.jpg,b\n", "5.jpg cat/02.JPG=b cat/1.jpg=a dog/3.png dog/4.jpg | none | " + other +
			"; l.csv: 2 rows of 6 name no image of photos: gone.jpg, lost/x.jpg; l.csv: 1 row has no path and is left out: row 5; l.csv: 1 row says again what an earlier one says of an image: row 3" +
			"; 3 of 5 images are in no row of l.csv and have no label: 5.jpg, dog/3.png, dog/4.jpg"},

		// Parts.
		{"l.csv", "path,label,split\n1.jpg,a,train\n02.JPG,a,test\n3.png,b,Training\n4.jpg,b,val\n", "5.jpg cat/1.jpg=a dog/3.png=b | cat/02.JPG=a | " + other +
			"; 1 of 5 images is in no row of l.csv and has no label: 5.jpg; 1 class has only images to train on and none to score on: b; 1 image of l.csv for validation is not used, since others are to test"},
		{"l.csv", "path,label,subset\n1.jpg,a,train\n02.JPG,a,valid\n3.png,b,train\n4.jpg,b,valid\n5.jpg,,valid\n", "cat/1.jpg=a dog/3.png=b | cat/02.JPG=a dog/4.jpg=b | " + other +
			"; l.csv: 1 row has no label: row 6; l.csv names none to test; those for validation score; 1 image of the part to score on of l.csv has no label and is not used"},
		{"l.csv", "path,label,split\n1.jpg,a,train\n02.JPG,a,val\n3.png,b,train\n4.jpg,,test\n5.jpg,,test\n", "cat/1.jpg=a dog/3.png=b | cat/02.JPG=a | " + other +
			"; l.csv: 2 rows have no label, the first in row 5; l.csv has no label for those to test; those for validation score; 1 class has only images to train on and none to score on: b; 2 images of l.csv to test are not used, as none has a label"},
		{"l.csv", "path,label,split\n1.jpg,a,train\n02.JPG,a,train\n3.png,b,train\n4.jpg,,test\n5.jpg,,val\n", "cat/02.JPG=a cat/1.jpg=a dog/3.png=b | none | " + other +
			"; l.csv: 2 rows have no label, the first in row 5; l.csv says which images train and has none with a label to score on, and nothing is held out" +
			"; 1 image of l.csv to test is not used, as none has a label; 1 image of l.csv for validation is not used, as none has a label"},
		{"l.csv", "path,label,split\n1.jpg,a,train\n02.JPG,a,train\n3.png,b,train\n4.jpg,b,train\n5.jpg,b,train\n", all + other +
			"; l.csv says which images train and has none with a label to score on, and nothing is held out"},
		{"l.csv", "path,label,set\n1.jpg,a,big\n02.JPG,a,big\n3.png,b,small\n4.jpg,b,big\n5.jpg,b,big\n", all + other + "; l.csv: 1 column is not used: set"},

		// Errors.
		{"l.csv", "path,label\n1.jpg,a\ncat/1.jpg,b\n", `l.csv: row 3: cat/1.jpg is "b", but row 2 says "a"; an image has one label`},
		{"l.csv", "path,label,split\n1.jpg,a,train\n02.JPG,a,later\n", `l.csv: row 3: split is "later", but must be train, test or val`},
		{"l.csv", "path,label\n1.jpg,a\n02.JPG,a,b\n", `l.csv: row 3: it has 3 fields, but the header has 2`},
		{"l.csv", "path,label\nx.jpg,a\ny.jpg,b\n", `l.csv: no row of column "path" names an image of photos (the first is "x.jpg" in row 2); write paths below that folder, below the folder of l.csv, or names of files`},
		{"l.csv", "path,label\n1.jpg,\n02.JPG,\n", "labels of photos/l.csv: every label is empty (l.csv: 2 rows have no label, the first in row 2)"},
		{"l.csv", "path,label\n1.jpg,\ngone.jpg,a\n", "labels of photos/l.csv: every label is empty (l.csv: 1 row of 2 names no image of photos: gone.jpg; l.csv: 1 row has no label: row 2)"},
		{"l.csv", "path,height,width\n1.jpg,3,4\n", "l.csv: which column holds the labels is not clear, of height, width; call it label or class"},
		{"l.csv", "path label\n1.jpg a\n", `l.csv: there is no column of labels beside that of paths ("path label"); separate the two by commas, semicolons or tabs`},
		{"l.csv", "path,label,label\n1.jpg,a,b\n", `l.csv: the header names column "label" twice`},
		{"l.csv", "", "l.csv: the file of labels is empty; its first row must name the columns"},
		{"l.csv", "path,label\n", "l.csv: the file of labels has no rows below its header"},
		{"l.json", `{"1.jpg": ["a", "b"], "3.png": "b"}`, `l.json: row 1: "1.jpg" is a list; a text or a number is needed`},
		{"l.json", `{"images": [], "annotations": []}`, `l.json: row 1: "images" is a list; a text or a number is needed`},
		{"l.csv", "PK\x03\x04\x14\x00\x00", "l.csv: this is no text but a zip archive, as a spreadsheet is: save it as CSV"},
	} {
		root := tree(t, pets...)
		file := filepath.Join(root, c.name)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(c.text, "ROOT", root)), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := labelsOf(t, root, file, 0); got != c.want {
			t.Errorf("%s %q:\n%s\nwant\n%s", c.name, c.text, got, c.want)
		}
	}
}

// Where a file says which images train, none of them is held out.
func TestNothingHeldOut(t *testing.T) {
	root := tree(t, pets...)
	file := filepath.Join(filepath.Dir(root), "l.csv")
	if err := os.WriteFile(file, []byte("path,label,split\n1,a,train\n02,a,train\n3,b,train\n4,b,train\n5,b,train\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := labelsOf(t, root, file, 0.5); !strings.Contains(got, " | none | ") || !strings.Contains(got, "nothing is held out") {
		t.Error(got)
	}
}

// A name that several images share is not guessed at.
func TestSharedNames(t *testing.T) {
	root := tree(t, "cat/1.jpg", "dog/1.jpg", "dog/2.jpg", "dog/2.png", "l.csv")
	for text, want := range map[string]string{
		"path,label\n2.png,a\n1.jpg,b\n": `l.csv: row 3: "1.jpg" may be any of 2 images (cat/1.jpg, dog/1.jpg); write the path below photos, with its ending`,
		"path,label\ndog/2,a\n":          `l.csv: row 2: "dog/2" may be any of 2 images (dog/2.jpg, dog/2.png); write the path below photos, with its ending`,
		"path,label\ncat/1,a\ndog/1,b\n": "cat/1.jpg=a dog/1.jpg=b dog/2.jpg dog/2.png | none | 2 of 4 images are in no row of l.csv and have no label: dog/2.jpg, dog/2.png",
	} {
		if err := os.WriteFile(filepath.Join(root, "l.csv"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := labelsOf(t, root, filepath.Join(root, "l.csv"), 0); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", text, got, want)
		}
	}
}

// A file of labels is for any kind of data, and decides over its parts.
func TestLabelsOfParts(t *testing.T) {
	root := tree(t, "train/1.jpg", "train/2.jpg", "train/3.jpg", "test/4.jpg", "test/5.jpg", "val/6.jpg", "extra/7.jpg")
	file := filepath.Join(filepath.Dir(root), "l.csv")
	for text, want := range map[string]string{
		"id,label\n1,a\n2,b\n3,a\n4,a\n": "train/1.jpg=a train/2.jpg=b train/3.jpg=a | test/4.jpg=a | 3 of 7 images are in no row of l.csv and have no label: test/5.jpg, val/6.jpg, extra/7.jpg; " +
			"1 class has only images to train on and none to score on: b; 1 image outside train/, test/ and val/ is not used: extra/7.jpg; 1 image of test/ has no label and is not used; val/ (1 image) is not used, as test/ scores",
		"id,label\n1,a\n2,b\n6,a\n": "train/1.jpg=a train/2.jpg=b train/3.jpg | val/6.jpg=a | 4 of 7 images are in no row of l.csv and have no label: train/3.jpg, test/4.jpg, test/5.jpg and 1 more; " +
			"1 class has only images to train on and none to score on: b; 1 image outside train/, test/ and val/ is not used: extra/7.jpg; test/ (2 images) is not used, as none of its images has a label",
		"id,label,split\n1,a,train\n7,b,train\n4,b,test\n": "train/1.jpg=a train/2.jpg train/3.jpg extra/7.jpg=b | test/4.jpg=b | 4 of 7 images are in no row of l.csv and have no label: train/2.jpg, train/3.jpg, test/5.jpg and 1 more; " +
			"1 class has only images to train on and none to score on: a; 2 images outside the part that trains are not used, as l.csv does not name them",
	} {
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := labelsOf(t, root, file, 0); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", text, got, want)
		}
	}
}

// What lies in files of images or in a pack is named as those name it.
func TestLabelsOfFiles(t *testing.T) {
	dir := folder(t, "cifar", map[string][]byte{"data_batch_1.bin": cifar([]byte{3}, []byte{0}, []byte{1}), "test_batch.bin": cifar([]byte{1}),
		"l.csv": []byte("image,label\ndata_batch_1.bin[0],left\ndata_batch_1.bin[2],right\ntest_batch.bin[0],left\n")})
	want := "data_batch_1.bin[0]=left data_batch_1.bin[1] data_batch_1.bin[2]=right | test_batch.bin[0]=left | " +
		"cifar is not the whole of CIFAR-10: data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin are not here; " +
		"1 of 4 images is in no row of l.csv and has no label: data_batch_1.bin[1]; 1 class has only images to train on and none to score on: right"
	if got := labelsOf(t, dir, filepath.Join(dir, "l.csv"), 0.5); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	train, _, err := Open(dir, Options{})
	if err != nil || len(train.Notes) != 2 || !strings.Contains(train.Notes[1], "not read: l.csv") {
		t.Errorf("without it: %v, %q", err, train.Notes)
	}
}

// Names are the same in every Unicode form, and classes are.
func TestLabelsOfUnicodeForms(t *testing.T) {
	root := tree(t, "a/ba\u0308r.jpg", "b/\u00fc.jpg", "b/2.jpg")
	file := filepath.Join(filepath.Dir(root), "l.csv")
	if err := os.WriteFile(file, []byte("path,label\nb\u00e4r,\u00e4\nb/u\u0308.jpg,a\u0308\n2,b\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, want := labelsOf(t, root, file, 0), "a/ba\u0308r.jpg=\u00e4 b/2.jpg=b b/\u00fc.jpg=\u00e4 | none | "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Below a folder that holds everything, paths may begin there.
func TestLabelsInside(t *testing.T) {
	root := tree(t, "all/cat/1.jpg", "all/dog/1.jpg", "all/dog/2.jpg", "all/cat/2.jpg")
	file := filepath.Join(filepath.Dir(root), "l.csv")
	if err := os.WriteFile(file, []byte("path,label\ncat/1.jpg,a\nall/dog/1.jpg,b\ndog/2,b\nphotos/all/cat/2.jpg,a\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	want := "all/cat/1.jpg=a all/cat/2.jpg=a all/dog/1.jpg=b all/dog/2.jpg=b | none | "
	if got := labelsOf(t, root, file, 0); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got, want := labelsOf(t, root, "leaf", 0), "all/cat/1.jpg=cat all/cat/2.jpg=cat all/dog/1.jpg=dog all/dog/2.jpg=dog | none | "; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// However large and odd it is, a file of labels takes memory and time as its
// bytes and the images do.
func TestLabelFileBounds(t *testing.T) {
	items := make([]*Item, 20_000)
	for i := range items {
		items[i] = &Item{Name: fmt.Sprintf("%d/%d.jpg", i%100, i)}
	}
	var rows strings.Builder
	rows.WriteString("path,label\n")
	for i := range 100_000 {
		fmt.Fprintf(&rows, "%d,%d\n", i, i%7)
	}
	check.Bounded(t, 150, 3*time.Second, func() {
		l, err := parseLabels("l.csv", []byte(rows.String()), newFinder(items, "", "", "."), "photos")
		if err != nil || len(l.rows) != len(items) {
			t.Error(err)
		}
	})
	wide, long := strings.Repeat("what,", 200_000)+"x\n"+strings.Repeat("1,", 200_000)+"1\n", "path,label\n"+strings.Repeat("x/", 500_000)+",a\n"
	lines := "path,label\n" + strings.Repeat("nowhere/at/all,a\n", 60_000)
	for _, text := range []string{wide, long, lines} {
		check.Bounded(t, 250, 3*time.Second, func() {
			if _, err := parseLabels("l.csv", []byte(text), newFinder(items, "/data/photos", "", "/data"),
				"photos"); err == nil || len(err.Error()) > 1000 {
				t.Errorf("%.40s: %.1000v", text, err)
			}
		})
	}
}
