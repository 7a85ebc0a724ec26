package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	zipped := gz(good)
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"cut", map[string][]byte{images: good[:len(good)-7]}, images + ": the file is cut short; fetch it again: it should hold 3 images and holds 2"},
		{"cut gzip", map[string][]byte{images + ".gz": zipped[:len(zipped)-12]}, "cut short"},
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
		if m.W != 32 || m.H != 32 || m.C != 3 || !bytes.Equal(m.Pix[:6], []byte{3, 13, 23, 3, 13, 23}) || m.Pix[3071] != 77 {
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
