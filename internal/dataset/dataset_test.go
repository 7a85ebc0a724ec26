package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files (contents: their names) below a new folder; "a -> b" makes
// a link.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "photos")
	if err := os.MkdirAll(root, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, target, link := strings.Cut(f, " -> ")
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case link:
			err = os.Symlink(target, path)
		case strings.HasSuffix(f, "/"):
			err = os.MkdirAll(path, 0o777)
		default:
			err = os.WriteFile(path, []byte(name), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// list writes a data set as "name=class" words.
func list(d *Dataset) string {
	if d == nil {
		return "none"
	}
	var words []string
	for _, item := range d.Items {
		w := item.Name
		if item.Label >= 0 {
			w += "=" + d.Classes[item.Label]
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func TestFolders(t *testing.T) {
	for _, c := range []struct {
		name        string
		files       []string
		options     Options
		train, test string
	}{
		{"flat", []string{"b.jpg", "a.PNG", "c.webp", "notes.txt", ".hidden.jpg", ".git/x.jpg", "__MACOSX/y.jpg"}, Options{},
			"a.PNG b.jpg c.webp", "none"},
		{"nested years are no classes", []string{"2019/01/a.jpg", "2019/02/b.jpg", "2020/01/c.jpg", "2020/01/d.jpg"}, Options{Holdout: 0.5},
			"2019/01/a.jpg 2019/02/b.jpg 2020/01/c.jpg 2020/01/d.jpg", "none"},
		{"nested years as classes", []string{"2019/01/a.jpg", "2019/02/b.jpg", "2020/01/c.jpg", "2020/01/d.jpg"}, Options{Labels: "folders"},
			"2019/01/a.jpg=2019 2019/02/b.jpg=2019 2020/01/c.jpg=2020 2020/01/d.jpg=2020", "none"},
		{"classes", []string{"cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg", "dog/3.jpg"}, Options{Holdout: 0.2},
			"cat/1.jpg=cat dog/1.jpg=dog dog/2.jpg=dog", "cat/2.jpg=cat dog/3.jpg=dog"},
		{"classes, not wanted", []string{"cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"}, Options{Labels: "none", Holdout: 0.2},
			"cat/1.jpg cat/2.jpg dog/1.jpg dog/2.jpg", "none"},
		{"one stray image", []string{"cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg", "cover.jpg"}, Options{Holdout: 0.2},
			"cat/1.jpg cat/2.jpg cover.jpg dog/1.jpg dog/2.jpg", "none"},
		{"train and val", []string{"Train/cat/1.jpg", "Train/dog/a/2.jpg", "val/dog/3.jpg", "other/4.jpg"}, Options{Holdout: 0.2},
			"Train/cat/1.jpg=cat Train/dog/a/2.jpg=dog", "val/dog/3.jpg=dog"},
		{"train, val and test", []string{"train/cat/1.jpg", "train/dog/2.jpg", "val/dog/3.jpg", "test/cat/4.jpg"}, Options{},
			"train/cat/1.jpg=cat train/dog/2.jpg=dog", "test/cat/4.jpg=cat"},
		{"test without labels", []string{"train/cat/1.jpg", "train/dog/2.jpg", "val/dog/3.jpg", "test/4.jpg", "valid/"}, Options{},
			"train/cat/1.jpg=cat train/dog/2.jpg=dog", "val/dog/3.jpg=dog"},
		{"no labels in train", []string{"train/1.jpg", "train/2.jpg", "test/3.jpg"}, Options{Holdout: 0.5},
			"train/1.jpg train/2.jpg", "none"},
		{"only train", []string{"train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg"}, Options{Holdout: 0.2},
			"train/cat/1.jpg=cat train/dog/1.jpg=dog", "train/cat/2.jpg=cat train/dog/2.jpg=dog"},
		{"a class called train", []string{"car/1.jpg", "car/2.jpg", "train/1.jpg", "train/2.jpg"}, Options{},
			"car/1.jpg=car car/2.jpg=car train/1.jpg=train train/2.jpg=train", "none"},
		{"order is folder by folder", []string{"a-b/1.jpg", "a/1.jpg", "a/b/2.jpg", "a.jpg"}, Options{},
			"a/1.jpg a/b/2.jpg a-b/1.jpg a.jpg", "none"},
		{"links", []string{"a/1.jpg", "a/self -> .", "a/up -> ../..", "b -> a", "c/2.jpg -> ../a/1.jpg", "d/broken.jpg -> nowhere"}, Options{},
			"a/1.jpg c/2.jpg d/broken.jpg", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := tree(t, c.files...)
			train, test, err := Open(root, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := list(train); got != c.train {
				t.Errorf("train: %s\nwant:  %s", got, c.train)
			}
			if got := list(test); got != c.test {
				t.Errorf("test: %s\nwant: %s", got, c.test)
			}
			if train.Name != "photos" || train.About == "" || train.Channels != 0 {
				t.Errorf("name %q, about %q, channels %d", train.Name, train.About, train.Channels)
			}
			for _, item := range train.Items {
				if _, err := os.Lstat(item.Path); err != nil || item.Image != nil {
					t.Errorf("path of %s: %v", item.Name, err)
				}
			}
		})
	}
}

// A linked folder outside the tree is followed, once, loops and all.
func TestLinkOutside(t *testing.T) {
	outside := tree(t, "x.jpg", "loop -> .", "deep/y.jpg")
	root := tree(t, "cat/1.jpg", "dog -> "+outside, "dog2 -> "+outside)
	train, _, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list(train), "cat/1.jpg dog/deep/y.jpg dog/x.jpg"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A folder is the same whichever way its path is written: relative, absolute, by
// way of a link or of ...
func TestWaysToAFolder(t *testing.T) {
	root := tree(t, "in/a/1.jpg", "in/a/2.jpg", "in/b/3.jpg", "in/b/4.jpg", "in/up -> ..", "private/5.jpg", "away/deep/", "way -> in", "deep -> away/deep",
		"set/train/a/1.jpg", "set/train/b/2.jpg")
	for link, to := range map[string]string{"in/c": "in/a", "in/self": "in", "set/test": "set/train", "root": "."} {
		if err := os.Symlink(filepath.Join(root, to), filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
	}
	up := ".." + string(filepath.Separator)
	for _, c := range []struct{ from, in, set string }{
		{root, "in", "set"},
		{root, "./in/", "./set"},
		{root, filepath.Join(root, "in"), filepath.Join(root, "set")},
		{root, "way", "root/set"},
		{root, "root/way", "root/root/set"},
		{filepath.Join(root, "in"), ".", "../set"},
		{filepath.Join(root, "way"), ".", "../set"},
		{filepath.Join(root, "root", "in"), "../in", up + "set"},
		{filepath.Join(root, "deep"), "../../in", "../../set"},
		{root, "deep/../../in", "deep/../../set"}, // the folder above deep is away
		{filepath.Join(root, "deep"), "../../root/way", "../../deep/../../set/."},
	} {
		t.Run(c.in+" from "+c.from, func(t *testing.T) {
			t.Chdir(c.from)
			train, test, err := Open(c.in, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := list(train), "a/1.jpg=a a/2.jpg=a b/3.jpg=b b/4.jpg=b"; got != want || test != nil ||
				len(train.Notes) != 1 || !strings.Contains(train.Notes[0], "3 links not followed") {
				t.Errorf("got %s, want %s; notes %q", got, want, train.Notes)
			}
			for _, item := range train.Items {
				if _, err := os.Stat(item.Path); err != nil {
					t.Error(err)
				}
			}
			abs, err := Absolute(c.in)
			if err != nil || !filepath.IsAbs(abs) || !same(c.in, abs) {
				t.Errorf("absolute: %s, %v", abs, err)
			}
			if train, test, err := Open(c.set, Options{}); err != nil || len(train.Items) != 2 || test != nil {
				t.Errorf("a test set that is the training set scores: %s | %s, %v", list(train), list(test), err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	empty := tree(t)
	wrong := tree(t, "a.heic", "b.HEIC", "c.txt", "README", "d/")
	extra := tree(t, "train/cat/1.jpg", "train/dog/1.jpg", "test/dog/1.jpg", "test/zebra/1.jpg")
	stray := tree(t, "cat/1.jpg", "2.jpg")
	python := tree(t, "cifar-10-batches-py/data_batch_1")
	files := tree(t, "one.jpg", "set.zip", "movie.mp4", "short.bin")
	for _, c := range []struct {
		spec    string
		options Options
		want    string
	}{
		{"/no/such/folder", Options{}, "/no/such/folder: no such file or folder; give a folder"},
		{empty, Options{}, empty + ": the folder is empty"},
		{wrong, Options{}, "only other files (2 .heic, 1 without an ending, 1 .txt)"},
		{extra, Options{}, filepath.Join(extra, "test/zebra") + ": there is no class of this name in"},
		{stray, Options{Labels: "folders"}, "2.jpg: this image lies in no sub-folder"},
		{python, Options{}, "Python version; get the binary"},
		{filepath.Join(files, "one.jpg"), Options{}, "this is one image"},
		{filepath.Join(files, "set.zip"), Options{}, "an archive; unpack it"},
		{filepath.Join(files, "movie.mp4"), Options{}, "neither a folder of images nor"},
		{filepath.Join(files, "short.bin"), Options{}, "no whole number of cifar-10 records"},
		{"mnist", Options{}, "put train-images-idx3-ubyte.gz"},
		{"sample", Options{Labels: "some"}, `labels "some"`},
		{"sample", Options{Holdout: 1}, "holdout 1"},
	} {
		_, _, err := Open(c.spec, c.options)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want ... %s", c.spec, err, c.want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") ||
			strings.Count(err.Error(), c.spec) > 1 && c.spec == empty) {
			t.Errorf("not one sentence: %v", err)
		}
	}
}

func TestSample(t *testing.T) {
	for _, spec := range []string{"", "sample"} {
		train, test, err := Open(spec, Options{Labels: "auto"})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []struct {
			set *Dataset
			per int
		}{{train, 800}, {test, 200}} {
			count := make([]int, 10)
			for _, item := range d.set.Items {
				count[item.Label]++
			}
			for c, n := range count {
				if n != d.per {
					t.Errorf("%d images of %s, want %d", n, d.set.Classes[c], d.per)
				}
			}
			if m := d.set.Items[0].Image; m.W != 28 || m.H != 28 || m.C != 1 || len(m.Pix) != 784 ||
				d.set.Channels != 1 {
				t.Errorf("image %d × %d × %d, %d bytes", m.W, m.H, m.C, len(m.Pix))
			}
		}
		// The split is part of what a run is.
		if got, want := train.Fingerprint()+" "+test.Fingerprint(), "8000-b5a68218415138ef 2000-c77e6529dcbef06b"; got != want {
			t.Errorf("fingerprints %s, want %s", got, want)
		}
	}
	train, test, err := Open("sample", Options{Labels: "none"})
	if err != nil || test != nil || train.Classes != nil || train.Items[0].Label != -1 {
		t.Errorf("without labels: %v, %v", test, err)
	}
}

func TestLimit(t *testing.T) {
	hundred := &Dataset{}
	for i := range 100 {
		hundred.Items = append(hundred.Items, Item{Name: fmt.Sprint(i), Label: i / 10})
	}
	d := &Dataset{Items: hundred.Items}
	for _, n := range []int{0, -3, 100, 1000} {
		if d.Limit(n); len(d.Items) != 100 {
			t.Errorf("Limit(%d) keeps %d of 100", n, len(d.Items))
		}
	}
	before := d.Fingerprint()
	d.Limit(25)
	if got := list(&Dataset{Items: d.Items[:4], Classes: strings.Split("0123456789", "")}); got != "0=0 4=0 8=0 12=1" {
		t.Errorf("Limit(25) takes %s", got)
	}
	d = &Dataset{Items: hundred.Items}
	d.Limit(10)
	labels := d.Labels()
	if slices.Sort(labels); !slices.Equal(labels, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("labels %v: a class is lost", labels)
	}
	d.Remove([]int{9, 0, 3})
	if got := len(d.Items); got != 7 || d.Items[0].Label != 1 || d.Items[2].Label != 4 {
		t.Errorf("after Remove: %v", d.Labels())
	}
	if d.Fingerprint() == before {
		t.Error("another data set has the same fingerprint")
	}
}

// Every class of two or more gives some and keeps some, whatever the share.
func TestSplit(t *testing.T) {
	for _, share := range []float64{0, 0.001, 0.1, 0.2, 1.0 / 3, 0.5, 0.9, 0.999} {
		d := &Dataset{}
		for size := range 31 {
			d.Classes = append(d.Classes, fmt.Sprint(size))
			for range size {
				d.Items = append(d.Items, Item{Label: size})
			}
		}
		d.Items = append(d.Items, Item{Label: -1})
		train, test := d.split(share)
		if share == 0 {
			if test != nil || len(train.Items) != len(d.Items) {
				t.Error("share 0 holds images out")
			}
			continue
		}
		if len(train.Items)+len(test.Items) != len(d.Items) {
			t.Errorf("share %v: %d and %d of %d", share, len(train.Items), len(test.Items), len(d.Items))
		}
		kept, held := make([]int, 31), make([]int, 31)
		for _, l := range train.Labels() {
			if l >= 0 {
				kept[l]++
			}
		}
		for _, l := range test.Labels() {
			held[l]++
		}
		for size := 2; size <= 30; size++ {
			want := min(max(1, int(float64(size)*share+1e-9)), size-1)
			if held[size] != want || kept[size] != size-want {
				t.Errorf("share %v of %d: %d held out, %d kept", share, size, held[size], kept[size])
			}
		}
	}
}

// Arrays are images where there are no others; beside pictures they are something else.
func TestArraysBesidePictures(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.npy", "sub/a.NPY", "labels.csv"} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (names, notes string) {
		d, _, err := Open(dir, Options{Labels: "none"})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range d.Items {
			names += item.Name + " "
		}
		return names, strings.Join(d.Notes, "; ")
	}
	if got, notes := names(); got != "b.npy sub/a.NPY " || !strings.Contains(notes, "1 other file not read: 1 .csv") {
		t.Errorf("%s: %s", got, notes)
	}
	if err := os.WriteFile(filepath.Join(dir, "c.png"), []byte("x"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, notes := names(); got != "c.png " || !strings.Contains(notes, "2 .npy") {
		t.Errorf("%s: %s", got, notes)
	}
}
