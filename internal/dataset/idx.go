package dataset

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/host"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
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
	return strings.Contains(base, "images") && (strings.HasSuffix(base, "ubyte") || strings.HasSuffix(base, ".idx") ||
		strings.Contains(base, "idx3") || strings.Contains(base, "idx4"))
}

func isIDX(names []string) bool { return slices.ContainsFunc(names, isIDXImages) }

// foreignIDX reports whether a file has a name that other software uses too, such as
// images.idx, and lacks a whole idx header.
func foreignIDX(path string) bool {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gz")
	if !isIDXImages(name) || !strings.HasSuffix(name, ".idx") || strings.Contains(name, "ubyte") || strings.Contains(name, "idx3") {
		return false
	}
	f, _, err := openRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return false
		}
		in = bufio.NewReader(z)
	}
	head, err := in.Peek(4 + 4*4)
	if err != nil && err != io.EOF {
		return false
	}
	return len(head) < 4 || head[0] != 0 || head[1] != 0 || head[2] < 8 || head[2] > 14 || head[3] == 0 ||
		head[3] > 4 || len(head) < 4+4*int(head[3])
}

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
func openIDX(dir string, names []string) (*source, error) {
	var files []string
	for _, n := range names {
		if isIDXImages(n) && !(strings.HasSuffix(n, ".gz") && slices.Contains(names, strings.TrimSuffix(n, ".gz"))) {
			files = append(files, n)
		}
	}
	rest := slices.Clone(files)
	var first string
	for _, n := range files {
		if other := counterpart(n, files); other != "" {
			first = n
			rest = slices.DeleteFunc(rest, func(s string) bool { return s == n || s == other })
			break
		}
	}
	if first == "" {
		first, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%s: several data sets here (%s); give the path of one training images file", show.Name(dir), show.Some(files, 6))
	}
	s, err := openIDXFile(filepath.Join(dir, first))
	if err == nil && s.test == nil && strings.Contains(first, "t10k") {
		s.note("%s is all there is of %s, so it trains", show.Name(first), show.Name(dir))
	}
	return s, err
}

// openIDXFile opens an images file, the labels file beside it if there is one,
// and the test part if the name says that this is the training part.
func openIDXFile(path string) (*source, error) {
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, plain(dir, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	s := new(source)
	if s.train, err = s.readIDXPart(dir, base, names); err != nil {
		return nil, err
	}
	other := counterpart(base, names)
	if other == "" {
		return s, nil
	}
	if s.test, err = s.readIDXPart(dir, other, names); err != nil {
		return nil, err
	}
	s.part = show.Name(other)
	switch train, test := s.train, s.test; {
	case train.Classes != nil && test.Classes != nil:
		if len(test.Classes) > len(train.Classes) {
			return nil, fmt.Errorf("%s: the labels go up to %d, those of the training part up to %d only", show.Name(filepath.Join(dir, other)), len(test.Classes)-1, len(train.Classes)-1)
		}
		test.Classes = train.Classes
		train.About += fmt.Sprintf("; %s (%d images) scores", other, len(test.Items))
	case train.Classes != nil:
		s.unfit = unlabelledPart(dir, other, base)
	case test.Classes != nil:
		s.unfit = unlabelledPart(dir, base, other)
	}
	return s, nil
}

// unlabelledPart says that one of two parts has no labels.
func unlabelledPart(dir, name, other string) error {
	return fmt.Errorf("%s: it has no labels file (%s) beside it, as %s has, so nothing can be scored; put it there, or give --labels none to train without scores",
		show.Name(filepath.Join(dir, name)), show.Name(labelsName(name)), show.Name(other))
}

// labelsName returns the name of the labels file of an images file.
func labelsName(name string) string {
	return strings.NewReplacer("images", "labels", "Images", "Labels", "IMAGES", "LABELS", "idx3", "idx1", "idx4", "idx1").Replace(name)
}

func (s *source) readIDXPart(dir, name string, names []string) (*Dataset, error) {
	path := filepath.Join(dir, name)
	file, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s.files = append(s.files, name, twin(name))
	d, more, err := readIDXImages(file, size, path, name)
	if err != nil {
		return nil, err
	}
	if more {
		s.note("%s goes on after its %s; the rest is not read", show.Name(path), images(len(d.Items)))
	}
	labels := withOrWithoutGzip(labelsName(name), names)
	d.About = fmt.Sprintf("%d images in %s, ", len(d.Items), path)
	if labels == "" {
		d.About += "no labels"
		return d, nil
	}
	path = filepath.Join(dir, labels)
	lf, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer lf.Close()
	s.files = append(s.files, labels, twin(labels))
	if more, err = d.readIDXLabels(lf, size, path); err != nil {
		return nil, err
	}
	if more {
		s.note("%s goes on after its %s; the rest is not read", show.Name(path), show.Plural(len(d.Items), "label", "labels"))
	}
	if squeezed := strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(path)); strings.Contains(squeezed,
		"fashionmnist") && len(d.Classes) == 10 {
		d.Classes = fashionClasses
	}
	d.About += fmt.Sprintf("%d classes", len(d.Classes))
	return d, nil
}

// twin returns the name of the same file gzipped, or not.
func twin(name string) string {
	if stem, ok := strings.CutSuffix(name, ".gz"); ok {
		return stem
	}
	return name + ".gz"
}

// readIDXImages reads the images of a file of size bytes, gzipped or not. path is for
// errors, name for the items. more is true if the file goes on after them.
func readIDXImages(r io.Reader, size int64, path, name string) (d *Dataset, more bool, err error) {
	in, err := openIDXData(r, size, path, "images")
	if err != nil {
		return nil, false, err
	}
	dims, channels := in.dims, 1
	if len(dims) == 4 {
		channels = dims[3]
	}
	if len(dims) != 3 && len(dims) != 4 || channels != 1 && channels != 3 {
		return nil, false, fmt.Errorf("%s: an idx file of shape %v; images have count × height × width, grey, or × 3 more", show.Name(path), dims)
	}
	n, h, w := dims[0], dims[1], dims[2]
	pixels := h * w * channels
	if h > imagefile.MaxPixels/w {
		return nil, false, fmt.Errorf("%s: it claims images of %d × %d pixels; at most %d million pixels are read", show.Name(path), w, h, imagefile.MaxPixels/1_000_000)
	}
	data, more, err := in.read(n, pixels)
	if err != nil {
		return nil, false, err
	}
	d = &Dataset{Name: dataName(path), Channels: channels, Items: make([]Item, n)}
	all := make([]imagefile.Image, n)
	for i := range d.Items {
		pix := data.item(i)
		all[i] = imagefile.Image{W: w, H: h, C: channels, Pix: pix}
		d.Items[i] = Item{Name: fmt.Sprintf("%s[%d]", name, i), Label: -1, Image: &all[i]}
	}
	return d, more, nil
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

func (d *Dataset) readIDXLabels(r io.Reader, size int64, path string) (more bool, err error) {
	in, err := openIDXData(r, size, path, "labels")
	if err != nil {
		return false, err
	}
	if len(in.dims) != 1 || in.dims[0] != len(d.Items) {
		return false, fmt.Errorf("%s: an idx file of shape %v, but there are %d images to label", show.Name(path), in.dims, len(d.Items))
	}
	labels, more, err := in.read(len(d.Items), 1)
	if err != nil {
		return false, err
	}
	top := 0
	for i := range d.Items {
		d.Items[i].Label = int(labels.item(i)[0])
		top = max(top, d.Items[i].Label)
	}
	for i := range top + 1 {
		d.Classes = append(d.Classes, fmt.Sprint(i))
	}
	return more, nil
}

// idxData is an idx file of unsigned bytes behind its header.
type idxData struct {
	in         *bufio.Reader
	path, what string
	dims       []int
	size       int64       // of the file
	zipped     *countingIn // what is read of a gzipped file; nil: it is not gzipped
}

// countingIn counts the bytes read.
type countingIn struct {
	r io.Reader
	n int64
}

func (c *countingIn) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// openIDXData reads the header of a file of size bytes, gzipped or not.
func openIDXData(r io.Reader, size int64, path, what string) (*idxData, error) {
	d := &idxData{path: path, what: what, size: size}
	file := &countingIn{r: r}
	d.in = bufio.NewReader(file)
	if magic, _ := d.in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(d.in)
		if err != nil {
			return nil, fmt.Errorf("%s: broken gzip file (%w); fetch it again", show.Name(path), err)
		}
		d.in, d.zipped = bufio.NewReader(z), file
	}
	var head [4]byte
	if _, err := io.ReadFull(d.in, head[:]); err != nil {
		return nil, d.cutShort(err)
	}
	if head[0] != 0 || head[1] != 0 || head[3] == 0 || head[3] > 4 {
		return nil, fmt.Errorf("%s: not an idx file: it begins with bytes % x", show.Name(path), head)
	}
	if head[2] != 8 {
		return nil, fmt.Errorf("%s: an idx file of elements of type 0x%02x; only unsigned bytes (0x08) are read", show.Name(path), head[2])
	}
	total := int64(1)
	for range head[3] {
		var n uint32
		if err := binary.Read(d.in, binary.BigEndian, &n); err != nil {
			return nil, d.cutShort(err)
		}
		if n == 0 {
			return nil, fmt.Errorf("%s: the idx file holds no %s", show.Name(path), what)
		}
		d.dims = append(d.dims, int(n))
		if total > 1<<36/int64(n) { // 64 GiB; also keeps the product from overflowing
			return nil, fmt.Errorf("%s: the idx file claims more than 64 GiB of %s; it is broken", show.Name(path), what)
		}
		total *= int64(n)
	}
	return d, nil
}

// Bounds of what a file may take.
const (
	idxFree  = 64 << 20 // bytes that any file may grow to, and that its Items may take
	idxChunk = 16 << 20 // bytes that are read at a time, if an image is not larger
	idxRatio = 200      // times its size that a gzipped file may grow to beyond idxFree; pictures grow 2 to 20 times
	idxItems = 4        // bytes that Items may take beyond idxFree for each byte of the file
)

// chunks hold items of equal size, as many in each as fit.
type chunks struct {
	each, per int
	data      [][]byte
}

func (c *chunks) item(i int) []byte {
	data, at := c.data[i/c.per], i%c.per*c.each
	return data[at : at+c.each : at+c.each]
}

// read returns n items of so many bytes each. more is true if the file goes on after
// them. It does not trust the header: it takes memory only as bytes come.
func (d *idxData) read(n, each int) (data *chunks, more bool, err error) {
	total := int64(n) * int64(each)
	path := show.Name(d.path)
	if there := d.size - int64(4+4*len(d.dims)); d.zipped == nil && there < total {
		return nil, false, d.missing(io.ErrUnexpectedEOF, there/int64(each))
	}
	if d.what == "images" {
		if int64(n) > (idxFree+idxItems*d.size)/itemBytes {
			return nil, false, fmt.Errorf("%s: it claims %d images of %s in a file of %s, which is no way to keep pictures; it is broken, or no idx file", path, n, host.Bytes(float64(each)), host.Bytes(float64(d.size)))
		}
		if err := fits(d.path, float64(total), n); err != nil {
			return nil, false, err
		}
	}
	data = &chunks{each: each, per: max(1, idxChunk/each)}
	var got int64
	zeros := zeroRun{path: d.path}
	for got < total {
		want := min(int64(data.per)*int64(each), total-got)
		chunk, err := readAll(d.in, int(want))
		got += int64(len(chunk))
		if err != nil {
			return nil, false, d.missing(err, got/int64(each))
		}
		if d.zipped != nil && got > idxFree+idxRatio*d.zipped.n {
			return nil, false, fmt.Errorf("%s: the gzipped file grows to more than %d times its size, which pictures never do; it is broken, or made to fill the memory", path, idxRatio)
		}
		if err := zeros.add(chunk); err != nil {
			return nil, false, err
		}
		data.data = append(data.data, chunk)
	}
	// gzip's checksum comes last, behind what is not read if that is not very much. Whatever
	// follows a gzipped file and is not gzip is ignored.
	_, err = d.in.ReadByte()
	more = err == nil || errors.Is(err, gzip.ErrHeader)
	if err == nil && d.zipped != nil {
		_, err = io.CopyN(io.Discard, d.in, idxFree)
	}
	if err == nil || err == io.EOF || errors.Is(err, gzip.ErrHeader) {
		return data, more, nil
	}
	return nil, false, d.cutShort(err)
}

// readAll reads n bytes; where there are many it takes memory as they come.
func readAll(in io.Reader, n int) ([]byte, error) {
	data := make([]byte, min(n, idxChunk))
	for at := 0; ; {
		k, err := io.ReadFull(in, data[at:])
		at += k
		if err != nil || at == n {
			return data[:at], err
		}
		data = append(data, make([]byte, min(n-at, at))...)
	}
}

// missing says that only so many items are there.
func (d *idxData) missing(err error, there int64) error {
	return fmt.Errorf("%w: it should hold %d %s and holds %d", d.cutShort(err), d.dims[0], d.what, there)
}

func (d *idxData) cutShort(err error) error {
	path := show.Name(d.path)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: the file is cut short; fetch it again", path)
	}
	return fmt.Errorf("%s: cannot be read (%w); fetch it again", path, reason(err))
}
