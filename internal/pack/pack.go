// Package pack keeps a data set in one file: images already decoded, with their
// names, labels and classes, and the split into a part to train on and one to
// score. [Create] writes such a file, [Open] maps one into memory, where its
// images are read in place.
//
// A file is a header of 64 bytes, the pixels of every image one after the
// other, each image at a multiple of 64 bytes, and an index. All numbers are
// little-endian.
//
//	 0  magic "VICREGPK"
//	 8  version, 4 bytes; then 4 of zeros
//	16  size of the file
//	24  where the index begins
//	32  CRC-64 (ECMA) of the index
//	40  CRC-64 of the pixels of all images in their order
//	48  8 bytes of zeros
//	56  CRC-64 of the header so far
//
// The index is a sequence of unsigned varints and of strings, which are a
// varint and as many bytes: the data set's name; the number of classes and the
// name of each; then for the images that train and again for those that score,
// their number and for each its name, label+1, width, height, channels, and
// place / 64.
package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"os"

	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
)

const (
	magic      = "VICREGPK"
	version    = 1
	headerSize = 64
	align      = 64
)

var table = crc64.MakeTable(crc64.ECMA)

// Item is one image.
type Item struct {
	Name  string
	Label int             // index into the classes; -1: none
	Image imagefile.Image // of an opened file: in place, not to be written to
}

// File is an opened file. It stays mapped as long as the process runs.
type File struct {
	Name        string // of the data set that was packed
	Classes     []string
	Train, Test []Item
	Sum         uint64 // checksum of all that the file holds
}

// Is reports whether the file at path begins as a packed data set does.
func Is(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(magic))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == magic
}

// Open maps the file at path and reads its index. Header and index are checked
// whole; pixels are read when they are used.
func Open(path string) (*File, error) {
	data, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, durable.Reason(err))
	}
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func parse(data []byte) (*File, error) {
	switch {
	case len(data) < len(magic) || string(data[:len(magic)]) != magic:
		return nil, errors.New("not a packed data set; vicreg pack makes one")
	case len(data) < headerSize:
		return nil, errors.New("this packed data set is cut short within its header; pack the images anew")
	case crc64.Checksum(data[:56], table) != binary.LittleEndian.Uint64(data[56:]):
		return nil, errors.New("the header of this packed data set is damaged; pack the images anew")
	}
	// The version counts from here on alone: every version begins like this.
	if v := binary.LittleEndian.Uint32(data[8:]); v != version {
		return nil, fmt.Errorf("this packed data set is of version %d, and version %d is read here; pack the images anew", v, version)
	}
	size, at := binary.LittleEndian.Uint64(data[16:]), binary.LittleEndian.Uint64(data[24:])
	switch {
	case uint64(len(data)) < size:
		return nil, fmt.Errorf("this packed data set is cut short: it has %d of %d bytes; pack the images anew", len(data), size)
	case uint64(len(data)) > size:
		return nil, fmt.Errorf("this packed data set has %d bytes, which are %d too many; pack the images anew", len(data), uint64(len(data))-size)
	case at < headerSize || at > size || crc64.Checksum(data[at:], table) != binary.LittleEndian.Uint64(data[32:]):
		return nil, errors.New("the index of this packed data set is damaged; pack the images anew")
	}
	r := reader{rest: data[at:], pixels: data[:at]}
	f := &File{Name: r.string(), Sum: binary.LittleEndian.Uint64(data[56:])}
	for range r.count() {
		f.Classes = append(f.Classes, r.string())
	}
	f.Train, f.Test = r.items(len(f.Classes)), r.items(len(f.Classes))
	if r.bad || len(r.rest) > 0 {
		return nil, errors.New("the index of this packed data set makes no sense; pack the images anew")
	}
	return f, nil
}

// reader takes an index apart. After something that cannot be, bad is set and
// everything is empty.
type reader struct {
	rest, pixels []byte
	bad          bool
}

func (r *reader) number() int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt || v > 1<<48 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

// count is a number of things that take a byte or more each.
func (r *reader) count() int {
	n := r.number()
	if n > len(r.rest) {
		r.rest, r.bad = nil, true
		return 0
	}
	return n
}

func (r *reader) string() string {
	n := r.count()
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) items(classes int) []Item {
	n := r.count()
	if n == 0 {
		return nil
	}
	items := make([]Item, 0, min(n, len(r.rest)/6+1))
	for range n {
		item := Item{Name: r.string(), Label: r.number() - 1}
		m := imagefile.Image{W: r.number(), H: r.number(), C: r.number()}
		place, size := uint64(r.number())*align, uint64(len(r.pixels))
		room := size - min(place, size)
		if r.bad || item.Label >= classes || m.W < 1 || m.H < 1 || m.C != 1 && m.C != 3 || place < headerSize ||
			uint64(m.H) > room/uint64(m.C)/uint64(m.W) {
			r.rest, r.bad = nil, true
			return nil
		}
		end := place + uint64(m.W*m.H*m.C)
		m.Pix = r.pixels[place:end:end]
		item.Image = m
		items = append(items, item)
	}
	return items
}

// index is the inverse of reader.
func (f *File) index(train, test []placed) []byte {
	var b bytes.Buffer
	number := func(v int) { b.Write(binary.AppendUvarint(nil, uint64(v))) }
	text := func(s string) {
		number(len(s))
		b.WriteString(s)
	}
	text(f.Name)
	number(len(f.Classes))
	for _, c := range f.Classes {
		text(c)
	}
	for _, items := range [][]placed{train, test} {
		number(len(items))
		for _, i := range items {
			text(i.name)
			for _, v := range []int{i.label + 1, i.w, i.h, i.c, i.place} {
				number(v)
			}
		}
	}
	return b.Bytes()
}
