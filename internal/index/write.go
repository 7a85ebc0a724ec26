package index

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"

	"vicreg/internal/durable"
	"vicreg/internal/host"
)

// Writer writes a file. It takes its place when Close is done, and never half-written.
type Writer struct {
	path string
	file *durable.File
	out  *bufio.Writer
	f    File
	at   int64
	held []float32 // features so far, if there are to be lists
	part []float32 // of the block that is being filled
}

// Create begins the file at path, of at most n images of d values, in so many groups (0:
// none). Without groups features go to the disk as they come; with groups they are
// held until Close.
func Create(path string, meta Meta, n, d, lists int) (*Writer, error) {
	if lists > 0 {
		if err := checkLists(lists, n); err != nil {
			return nil, err
		}
		need, limit := host.PeakRSS()*(1<<20)+4*float64(n)*float64(d), host.MemoryLimit()
		if need > limit.Bytes {
			return nil, fmt.Errorf("an index with lists of %d images takes about %s of memory while it is made, but %s; make one without lists",
				n, host.Bytes(need), limit)
		}
	}
	file, err := durable.Create(path)
	if err != nil {
		return nil, failed(path, err)
	}
	w := &Writer{path: path, file: file, out: bufio.NewWriterSize(file, 1<<20), f: File{Meta: meta, D: d, Lists: lists}}
	if lists > 0 {
		w.held = make([]float32, 0, n*d)
	}
	if err := w.write(make([]byte, headerSize)); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Add appends the features of one or more images, which it scales to length 1 in place.
func (w *Writer) Add(features []float32) error {
	unit(features, w.f.D)
	if w.f.Lists > 0 {
		w.held = append(w.held, features...)
		return nil
	}
	for len(features) > 0 {
		n := min(len(features), blockRows*w.f.D-len(w.part))
		w.part = append(w.part, features[:n]...)
		features = features[n:]
		if len(w.part) == blockRows*w.f.D {
			if err := w.block(); err != nil {
				return err
			}
		}
	}
	return nil
}

// block writes what a block was filled with.
func (w *Writer) block() error {
	if len(w.part) == 0 {
		return nil
	}
	fromLittle(w.part)
	raw := bytesOf(w.part)
	w.f.sums = append(w.f.sums, crc32.Checksum(raw, castagnoli))
	err := w.write(raw)
	w.part = w.part[:0]
	return err
}

// Close groups the images if that was asked for, writes the table of contents, and puts
// the file in its place. items are those of the features that were added. It calls phase
// before what takes long.
func (w *Writer) Close(ctx context.Context, items []Item, phase func(what string)) (*File, error) {
	defer w.Abort()
	f := &w.f
	f.Items, f.lengths = items, []int{len(items)}
	if f.Lists > 0 {
		if err := w.group(ctx, phase); err != nil {
			return nil, err
		}
	}
	if err := w.block(); err != nil {
		return nil, err
	}
	if rows := (w.at - headerSize) / 4 / int64(f.D); rows != int64(len(items)) {
		panic(fmt.Sprintf("index: features of %d images, and %d names", rows, len(items)))
	}
	contents := f.contents()
	header := make([]byte, headerSize)
	copy(header, magic)
	binary.LittleEndian.PutUint32(header[8:], version)
	binary.LittleEndian.PutUint64(header[16:], uint64(w.at)+uint64(len(contents)))
	binary.LittleEndian.PutUint64(header[24:], uint64(w.at))
	binary.LittleEndian.PutUint64(header[32:], crc64.Checksum(contents, table))
	binary.LittleEndian.PutUint64(header[56:], crc64.Checksum(header[:56], table))
	if err := w.write(contents); err != nil {
		return nil, err
	}
	err := w.out.Flush()
	if err == nil {
		_, err = w.file.WriteAt(header, 0)
	}
	if err == nil {
		err = w.file.Commit()
	}
	if err != nil {
		return nil, failed(w.path, err)
	}
	return Open(w.path)
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
