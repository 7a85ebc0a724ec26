package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/host"
)

func idx(dims []int, data []byte) []byte {
	b := []byte{0, 0, 8, uint8(len(dims))}
	for _, d := range dims {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	return append(b, data...)
}

func gz(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// count returns n bytes 0, 1, 2, ...
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = uint8(i)
	}
	return b
}

// folder writes files into a new folder of the given name.
func folder(t *testing.T, name string, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.FromSlash(name))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for f, data := range files {
		if err := os.WriteFile(filepath.Join(dir, f), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestIDX(t *testing.T) {
	files := map[string][]byte{
		"train-images-idx3-ubyte.gz": gz(idx([]int{3, 2, 5}, count(30))),
		"train-labels-idx1-ubyte":    idx([]int{3}, []byte{0, 2, 1}),
		"t10k-images-idx3-ubyte":     idx([]int{2, 2, 5}, count(20)),
		"t10k-labels-idx1-ubyte.gz":  gz(idx([]int{2}, []byte{1, 0})),
		"README":                     []byte("digits"),
	}
	for _, name := range []string{"digits", "MNIST/raw"} {
		dir := folder(t, name, files)
		specs := []string{dir, filepath.Join(dir, "train-images-idx3-ubyte.gz")}
		if name == "MNIST/raw" {
			specs = append(specs, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir)))
		}
		for _, spec := range specs {
			train, test, err := Open(spec, Options{Holdout: 0.5})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := list(train), "train-images-idx3-ubyte.gz[0]=0 train-images-idx3-ubyte.gz[1]=2 train-images-idx3-ubyte.gz[2]=1"; got != want {
				t.Errorf("train %s, want %s", got, want)
			}
			if got, want := list(test), "t10k-images-idx3-ubyte[0]=1 t10k-images-idx3-ubyte[1]=0"; got != want {
				t.Errorf("test %s, want %s", got, want)
			}
			m := train.Items[1].Image
			if m.W != 5 || m.H != 2 || m.C != 1 || !bytes.Equal(m.Pix, count(20)[10:]) {
				t.Errorf("image %+v", m)
			}
			if want := strings.Split(name, "/")[0]; train.Name != want {
				t.Errorf("name %q, want %q", train.Name, want)
			}
		}
	}

	// One part, colour, no labels.
	dir := folder(t, "colour", map[string][]byte{"images-idx4-ubyte": idx([]int{2, 2, 2, 3}, count(24))})
	train, test, err := Open(dir, Options{Holdout: 0.5})
	if err != nil || test != nil || len(train.Items) != 2 || train.Classes != nil {
		t.Fatal(train, test, err)
	}
	if m := train.Items[1].Image; m.C != 3 || m.Pix[0] != 12 {
		t.Errorf("image %+v", m)
	}
}

func TestIDXErrors(t *testing.T) {
	const images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	good := idx([]int{3, 2, 5}, count(30))
	zipped, longer := gz(good), gz(append(good[:len(good):len(good)], 1, 2, 3))
	flip := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"cut", map[string][]byte{images: good[:len(good)-7]}, images + ": the file is cut short; fetch it again: it should hold 3 images and holds 2"},
		{"cut gzip", map[string][]byte{images + ".gz": zipped[:len(zipped)-12]}, "cut short"},
		{"wrong checksum", map[string][]byte{images + ".gz": flip(zipped, len(zipped)-5)}, "gzip: invalid checksum"},
		{"wrong checksum of more", map[string][]byte{images + ".gz": flip(longer, len(longer)-5)}, "gzip: invalid checksum"},
		{"damaged gzip", map[string][]byte{images + ".gz": append([]byte{0x1f, 0x8b, 9}, good...)}, "broken gzip"},
		{"lying header", map[string][]byte{images: idx([]int{1 << 30, 1 << 2, 1 << 2}, count(100))}, "should hold 1073741824 images and holds 6"},
		{"absurd header", map[string][]byte{images: idx([]int{1<<31 - 1, 1<<31 - 1, 1<<31 - 1}, nil)}, "claims more than 64 GiB"},
		{"header alone", map[string][]byte{images: good[:9]}, "cut short"},
		{"nothing in it", map[string][]byte{images: nil}, "cut short"},
		{"no images", map[string][]byte{images: idx([]int{0, 2, 5}, nil)}, "holds no images"},
		{"not idx", map[string][]byte{images: []byte("hello, this is text")}, "not an idx file"},
		{"floats", map[string][]byte{images: append([]byte{0, 0, 13, 3}, good[4:]...)}, "type 0x0d"},
		{"shape", map[string][]byte{images: idx([]int{30}, count(30))}, "shape [30]"},
		{"labels", map[string][]byte{images: good, labels: idx([]int{2}, count(2))}, labels + ": an idx file of shape [2], but there are 3 images"},
		{"cut labels", map[string][]byte{images: good, labels: idx([]int{3}, count(2))}, "should hold 3 labels and holds 2"},
		{"more classes in test", map[string][]byte{images: good, labels: idx([]int{3}, []byte{0, 1, 0}),
			"t10k-images-idx3-ubyte": good, "t10k-labels-idx1-ubyte": idx([]int{3}, count(3))}, "the labels go up to 2, those of the training part up to 1 only"},
		{"several", map[string][]byte{"a-train-images-idx3-ubyte": good, "a-test-images-idx3-ubyte": good, "b-train-images-idx3-ubyte": good}, "several data sets here"},
	} {
		_, _, err := Open(folder(t, "x", c.files), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want ... %s", c.name, err, c.want)
		}
	}
}

func cifar(labels ...[]byte) []byte {
	var b []byte
	for _, l := range labels {
		b = append(b, l...)
		for plane := range 3 {
			b = append(b, bytes.Repeat([]byte{uint8(10*plane) + l[len(l)-1]}, 1023)...)
			b = append(b, 77) // the last pixel
		}
	}
	return b
}

func TestCIFAR(t *testing.T) {
	ten := folder(t, "data/cifar-10-batches-bin", map[string][]byte{
		"data_batch_1.bin": cifar([]byte{3}, []byte{0}), "data_batch_2.bin": cifar([]byte{9}), "test_batch.bin": cifar([]byte{1}),
		"batches.meta.txt": []byte("airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n"),
	})
	for _, spec := range []string{ten, filepath.Dir(ten)} {
		train, test, err := Open(spec, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := list(train)+" | "+list(test), "data_batch_1.bin[0]=cat data_batch_1.bin[1]=airplane data_batch_2.bin[0]=truck | test_batch.bin[0]=automobile"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		m := train.Items[0].Image
		if m.W != 32 || m.H != 32 || m.C != 3 || !bytes.Equal(m.Pix[:6], []byte{3, 13, 23, 3, 13, 23}) ||
			m.Pix[3071] != 77 {
			t.Errorf("image %d × %d × %d: %v", m.W, m.H, m.C, m.Pix[:6])
		}
	}
	one, test, err := Open(filepath.Join(ten, "data_batch_1.bin"), Options{})
	if err != nil || list(one) != "data_batch_1.bin[0]=cat data_batch_1.bin[1]=airplane" || test != nil {
		t.Error(list(one), test, err)
	}

	hundred := folder(t, "cifar-100-binary", map[string][]byte{"train.bin": cifar([]byte{4, 72}, []byte{5, 99}), "test.bin": cifar([]byte{0, 1})})
	for _, spec := range []string{hundred, filepath.Join(hundred, "train.bin")} {
		train, _, err := Open(spec, Options{})
		if err != nil || list(train) != "train.bin[0]=72 train.bin[1]=99" || len(train.Classes) != 100 {
			t.Error(list(train), err)
		}
	}

	cut := cifar([]byte{3}, []byte{0})
	bad := folder(t, "cut", map[string][]byte{"data_batch_1.bin": cut[:len(cut)-1]})
	if _, _, err := Open(bad, Options{}); err == nil || !strings.Contains(err.Error(), "data_batch_1.bin: 6145 bytes are no whole number") {
		t.Error(err)
	}
	wrong := folder(t, "wrong", map[string][]byte{"data_batch_1.bin": cifar([]byte{3}, []byte{200})})
	if _, _, err := Open(wrong, Options{}); err == nil || !strings.Contains(err.Error(), "image 1 has label 200") {
		t.Error(err)
	}
}

// Debian's package, where it is installed.
func TestFashionMNIST(t *testing.T) {
	if _, err := os.Stat(debianFolder); err != nil {
		_, _, err := Open("fashion-mnist", Options{})
		if err == nil || !strings.Contains(err.Error(), "apt-get install dataset-fashion-mnist") {
			t.Error(err)
		}
		return
	}
	train, test, err := Open("fashion-mnist", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(train.Items) != 60000 || len(test.Items) != 10000 || train.Name != "fashion-mnist" || train.Classes[9] != "Ankle boot" {
		t.Errorf("%d and %d images of %s, %v", len(train.Items), len(test.Items), train.Name, train.Classes)
	}
	t.Log(train.About)
}

// What of a folder of idx or CIFAR files is not used is named, and a part
// without labels is never replaced in silence.
func TestFilesNotes(t *testing.T) {
	const images, labels, testImages, testLabels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
	three, two := idx([]int{3, 2, 5}, count(30)), idx([]int{2, 2, 5}, count(20))
	threeLabels, twoLabels := idx([]int{3}, []byte{0, 1, 0}), idx([]int{2}, []byte{1, 0})
	batch := cifar([]byte{3}, []byte{0})
	// The files of CIFAR-10, more of them and without some.
	ten := func(more map[string][]byte, without ...string) map[string][]byte {
		files := map[string][]byte{"test_batch.bin": batch}
		for i := range 5 {
			files[fmt.Sprintf("data_batch_%d.bin", i+1)] = batch
		}
		maps.Copy(files, more)
		for _, name := range without {
			delete(files, name)
		}
		return files
	}
	names := []byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nT shirt\n")
	for _, c := range []struct {
		name        string
		files       map[string][]byte
		options     Options
		train, test int
		want        string // the only note; empty: none
		err         string
	}{
		{"all", map[string][]byte{images: three, labels: threeLabels, testImages: two, testLabels: twoLabels},
			Options{}, 3, 2, "", ""},
		{"both forms", map[string][]byte{images: three, images + ".gz": gz(three), labels: threeLabels,
			labels + ".gz": gz(threeLabels), ".hidden": nil}, Options{}, 3, -1, "", ""},
		{"others", map[string][]byte{images: three, "notes.txt": nil, "a.jpg": nil}, Options{}, 3, -1, "2 other files and folders in ROOT are not read: a.jpg, notes.txt", ""},
		{"labels not taken", map[string][]byte{images: three, labels: threeLabels, testImages: two,
			testLabels: twoLabels}, Options{Labels: "none"}, 3, -1, testImages + " (2 images) is not used, as labels are not taken", ""},
		{"no labels", map[string][]byte{images: three, testImages: two}, Options{}, 3, -1, testImages + " (2 images) is not used, as there are no labels to score with", ""},
		{"no labels of the test part", map[string][]byte{images: three, labels: threeLabels, testImages: two}, Options{Holdout: 0.3}, 0, 0, "",
			testImages + ": it has no labels file (" + testLabels + ") beside it, as " + images + " has, so nothing can be scored; put it there, or give --labels none"},
		{"no labels of the training part", map[string][]byte{images: three, testImages: two, testLabels: twoLabels},
			Options{}, 0, 0, "", images + ": it has no labels file (" + labels + ")"},
		{"no labels, none wanted", map[string][]byte{images: three, labels: threeLabels, testImages: two},
			Options{Labels: "none"}, 3, -1, testImages + " (2 images) is not used", ""},
		{"test part alone", map[string][]byte{testImages: two, testLabels: twoLabels}, Options{}, 2, -1, testImages + " is all there is of ROOT, so it trains", ""},
		{"longer", map[string][]byte{images: append(three[:len(three):len(three)], 1, 2, 3)}, Options{}, 3, -1,
			"ROOT/" + images + " goes on after its 3 images; the rest is not read", ""},
		{"longer, gzipped", map[string][]byte{images + ".gz": gz(append(three[:len(three):len(three)],
			make([]byte, 1<<20)...))}, Options{}, 3, -1, "goes on after its 3 images", ""},
		{"followed by something", map[string][]byte{images + ".gz": append(gz(three), "garbage that is no gzip"...)}, Options{}, 3, -1, "goes on after its 3 images", ""},
		{"two members", map[string][]byte{images + ".gz": append(gz(three[:20]), gz(three[20:])...)}, Options{}, 3, -1, "", ""},
		{"longer labels", map[string][]byte{images: three,
			labels: append(threeLabels[:len(threeLabels):len(threeLabels)], 9)}, Options{}, 3, -1,
			"ROOT/" + labels + " goes on after its 3 labels", ""},

		{"CIFAR", ten(map[string][]byte{"batches.meta.txt": names, "readme.html": nil}), Options{}, 10, 2, "", ""},
		{"CIFAR without a batch", ten(nil, "data_batch_3.bin"), Options{}, 8, 2, "ROOT is not the whole of CIFAR-10: data_batch_3.bin is not here", ""},
		{"CIFAR without the last", ten(nil, "data_batch_4.bin", "data_batch_5.bin"), Options{}, 6, 2, "data_batch_4.bin, data_batch_5.bin are not here", ""},
		{"CIFAR without a test", ten(nil, "test_batch.bin"), Options{}, 10, -1, "test_batch.bin is not here", ""},
		{"copies of CIFAR", ten(map[string][]byte{"data_batch_1 (1).bin": batch, "data_batch_1 copy.bin": batch, "data_batch_1.bin.part": batch, "data_batch_.bin": nil}), Options{}, 10, 2,
			"4 other files and folders in ROOT are not read: data_batch_.bin, data_batch_1 (1).bin, data_batch_1 copy.bin, data_batch_1.bin.part", ""},
		{"nothing but a copy of CIFAR", map[string][]byte{"data_batch_1 (1).bin": batch}, Options{}, 0, 0, "", "ROOT: no JPEG, PNG, GIF, BMP, TIFF or WebP images here, only other files (1 .bin; of CIFAR, give the path of one .bin file)"},
		{"CIFAR's test part alone", map[string][]byte{"test_batch.bin": batch}, Options{}, 2, -1, "test_batch.bin is all there is of ROOT, so it trains", ""},
		{"CIFAR and pictures", ten(map[string][]byte{"cat.jpg": nil}), Options{}, 10, 2, "1 other file or folder in ROOT is not read: cat.jpg", ""},
		{"names of other classes", ten(map[string][]byte{"batches.meta.txt": names[:10]}), Options{}, 10, 2, "ROOT/batches.meta.txt has 5 names for 10 classes, so they go by numbers", ""},
		{"labels not taken of CIFAR", ten(nil), Options{Labels: "none"}, 10, -1, "test_batch.bin (2 images) is not used, as labels are not taken", ""},
	} {
		root := folder(t, "x", c.files)
		train, test, err := Open(root, c.options)
		if c.err != "" {
			if want := strings.ReplaceAll(c.err, "ROOT", root); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant ... %s", c.name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		n := -1
		if test != nil {
			n = len(test.Items)
		}
		note := strings.Join(train.Notes, "|")
		if len(train.Items) != c.train || n != c.test || c.want == "" && note != "" ||
			!strings.Contains(note, strings.ReplaceAll(c.want, "ROOT", root)) || len(train.Notes) > 1 {
			t.Errorf("%s: %d train, %d score, notes %q", c.name, len(train.Items), n, train.Notes)
		}
		total := 0
		for f, data := range c.files {
			if isIDXImages(f) && (strings.HasSuffix(f, ".gz") == (c.files[strings.TrimSuffix(f, ".gz")] == nil)) {
				total += map[bool]int{true: 2, false: 3}[f == testImages]
			} else if isBatch(f) || f == "test_batch.bin" {
				total += len(data) / 3073
			}
		}
		if all, err := OpenAll(root, c.options); err != nil || len(all.Items) != total {
			t.Errorf("%s: %d of %d images are embedded, %v", c.name, len(all.Items), total, err)
		}
	}
}

// A file that is called as idx files are and is none blocks no folder of photos.
func TestForeignIDX(t *testing.T) {
	root := tree(t, "images.idx", "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "raw/my-images.idx.gz", "images.jpg.idx", "raw/images.idx")
	os.WriteFile(filepath.Join(root, "raw/images.idx"), []byte("\x00\x00\x08\x03"), 0o666)
	os.WriteFile(filepath.Join(root, "raw/my-images.idx.gz"), gz([]byte("other")), 0o666)
	train, _, err := Open(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := "4 other files are no idx file of images, whatever the name says: images.idx, images.jpg.idx, raw/images.idx, raw/my-images.idx.gz"
	if list(train) != "a/1.jpg=a a/2.jpg=a b/1.jpg=b b/2.jpg=b" || !slices.Contains(train.Notes, want) {
		t.Errorf("%s, %q", list(train), train.Notes)
	}
	for _, data := range [][]byte{idx([]int{1, 2, 2}, count(4)), idx([]int{1, 2, 2}, nil)} { // whole, and cut short
		os.WriteFile(filepath.Join(root, "images.idx"), data, 0o666)
		if train, _, err := Open(root, Options{}); err == nil && len(train.Items) != 1 ||
			err != nil && !strings.Contains(err.Error(), "images.idx: the file is cut short") {
			t.Error(list(train), err)
		}
	}
	alone := tree(t, "images.idx")
	if _, _, err := Open(alone, Options{}); err == nil || !strings.Contains(err.Error(), "images.idx: not an idx file: it begins with bytes 69 6d 61 67") {
		t.Error(err)
	}
}

// What a file takes is in proportion to what it holds.
func TestIDXBounds(t *testing.T) {
	t.Setenv(host.MemoryVariable, "100GB")
	const name = "train-images-idx3-ubyte"
	for _, c := range []struct {
		name string
		file string
		data []byte
		want string
	}{
		{"inflates without end", name + ".gz", gz(idx([]int{1 << 10, 1 << 10, 1 << 10}, bytes.Repeat([]byte{1}, 100<<20))), "grows to more than 200 times its size"},
		{"64 GiB claimed", name + ".gz", gz(idx([]int{1 << 16, 1 << 10, 1 << 10}, make([]byte, 1<<20))), "should hold 65536 images and holds 1"},
		{"many images of a pixel", name + ".gz", gz(idx([]int{64 << 20, 1, 1}, make([]byte, 1<<20))), "which is no way to keep pictures"},
		{"many images of a pixel, plain", name, idx([]int{4 << 20, 1, 1}, make([]byte, 4<<20)), "it claims 4194304 images of 1 bytes in a file of 4.2 MB"},
		{"a large image", name + ".gz", gz(idx([]int{2, 1 << 14, 1 << 14}, make([]byte, 1<<20))), "it claims images of 16384 × 16384 pixels; at most 100 million pixels are read"},
		{"goes on without end", name + ".gz", gz(append(idx([]int{3, 2, 5}, count(30)), make([]byte, 80<<20)...)), ""},
	} {
		dir := folder(t, "x", map[string][]byte{c.file: c.data})
		check.Bounded(t, 250, 3*time.Second, func() {
			_, _, err := Open(dir, Options{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}

	// Files that were fetched in part may have the size of the whole.
	dir := folder(t, "x", map[string][]byte{name: idx([]int{100, 1 << 10, 1 << 10}, count(100)), "data_batch_1.bin": cifar([]byte{3})})
	for file, size := range map[string]int64{name: 16 + 100<<20, "data_batch_1.bin": 32768 * 3073} {
		if err := os.Truncate(filepath.Join(dir, file), size); err != nil {
			t.Fatal(err)
		}
		check.Bounded(t, 250, 3*time.Second, func() {
			_, _, err := Open(filepath.Join(dir, file), Options{})
			if err == nil || !strings.Contains(err.Error(), "of it in a row are zero, which are no pictures; the file is not whole, fetch it again") {
				t.Errorf("%s: %v", file, err)
			}
		})
	}

	t.Setenv(host.MemoryVariable, "1MB")
	for file, data := range map[string][]byte{name: idx([]int{2, 1000, 1000}, make([]byte, 2e6)),
		"data_batch_1.bin": make([]byte, 1000*3073)} {
		if _, _, err := Open(folder(t, "x", map[string][]byte{file: data}), Options{}); err == nil ||
			!strings.Contains(err.Error(), "MB of memory, and VICREG_MEMORY allows 1.0 MB; take a part of them") {
			t.Error(err)
		}
	}
}
