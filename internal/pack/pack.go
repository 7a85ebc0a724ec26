// Package pack keeps a data set in one file: images already decoded, with their
// names, labels and classes, and the split into a part to train on and one to
// score. [Create] writes such a file, [Open] reads its index, and each image is
// read when it is asked for.
//
// A file is a header of 64 bytes, the pixels of every image one after the
// other, each followed by zeros to a multiple of 64 bytes, and an index. All
// numbers are little-endian.
//
//	 0  magic "VICREGPK"
//	 8  version, 4 bytes; then 4 of zeros
//	16  size of the file
//	24  where the index begins
//	32  CRC-64 (ECMA) of the index
//	40  16 bytes of zeros
//	56  CRC-64 of the header so far
//
// The index is a sequence of unsigned varints and of strings, which are a
// varint and as many bytes: the data set's name; the number of classes and the
// name of each; then for the images that train and again for those that score,
// their number and for each its name, label+1, width, height, channels,
// place / 64, and the CRC-32C of its pixels and the zeros after them. So every
// byte of a file has a checksum, which is held against it before it is used.
//
// Version 3 has after an image's channels the type of its samples, as [imagefile.Type] numbers
// them, and pixels of as many bytes. It is written only where there are other images than
// pictures, of which version 2 knows one and three channels of bytes.
//
// Version 1 has no zeros after the last image and no CRC-32C; at 40 it has the
// CRC-64 of the pixels of all images in their order.
package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"io"
	"os"

	"vicreg/internal/durable"
	"vicreg/internal/host"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

const (
	magic      = "VICREGPK"
	version    = 3 // the last; pictures alone are written as version 2
	headerSize = 64
	align      = 64
	smallIndex = 8 << 20 // bytes that any machine has room for
)

var (
	table      = crc64.MakeTable(crc64.ECMA)
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// File is an opened file. It stays open as long as one of its images is in use.
type File struct {
	Path        string
	Name        string // of the data set that was packed
	Classes     []string
	Train, Test []Stored
	Sum         uint64   // checksum of all that the file holds
	Notes       []string // what a user should know of the file, a sentence each

	r       io.ReaderAt
	version uint32
}

// Stored is an image of an opened file.
type Stored struct {
	Name    string
	Label   int // index into the classes; -1: none
	W, H, C int
	Type    imagefile.Type

	file  *File
	place int64
	sum   uint32
}

// Is reports whether the file at path begins as a packed data set does.
func Is(path string) bool { return durable.Begins(path, magic) }

// Open reads the index of the file at path. Header and index are checked whole,
// pixels when they are read; those of a file of version 1 are checked here, if
// that does not take long.
func Open(path string) (*File, error) {
	info, err := os.Stat(path) // a pipe would not open
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("a packed data set must be a regular file")
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
	return f, nil
}

// newFile reads the index of the size bytes behind r.
func newFile(r io.ReaderAt, length int64, path string) (*File, error) {
	header := make([]byte, min(length, headerSize))
	if err := readAt(r, header, 0); err != nil {
		return nil, err
	}
	switch {
	case len(header) < len(magic) || string(header[:len(magic)]) != magic:
		return nil, errors.New("not a packed data set; vicreg pack makes one")
	case len(header) < headerSize:
		return nil, errors.New("this packed data set is cut short within its header; pack the images anew")
	case crc64.Checksum(header[:56], table) != binary.LittleEndian.Uint64(header[56:]):
		return nil, errors.New("the header of this packed data set is damaged; pack the images anew")
	}
	// The version counts from here on alone: every version begins like this.
	f := &File{Path: path, r: r, version: binary.LittleEndian.Uint32(header[8:]),
		Sum: binary.LittleEndian.Uint64(header[56:])}
	if f.version < 1 || f.version > version {
		return nil, fmt.Errorf("this packed data set is of version %d, and versions up to %d are read here; pack the images anew", f.version, version)
	}
	size, at := binary.LittleEndian.Uint64(header[16:]), binary.LittleEndian.Uint64(header[24:])
	switch {
	case uint64(length) < size:
		return nil, fmt.Errorf("this packed data set is cut short: it has %d of %d bytes; pack the images anew", length, size)
	case uint64(length) > size:
		return nil, fmt.Errorf("this packed data set has %d bytes, which are %d too many; pack the images anew", length, uint64(length)-size)
	case at < headerSize || at > size:
		return nil, errors.New("the index of this packed data set is damaged; pack the images anew")
	}
	// Names and places take several times what they take in the file.
	if need, limit := 8*float64(size-at), host.MemoryLimit(); size-at > smallIndex && need > limit.Bytes {
		return nil, fmt.Errorf("the index of this packed data set takes %s of memory, but %s", host.Bytes(need), limit)
	}
	index := make([]byte, size-at)
	if err := readAt(r, index, int64(at)); err != nil {
		return nil, err
	}
	if crc64.Checksum(index, table) != binary.LittleEndian.Uint64(header[32:]) {
		return nil, errors.New("the index of this packed data set is damaged; pack the images anew")
	}
	if !f.parse(index, int64(at)) {
		return nil, errors.New("the index of this packed data set makes no sense; pack the images anew")
	}
	if f.version == 1 {
		return f, f.checkWhole(binary.LittleEndian.Uint64(header[40:]))
	}
	return f, nil
}

// readAt fills b from place at.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		if err == io.EOF {
			return errors.New("the file was cut short while it was in use; pack the images anew")
		}
		return durable.Reason(err)
	}
	return nil
}

// Read reads the image into buf, or into a new array if buf is too short for it.
// The pixels must have the checksum they were packed with.
func (s *Stored) Read(buf []byte) (imagefile.Image, error) {
	m := imagefile.Image{W: s.W, H: s.H, C: s.C, Type: s.Type}
	n, all := s.pixels(), s.file.room(s.pixels())
	if int64(cap(buf)) < all {
		buf = make([]byte, all)
	}
	buf = buf[:all]
	if err := readAt(s.file.r, buf, s.place); err != nil {
		return m, fmt.Errorf("%s: %s: %w", s.file.Path, show.Name(s.Name), err)
	}
	if s.file.version > 1 {
		if sum := crc32.Checksum(buf, castagnoli); sum != s.sum {
			return m, fmt.Errorf("%s: %s is damaged: the checksum of its pixels is %08x, but was %08x when it was packed; pack the images anew",
				s.file.Path, show.Name(s.Name), sum, s.sum)
		}
	}
	m.Pix = buf[:n]
	return m, nil
}

// Hold is Read into buf, which grows. Pixels take what they take in the file, so nothing
// is held.
func (s *Stored) Hold(_ string, limits imagefile.Limits, buf *[]byte) (imagefile.Image, *imagefile.Held, error) {
	m, err := s.Read(*buf)
	if err != nil {
		return m, &nothing, err
	}
	*buf = m.Pix
	if m, err = m.Take(limits.Bands); err != nil {
		err = fmt.Errorf("%s: %s: %w", s.file.Path, show.Name(s.Name), err)
	}
	return m, &nothing, err
}

// nothing is what is held of pixels that a file holds as they are.
var nothing imagefile.Held

// Stat returns the image's size.
func (s *Stored) Stat(string, imagefile.Limits) (w, h int, err error) { return s.W, s.H, nil }

// Large reports that the image needs no room besides its pixels.
func (s *Stored) Large() bool { return false }

// pixels is how many bytes they take.
func (s *Stored) pixels() int64 {
	return int64(s.W) * int64(s.H) * int64(s.C) * int64(s.Type.Size())
}

// room returns how many bytes of the file n bytes of pixels take.
func (f *File) room(n int64) int64 {
	if f.version == 1 {
		return n
	}
	return n + padding(n)
}

// padding returns the number of bytes from place at to a multiple of align.
func padding(at int64) int64 { return (align - at%align) % align }

// mostWhole is the size of pixels up to which a file of version 1 is checked
// when it is opened.
const mostWhole = 1 << 30

// checkWhole compares the pixels of all images with their checksum.
func (f *File) checkWhole(want uint64) error {
	var size int64
	all := f.inOrder()
	for _, s := range all {
		size += s.pixels()
	}
	if size > mostWhole {
		f.Notes = append(f.Notes, fmt.Sprintf("%s was packed by an earlier version, without a checksum for each image: damage to them would go unseen; pack the images anew", show.Name(f.Path)))
		return nil
	}
	var sum uint64
	var buf []byte
	for _, s := range all {
		m, err := s.Read(buf)
		if err != nil {
			return err
		}
		sum = crc64.Update(sum, table, m.Pix)
		buf = m.Pix
	}
	if sum != want {
		return fmt.Errorf("the images of this packed data set are damaged: their checksum is %016x, but was %016x when they were packed; pack the images anew", sum, want)
	}
	return nil
}
