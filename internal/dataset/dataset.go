// Package dataset lists the images of a data set and their labels. It decodes
// nothing: an item is the path of a file, or pixels that were stored as they
// are.
//
// [Open] takes
//
//   - "" or "sample": the embedded sample, Fashion-MNIST's 10,000 test images
//     (a folder of that name is ./sample);
//   - "fashion-mnist": Debian's package dataset-fashion-mnist, or a folder of
//     that name;
//   - a folder tree of images, with train/ and test/ (or val/) inside or not;
//   - a folder or a file of CIFAR-10 or CIFAR-100 in its binary version;
//   - a folder or a file of the MNIST family (idx, gzipped or not);
//   - a file that vicreg pack made of one of these.
package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vicreg/internal/imagefile"
)

// Item is one image: a file at Path, or pixels.
type Item struct {
	Name  string // below the folder that was opened, with slashes; or file[i]
	Label int    // index into the data set's classes; -1: none
	Path  string // empty if Image holds the pixels
	Image imagefile.Image
}

// Dataset is a list of images in a fixed order.
type Dataset struct {
	Name     string // for people
	Items    []Item
	Classes  []string // names; nil if the images have no labels
	Channels int      // 1 or 3; 0: not known before decoding
	About    string   // where images and labels come from, in a line for people

	// Notes say what of the source is not in the data set, and what was guessed
	// of it, a sentence each: other files, rows without a label, parts not used.
	Notes []string

	// Mapped says that the items' pixels lie in a mapped file, from which they
	// are read as they are used.
	Mapped bool
	sum    string // of that file
}

// Options say how to read a data set.
type Options struct {
	// Labels is "auto" (or empty), "folders" or "none". With auto, the
	// sub-folders of an image folder are its classes if every image lies
	// directly in one, there are two or more, and twice as many images; or, in
	// train/, if every image lies somewhere below one and test/ or val/ has
	// the same names. With folders, the first sub-folder on an image's path is
	// its class. With none, labels are forgotten.
	Labels string

	// Holdout is the share of each class that is kept for scoring where
	// labels exist and no test set does; 0 keeps none. The images held out
	// are spread evenly over the class: at least one of each class of two or
	// more, and never the whole class.
	Holdout float64

	every bool // list also the parts of a folder that neither train nor score
}

// Open reads the list of images that spec names. test is nil unless train and
// test both have labels.
func Open(spec string, o Options) (train, test *Dataset, err error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	train, test, err = open(spec, o)
	if err != nil {
		return nil, nil, err
	}
	if o.Labels == "none" || train.Classes == nil {
		train.forgetLabels()
		return train, nil, nil
	}
	if test == nil {
		train, test = train.split(o.Holdout)
	}
	return train, test, nil
}

// OpenAll reads the list of all images that spec names: the training part, then
// the others, whether they have labels or not. Nothing is held out.
func OpenAll(spec string, o Options) (*Dataset, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.every = true
	all, test, err := open(spec, o)
	if err != nil {
		return nil, err
	}
	if test != nil {
		all.Items = append(all.Items, test.Items...)
	}
	if o.Labels == "none" || all.Classes == nil {
		all.forgetLabels()
	}
	return all, nil
}

func (o Options) check() error {
	switch o.Labels {
	case "", "auto", "folders", "none":
	default:
		return fmt.Errorf("labels %q: must be auto, folders or none", o.Labels)
	}
	if !(o.Holdout >= 0 && o.Holdout < 1) {
		return fmt.Errorf("holdout %v: must be a share from 0 to below 1", o.Holdout)
	}
	return nil
}

// open is Open before labels are forgotten or images held out.
func open(spec string, o Options) (train, test *Dataset, err error) {
	switch strings.ToLower(spec) {
	case "", "sample":
		return sample()
	case "fashion-mnist", "fashionmnist":
		if train, test, err = openFolder(debianFolder, o); !errors.Is(err, fs.ErrNotExist) {
			return train, test, err
		}
	}
	path := spec
	if rest, ok := strings.CutPrefix(path, "~"+string(filepath.Separator)); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return openFolder(path, o)
	case err == nil:
		return openFile(path)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, plain(path, err)
	}
	switch strings.ToLower(spec) {
	case "fashion-mnist", "fashionmnist":
		return nil, nil, fmt.Errorf("%s: not found in %s; install it (apt-get install dataset-fashion-mnist), or give the path of a folder that holds its four files", spec, debianFolder)
	case "cifar10", "cifar-10", "cifar100", "cifar-100":
		archive := "cifar-10-binary.tar.gz"
		if strings.HasSuffix(spec, "100") {
			archive = "cifar-100-binary.tar.gz"
		}
		return nil, nil, fmt.Errorf("%s: no folder of that name here; fetch https://www.cs.toronto.edu/~kriz/%s, unpack it into a folder %[1]s here (mkdir %[1]s; tar -xzf %[2]s -C %[1]s), or give the path of the folder it was unpacked in", spec, archive)
	case "mnist":
		return nil, nil, errors.New("mnist: no folder of that name here; put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the two t10k files into one and give its path")
	}
	return nil, nil, fmt.Errorf("%s: no such file or folder; give a folder of images, a CIFAR or MNIST folder, or one of the names sample and fashion-mnist", spec)
}

// openFolder tells what kind of data set a folder holds.
func openFolder(path string, o Options) (train, test *Dataset, err error) {
	// Archives unpack into these, or torchvision keeps them so.
	for _, inner := range []string{"", "cifar-10-batches-bin", "cifar-100-binary", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "raw"} {
		dir := filepath.Join(path, filepath.FromSlash(inner))
		entries, err := os.ReadDir(dir)
		if err != nil {
			if inner == "" {
				return nil, nil, plain(dir, err)
			}
			continue
		}
		var names []string
		for _, e := range entries {
			if !e.IsDir() {
				names = append(names, e.Name())
			}
		}
		if isCIFAR(names) {
			return openCIFAR(dir, names)
		}
		if isIDX(names) {
			return openIDX(dir, names)
		}
		for _, e := range entries {
			if n := e.Name(); n == "cifar-10-batches-py" || n == "cifar-100-python" || n == "batches.meta" {
				return nil, nil, fmt.Errorf("%s: this is CIFAR's Python version; get the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz) and unpack that", dir)
			}
		}
	}
	return openImages(path, o)
}

// openFile reads a data set of one file, by its name's ending or its size.
func openFile(path string) (train, test *Dataset, err error) {
	lower := strings.ToLower(path)
	switch {
	case isPacked(path):
		return openPacked(path)
	case isImage(lower):
		return nil, nil, fmt.Errorf("%s: this is one image; give the folder of all of them", path)
	case isIDXImages(lower):
		return openIDXFile(path)
	case strings.HasSuffix(lower, ".bin"):
		return openCIFARFile(path)
	case strings.HasSuffix(lower, ".zip"), strings.HasSuffix(lower, ".tar"), strings.HasSuffix(lower, ".gz"), strings.HasSuffix(lower, ".tgz"):
		return nil, nil, fmt.Errorf("%s: this is an archive; unpack it and give the folder", path)
	}
	return nil, nil, fmt.Errorf("%s: neither a folder of images nor an idx images file (…images-idx3-ubyte, .gz or not) nor a CIFAR file (.bin) nor a packed data set", path)
}

// plain words an error of the file system: the path once, and the reason.
func plain(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func (d *Dataset) forgetLabels() {
	d.Classes = nil
	for i := range d.Items {
		d.Items[i].Label = -1
	}
}

// Labels returns the label of every item.
func (d *Dataset) Labels() []int {
	labels := make([]int, len(d.Items))
	for i, item := range d.Items {
		labels[i] = item.Label
	}
	return labels
}

// Limit keeps n items spread evenly over the list (item ⌊i·len/n⌋ for each i),
// so that a folder sorted by class keeps all its classes. n ≤ 0, or more than
// there are, keeps all.
func (d *Dataset) Limit(n int) {
	if n <= 0 || n >= len(d.Items) {
		return
	}
	kept := make([]Item, n)
	for i := range kept {
		kept[i] = d.Items[i*len(d.Items)/n]
	}
	d.Items = kept
}

// Remove drops the items of the given indices.
func (d *Dataset) Remove(indices []int) {
	drop := make(map[int]bool, len(indices))
	for _, i := range indices {
		drop[i] = true
	}
	kept := make([]Item, 0, len(d.Items))
	for i, item := range d.Items {
		if !drop[i] {
			kept = append(kept, item)
		}
	}
	d.Items = kept
}

// split holds out a share of each class for scoring, see Options.Holdout. test
// is nil if nothing is held out.
func (d *Dataset) split(share float64) (train, test *Dataset) {
	size := make([]int, len(d.Classes))
	for _, item := range d.Items {
		if item.Label >= 0 {
			size[item.Label]++
		}
	}
	rest, held := *d, *d
	rest.Items, held.Items = nil, nil
	seen := make([]int, len(d.Classes))
	const slack = 1e-9 // a share such as 0.1 is not exact
	for _, item := range d.Items {
		out := false
		if item.Label >= 0 && share > 0 {
			m := size[item.Label]
			want := max(min(int(float64(m)*share+slack), m-1), min(1, m-1))
			// The j-th of m items goes if the count due steps up after it.
			j := seen[item.Label]
			out = (j+1)*want/m > j*want/m
			seen[item.Label]++
		}
		if out {
			held.Items = append(held.Items, item)
		} else {
			rest.Items = append(rest.Items, item)
		}
	}
	if len(held.Items) == 0 {
		return d, nil
	}
	rest.About += fmt.Sprintf("; %d images of them held out for scoring", len(held.Items))
	return &rest, &held
}

// Fingerprint names the data set's contents, so that a run is not resumed on
// other data: it changes with the names, the labels, the order, and the pixels
// that are held here or packed, not with those of other files.
func (d *Dataset) Fingerprint() string {
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	h.Write([]byte(d.sum))
	for _, item := range d.Items {
		fmt.Fprintf(h, "%s\x00%d\x00", item.Name, item.Label)
		if item.Path == "" && d.sum == "" {
			binary.Write(h, binary.LittleEndian, [3]int64{int64(item.Image.W), int64(item.Image.H), int64(item.Image.C)})
			h.Write(item.Image.Pix)
		}
	}
	return fmt.Sprintf("%d-%016x", len(d.Items), h.Sum64())
}
