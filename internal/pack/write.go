package pack

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"

	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
)

// Item is an image to pack.
type Item struct {
	Name  string
	Label int // index into the classes; -1: none
	Image imagefile.Image
}

// Writer writes a file. It takes its place when Close is done, and never
// half-written.
type Writer struct {
	path        string
	file        *durable.File
	out         *bufio.Writer
	meta        File
	train, test []placed
	at          int64
}

// placed is what the index says of an image.
type placed struct {
	name           string
	label, w, h, c int
	place          int64 // in units of align
	sum            uint32
	kind           imagefile.Type // Byte, if it is not given
}

// Create begins the file at path. Name is the data set's, classes may be nil.
func Create(path, name string, classes []string) (*Writer, error) {
	file, err := durable.Create(path)
	if err != nil {
		return nil, failed(path, err)
	}
	w := &Writer{path: path, file: file, out: bufio.NewWriterSize(file, 1<<20),
		meta: File{Name: name, Classes: classes, version: 2}}
	if err := w.write(make([]byte, headerSize)); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Add appends an image to the part that trains or, if test, to the one that
// scores.
func (w *Writer) Add(item Item, test bool) error {
	m := item.Image
	if !m.Complete() {
		panic(fmt.Sprintf("pack: image of %d × %d × %d with %d bytes", m.W, m.H, m.C, len(m.Pix)))
	}
	if item.Label < -1 || item.Label >= len(w.meta.Classes) {
		panic(fmt.Sprintf("pack: label %d of %d classes", item.Label, len(w.meta.Classes)))
	}
	list := &w.train
	if test {
		list = &w.test
	}
	zeros := make([]byte, padding(int64(len(m.Pix))))
	sum := crc32.Update(crc32.Checksum(m.Pix, castagnoli), castagnoli, zeros)
	*list = append(*list, placed{item.Name, item.Label, m.W, m.H, m.C, w.at / align, sum, m.Type})
	if !m.Plain() {
		w.meta.version = version
	}
	if err := w.write(m.Pix); err != nil {
		return err
	}
	return w.write(zeros)
}

// Close writes the index and puts the file in its place. It returns its size in
// bytes.
func (w *Writer) Close() (int64, error) {
	defer w.Abort()
	index := w.meta.index(w.train, w.test)
	header := make([]byte, headerSize)
	copy(header, magic)
	binary.LittleEndian.PutUint32(header[8:], w.meta.version)
	binary.LittleEndian.PutUint64(header[16:], uint64(w.at)+uint64(len(index)))
	binary.LittleEndian.PutUint64(header[24:], uint64(w.at))
	binary.LittleEndian.PutUint64(header[32:], crc64.Checksum(index, table))
	binary.LittleEndian.PutUint64(header[56:], crc64.Checksum(header[:56], table))
	if err := w.write(index); err != nil {
		return 0, err
	}
	err := w.out.Flush()
	if err == nil {
		_, err = w.file.WriteAt(header, 0)
	}
	if err == nil {
		err = w.file.Commit()
	}
	return w.at, failed(w.path, err)
}

// Abort removes what was written; after Close it does nothing.
func (w *Writer) Abort() { w.file.Discard() }

func (w *Writer) write(b []byte) error {
	n, err := w.out.Write(b)
	w.at += int64(n)
	return failed(w.path, err)
}

// failed names the file that an error of writing is about.
func failed(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s cannot be written: %w", path, durable.Reason(err))
}
