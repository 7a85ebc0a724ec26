// Package index keeps the features of many images in one file, to be searched for the
// nearest by cosine. [Create] writes such a file, [Open] reads what it says of itself,
// and [File.Search] reads the features as it needs them.
//
// A file is a header of 64 bytes, the features of every image as little-endian
// float32, each image's scaled to length 1, and a table of contents. All numbers are
// little-endian.
//
//	 0  magic "VICREGIX"
//	 8  version, 4 bytes; then 4 of zeros
//	16  size of the file
//	24  where the table of contents begins
//	32  CRC-64 (ECMA) of the table of contents
//	40  16 bytes of zeros
//	56  CRC-64 of the header so far
//
// The table of contents is a sequence of unsigned varints, of strings, which are a
// varint and as many bytes, and of numbers of fixed width, in the order of
// (*File).contents. Features are read in blocks of at most 128 images, each of which
// has a CRC-32C there. So every byte of a file has a checksum, which is held against it
// each time before it is used.
//
// With lists, images lie grouped around centroids of spherical k-means, and a search
// reads the groups of the nearest centroids alone: an inverted file. How many of them
// find at least 95% of the ten nearest was measured when the file was made, on images
// held back from the centroids.
package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/host"
)

const (
	magic       = "VICREGIX"
	version     = 1
	headerSize  = 64
	blockRows   = 128     // images in a block
	mostDim     = 1 << 20 // values of an image
	smallTable  = 8 << 20 // bytes that any machine has room for
	mostClasses = 1 << 20
)

var (
	table      = crc64.MakeTable(crc64.ECMA)
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Model is what made the features: those of another model cannot be compared with them.
type Model struct {
	Path      string // of its file, as it was then
	Sum       string // checksum of its weights
	Method    string
	Arch      string
	Size      int // width and height of an input, in pixels
	Channels  int
	Mean, Std []float64
	Precision string // of the products that made the features
}

// Meta is what a file says beside its features.
type Meta struct {
	Model   Model
	Dataset string   // name of the data
	Source  string   // as --data takes it, from any folder; empty: images named one by one
	Root    string   // the folder that files lie below, absolute
	Classes []string // names
}

// Item is an image of an index.
type Item struct {
	Name  string
	File  string // below Meta.Root, with slashes; ".": Name; empty: its pixels are in no file of their own
	Label int    // index into the classes; -1: none
}

// File is an opened index, or one in memory. Any number of goroutines may search it.
type File struct {
	Meta
	Path   string // empty: in memory
	D      int    // values of an image
	Items  []Item
	Lists  int     // groups; 0: every search is exact
	Probe  int     // groups that a search reads unless it says otherwise
	Recall float64 // at 10, of that many groups, on images held back

	lengths   []int     // images of each group; one of all images where there are no lists
	centroids []float32 // Lists × D
	order     []uint32  // the image of each row of the file; nil: in order
	blocks    []block
	starts    []int    // of each group, its first block; and where the last ends
	sums      []uint32 // CRC-32C of each block

	r    io.ReaderAt
	file *os.File
	rows []float32 // in memory
}

// block is a piece of the file, all of one group.
type block struct{ row, rows, group int }

// Is reports whether the file at path begins as an index does.
func Is(path string) bool { return durable.Begins(path, magic) }

// Of returns an index in memory of the features of items, which it scales to length 1.
func Of(meta Meta, items []Item, features []float32, d int) *File {
	if d < 1 || len(features) != len(items)*d {
		panic(fmt.Sprintf("index: %d values of %d images of %d", len(features), len(items), d))
	}
	f := &File{Meta: meta, D: d, Items: items, rows: features}
	unit(features, d)
	f.lengths = []int{len(items)}
	f.cut()
	return f
}

// Open reads header and table of contents of the file at path, and checks them whole.
func Open(path string) (*File, error) {
	info, err := os.Stat(path) // a pipe would not open
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("an index must be a regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, durable.Reason(err))
	}
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, durable.Reason(err))
	}
	f, err := newFile(h, info.Size(), path)
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.file = h
	return f, nil
}

// Close closes the file.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

const again = "make it anew with vicreg index"

// newFile reads what the size bytes behind r say of themselves.
func newFile(r io.ReaderAt, length int64, path string) (*File, error) {
	header := make([]byte, min(length, headerSize))
	if err := readAt(r, header, 0); err != nil {
		return nil, err
	}
	switch {
	case len(header) < len(magic) || string(header[:len(magic)]) != magic:
		return nil, errors.New("not an index; vicreg index makes one")
	case len(header) < headerSize:
		return nil, errors.New("this index is cut short within its header; " + again)
	case crc64.Checksum(header[:56], table) != binary.LittleEndian.Uint64(header[56:]):
		return nil, errors.New("the header of this index is damaged; " + again)
	}
	// The version counts from here on alone: every version begins like this.
	if v := binary.LittleEndian.Uint32(header[8:]); v != version {
		return nil, fmt.Errorf("this index is of version %d, and version %d is read here; %s", v, version, again)
	}
	size, at := binary.LittleEndian.Uint64(header[16:]), binary.LittleEndian.Uint64(header[24:])
	switch {
	case uint64(length) < size:
		return nil, fmt.Errorf("this index is cut short: it has %d of %d bytes; %s", length, size, again)
	case uint64(length) > size:
		return nil, fmt.Errorf("this index has %d bytes, which are %d too many; %s", length, uint64(length)-size, again)
	case at < headerSize || at > size:
		return nil, errors.New("the table of contents of this index is damaged; " + again)
	}
	// Names take several times what they take in the file.
	if need, limit := 8*float64(size-at), host.MemoryLimit(); size-at > smallTable && need > limit.Bytes {
		return nil, fmt.Errorf("the table of contents of this index takes %s of memory, but %s", host.Bytes(need), limit)
	}
	contents := make([]byte, size-at)
	if err := readAt(r, contents, int64(at)); err != nil {
		return nil, err
	}
	if crc64.Checksum(contents, table) != binary.LittleEndian.Uint64(header[32:]) {
		return nil, errors.New("the table of contents of this index is damaged; " + again)
	}
	f := &File{Path: path, r: r}
	if !f.parse(contents, int64(at)-headerSize) {
		return nil, errors.New("the table of contents of this index makes no sense; " + again)
	}
	return f, nil
}

// readAt fills b from place at.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		if err == io.EOF {
			return errors.New("the file was cut short while it was in use; " + again)
		}
		return durable.Reason(err)
	}
	return nil
}

// cut divides the rows of every group into blocks.
func (f *File) cut() {
	f.starts = make([]int, 0, len(f.lengths)+1)
	row := 0
	for group, n := range f.lengths {
		f.starts = append(f.starts, len(f.blocks))
		for end := row + n; row < end; {
			b := block{row, min(blockRows, end-row), group}
			f.blocks = append(f.blocks, b)
			row += b.rows
		}
	}
	f.starts = append(f.starts, len(f.blocks))
}

// read returns the features of a block, in buf or where they are.
func (f *File) read(i int, buf []float32) ([]float32, error) {
	b := f.blocks[i]
	if f.r == nil {
		return f.rows[b.row*f.D : (b.row+b.rows)*f.D], nil
	}
	x := buf[:b.rows*f.D]
	raw := bytesOf(x)
	if err := readAt(f.r, raw, headerSize+4*int64(b.row)*int64(f.D)); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	if sum := crc32.Checksum(raw, castagnoli); sum != f.sums[i] {
		return nil, fmt.Errorf("%s is damaged: the checksum of images %d to %d is %08x, but was %08x when they were written; %s",
			f.Path, b.row+1, b.row+b.rows, sum, f.sums[i], again)
	}
	fromLittle(x)
	return x, nil
}

// item returns which image a row of the file is of.
func (f *File) item(row int) int {
	if f.order == nil {
		return row
	}
	return int(f.order[row])
}

// Vector returns the features of an image, of length 1.
func (f *File) Vector(item int) ([]float32, error) {
	row := item
	if f.order != nil {
		row = slices.Index(f.order, uint32(item))
	}
	i, found := slices.BinarySearchFunc(f.blocks, row, func(b block, row int) int {
		switch {
		case row < b.row:
			return 1
		case row >= b.row+b.rows:
			return -1
		}
		return 0
	})
	if !found {
		panic(fmt.Sprintf("index: image %d of %d", item, len(f.Items)))
	}
	x, err := f.read(i, make([]float32, f.blocks[i].rows*f.D))
	if err != nil {
		return nil, err
	}
	at := (row - f.blocks[i].row) * f.D
	return slices.Clone(x[at : at+f.D]), nil
}

// FileOf returns the file of an image, empty if it is in none of its own.
func (f *File) FileOf(item int) string {
	name := f.Items[item].File
	switch {
	case name == "":
		return ""
	case name == ".":
		name = f.Items[item].Name
	}
	if name = filepath.FromSlash(name); filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.Root, name)
}

// At returns the image whose file is the one at path, or -1.
func (f *File) At(path string) int {
	is, err := os.Stat(path)
	if err != nil {
		return -1
	}
	base := filepath.Base(path)
	for i := range f.Items {
		if !strings.HasSuffix(f.Items[i].Name, base) && !strings.HasSuffix(f.Items[i].File, base) {
			continue
		}
		if file := f.FileOf(i); file != "" {
			if st, err := os.Stat(file); err == nil && os.SameFile(is, st) {
				return i
			}
		}
	}
	return -1
}

// Class returns the name of the class of an image, empty if it has none.
func (f *File) Class(item int) string {
	if l := f.Items[item].Label; l >= 0 {
		return f.Classes[l]
	}
	return ""
}
