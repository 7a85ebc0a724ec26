package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
)

// The idx format (http://yann.lecun.com/exdb/mnist): two zero bytes, the type
// of the elements (8: unsigned bytes), the number of dimensions, each
// dimension as a big-endian 32-bit number, the elements.

// fashionClasses are the labels of Fashion-MNIST, in order.
var fashionClasses = []string{
	"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
}

// debianFolder is where Debian's package dataset-fashion-mnist puts its files.
const debianFolder = "/usr/share/datasets/fashion-mnist"

// isIDXImages reports whether a file's name says that it holds images.
func isIDXImages(name string) bool {
	base := strings.TrimSuffix(strings.ToLower(filepath.Base(name)), ".gz")
	return strings.Contains(base, "images") && (strings.HasSuffix(base, "ubyte") || strings.HasSuffix(base, ".idx") || strings.Contains(base, "idx3") || strings.Contains(base, "idx4"))
}

func isIDX(names []string) bool { return slices.ContainsFunc(names, isIDXImages) }

// A part of a data set's file names, and what the other part has there.
var trainTest = [][2]string{{"train", "t10k"}, {"train", "test"}}

// counterpart returns the test file of a training file, "" if there is none
// among names.
func counterpart(name string, names []string) string {
	for _, tt := range trainTest {
		i := strings.LastIndex(name, tt[0])
		if i < 0 {
			continue
		}
		if other := withOrWithoutGzip(name[:i]+tt[1]+name[i+len(tt[0]):], names); other != "" {
			return other
		}
	}
	return ""
}

func withOrWithoutGzip(name string, names []string) string {
	stem := strings.TrimSuffix(name, ".gz")
	for _, n := range []string{stem, stem + ".gz"} {
		if slices.Contains(names, n) {
			return n
		}
	}
	return ""
}

// openIDX opens a folder that holds the images files of one data set.
func openIDX(dir string, names []string) (train, test *Dataset, err error) {
	var images []string
	for _, n := range names {
		if isIDXImages(n) && !(strings.HasSuffix(n, ".gz") && slices.Contains(names, strings.TrimSuffix(n, ".gz"))) {
			images = append(images, n)
		}
	}
	rest := slices.Clone(images)
	var first string
	for _, n := range images {
		if other := counterpart(n, images); other != "" {
			first = n
			rest = slices.DeleteFunc(rest, func(s string) bool { return s == n || s == other })
			break
		}
	}
	if first == "" {
		first, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		return nil, nil, fmt.Errorf("%s: several data sets here (%s); give the path of one training images file", dir, strings.Join(images, ", "))
	}
	return openIDXFile(filepath.Join(dir, first))
}

// openIDXFile opens an images file, the labels file beside it if there is one,
// and the test part if the name says that this is the training part.
func openIDXFile(path string) (train, test *Dataset, err error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, nil, plain(dir, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	train, err = readIDXPart(dir, base, names)
	if err != nil {
		return nil, nil, err
	}
	if other := counterpart(base, names); other != "" {
		if test, err = readIDXPart(dir, other, names); err != nil {
			return nil, nil, err
		}
		if train.Classes != nil && test.Classes != nil {
			if len(test.Classes) > len(train.Classes) {
				return nil, nil, fmt.Errorf("%s: the labels go up to %d, those of the training part up to %d only", filepath.Join(dir, other), len(test.Classes)-1, len(train.Classes)-1)
			}
			test.Classes = train.Classes
			train.About += fmt.Sprintf("; %s (%d images) scores", other, len(test.Items))
			return train, test, nil
		}
	}
	return train, nil, nil
}

func readIDXPart(dir, name string, names []string) (*Dataset, error) {
	path := filepath.Join(dir, name)
	file, err := os.Open(path)
	if err != nil {
		return nil, plain(path, err)
	}
	defer file.Close()
	d, err := readIDXImages(file, path, name)
	if err != nil {
		return nil, err
	}
	replace := strings.NewReplacer("images", "labels", "idx3", "idx1", "idx4", "idx1")
	labels := withOrWithoutGzip(replace.Replace(name), names)
	d.About = fmt.Sprintf("%d images in %s, ", len(d.Items), path)
	if labels == "" {
		d.About += "no labels"
		return d, nil
	}
	path = filepath.Join(dir, labels)
	lf, err := os.Open(path)
	if err != nil {
		return nil, plain(path, err)
	}
	defer lf.Close()
	if err := d.readIDXLabels(lf, path); err != nil {
		return nil, err
	}
	if squeezed := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(path)); strings.Contains(squeezed, "fashionmnist") && len(d.Classes) == 10 {
		d.Classes = fashionClasses
	}
	d.About += fmt.Sprintf("%d classes", len(d.Classes))
	return d, nil
}

// readIDXImages reads the images; path is for errors, name for the items.
func readIDXImages(r io.Reader, path, name string) (*Dataset, error) {
	dims, data, err := readIDX(r, path, "images")
	if err != nil {
		return nil, err
	}
	channels := 1
	if len(dims) == 4 {
		channels = dims[3]
	}
	if len(dims) != 3 && len(dims) != 4 || channels != 1 && channels != 3 {
		return nil, fmt.Errorf("%s: an idx file of shape %v; images have count × height × width, grey, or × 3 more", path, dims)
	}
	h, w := dims[1], dims[2]
	size := h * w * channels
	d := &Dataset{Name: dataName(path), Channels: channels, Items: make([]Item, dims[0])}
	for i := range d.Items {
		pix := data[i*size : (i+1)*size : (i+1)*size]
		d.Items[i] = Item{Name: fmt.Sprintf("%s[%d]", name, i), Label: -1, Image: imagefile.Image{W: w, H: h, C: channels, Pix: pix}}
	}
	return d, nil
}

// dataName calls a data set after the folder of its files.
func dataName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	dir := filepath.Dir(path)
	if filepath.Base(dir) == "raw" {
		dir = filepath.Dir(dir)
	}
	return filepath.Base(dir)
}

func (d *Dataset) readIDXLabels(r io.Reader, path string) error {
	dims, labels, err := readIDX(r, path, "labels")
	if err != nil {
		return err
	}
	if len(dims) != 1 || dims[0] != len(d.Items) {
		return fmt.Errorf("%s: an idx file of shape %v, but there are %d images to label", path, dims, len(d.Items))
	}
	for i, l := range labels {
		d.Items[i].Label = int(l)
	}
	for i := range int(slices.Max(labels)) + 1 {
		d.Classes = append(d.Classes, fmt.Sprint(i))
	}
	return nil
}

// readIDX reads a file of unsigned bytes, gzipped or not.
func readIDX(r io.Reader, path, what string) (dims []int, data []byte, err error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: broken gzip file (%w); fetch it again", path, err)
		}
		in = bufio.NewReader(z)
	}
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, nil, cutShort(path, err)
	}
	if head[0] != 0 || head[1] != 0 || head[3] == 0 || head[3] > 4 {
		return nil, nil, fmt.Errorf("%s: not an idx file: it begins with bytes % x", path, head)
	}
	if head[2] != 8 {
		return nil, nil, fmt.Errorf("%s: an idx file of elements of type 0x%02x; only unsigned bytes (0x08) are read", path, head[2])
	}
	total := int64(1)
	for range head[3] {
		var n uint32
		if err := binary.Read(in, binary.BigEndian, &n); err != nil {
			return nil, nil, cutShort(path, err)
		}
		if n == 0 {
			return nil, nil, fmt.Errorf("%s: the idx file holds no %s", path, what)
		}
		dims = append(dims, int(n))
		if total > 1<<36/int64(n) { // 64 GiB; also keeps the product from overflowing
			return nil, nil, fmt.Errorf("%s: the idx file claims more than 64 GiB of %s; it is broken", path, what)
		}
		total *= int64(n)
	}
	// The header is not trusted: memory grows with what is really there.
	var buf bytes.Buffer
	buf.Grow(int(min(total, 64<<20)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(in, total))
	if err == nil && n < total {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		item := total / int64(dims[0])
		return nil, nil, fmt.Errorf("%w: it should hold %d %s and holds %d", cutShort(path, err), dims[0], what, n/item)
	}
	if _, err := in.ReadByte(); err != nil && err != io.EOF { // gzip's checksum comes last
		return nil, nil, cutShort(path, err)
	}
	return dims, buf.Bytes(), nil
}

func cutShort(path string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: the file is cut short; fetch it again", path)
	}
	return fmt.Errorf("%s: cannot be read (%w); fetch it again", path, err)
}
