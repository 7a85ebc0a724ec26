// Package safetensors reads and writes the safetensors format: eight bytes of
// header length, a JSON header naming every tensor's type, shape and place, and
// the little-endian data.
//
// [Open] reads the header only and each tensor when it is asked for; [Read]
// takes the whole file into memory. [WriteFile] saves durably, [Write] writes to
// any io.Writer. [WriteSealed] adds checksums, which any other reader takes for
// metadata: that of the header is checked when a file is opened, that of the data
// by [File.Verify].
//
// The format: https://github.com/huggingface/safetensors#format
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

// maxHeader is the format's own limit on the header, 100 MB.
const maxHeader = 100_000_000

// Info describes one tensor of a file.
type Info struct {
	Name  string
	DType DType
	Shape []int

	begin, end int64 // bytes within the data
}

// Len returns the number of elements.
func (t Info) Len() int { return int(t.end-t.begin) / t.DType.Size() }

// File is a safetensors file whose header has been read and checked.
type File struct {
	Tensors  []Info // in the order of their data
	Metadata map[string]string

	name   string // for messages
	r      io.ReaderAt
	size   int64  // bytes
	data   int64  // where the data starts
	sealed string // the header's checksum, which has been checked; empty: none
	byName map[string]int
	closer io.Closer
}

// Open reads and checks the header of the file at path; the tensors stay on
// disk until they are asked for. Close the file when done.
func Open(path string) (*File, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	h, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := h.Stat()
	if err != nil {
		h.Close()
		return nil, err
	}
	f, err := NewFile(h, st.Size(), path)
	if err != nil {
		h.Close()
		return nil, err
	}
	f.closer = h
	return f, nil
}

// Read takes the whole file at path into memory. Nothing needs closing.
func Read(path string) (*File, error) {
	if err := regular(path); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return NewFile(bytes.NewReader(b), int64(len(b)), path)
}

// regular refuses what is no regular file, before it is opened: a pipe that
// nobody writes to would never open.
func regular(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	return err
}

// NewFile reads and checks the header of size bytes behind r; name stands in
// messages. A sealed file's header must have the checksum it was written with.
func NewFile(r io.ReaderAt, size int64, name string) (*File, error) {
	f := &File{name: name, r: r, size: size, byName: map[string]int{}}
	err := f.readHeader()
	if damaged := new(Damaged); errors.As(err, &damaged) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a readable safetensors file: %w", name, err)
	}
	return f, nil
}

// Close closes a file that Open opened.
func (f *File) Close() error {
	if f.closer == nil {
		return nil
	}
	return f.closer.Close()
}

func (f *File) readHeader() error {
	if f.size < 8 {
		return fmt.Errorf("it has %d bytes, less than the 8 of the header length", f.size)
	}
	var length [8]byte
	if _, err := f.r.ReadAt(length[:], 0); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(length[:])
	switch {
	case n > maxHeader:
		return fmt.Errorf("it claims a header of %d bytes; the limit is %d", n, maxHeader)
	case int64(n) > f.size-8:
		return fmt.Errorf("it claims a header of %d bytes but has only %d, so it was cut short", n, f.size-8)
	}
	f.data = 8 + int64(n)
	head := make([]byte, f.data)
	if n, err := f.r.ReadAt(head, 0); n < len(head) {
		return err
	}
	if err := f.checkHeader(head); err != nil {
		return err
	}
	if err := f.parse(head[8:]); err != nil {
		return err
	}
	if err := f.checkSeal(); err != nil {
		return err
	}
	return f.checkPlaces(f.size - f.data)
}

// check fills in the shape and compares shape × size with the offsets.
func (t *Info) check(shape []int64) error {
	size := int64(t.DType.Size())
	if size == 0 {
		return fmt.Errorf("dtype %s is not supported", quote(string(t.DType)))
	}
	if t.begin < 0 || t.end < t.begin {
		return fmt.Errorf("offsets [%d, %d] are not a range", t.begin, t.end)
	}
	want := size
	for _, s := range shape {
		if s < 0 {
			return fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if s > 0 && want > math.MaxInt64/s {
			return fmt.Errorf("shape %v is too large", shape)
		}
		want *= s
	}
	t.Shape = make([]int, len(shape))
	for i, s := range shape {
		if s > math.MaxInt {
			return fmt.Errorf("shape %v is too large", shape)
		}
		t.Shape[i] = int(s)
	}
	if want != t.end-t.begin {
		return fmt.Errorf("shape %v of %s takes %d bytes, its offsets [%d, %d] hold %d",
			shape, t.DType, want, t.begin, t.end, t.end-t.begin)
	}
	return nil
}

// checkPlaces puts the tensors in the order of their data, which must cover
// size bytes without gap or overlap, as the format demands.
func (f *File) checkPlaces(size int64) error {
	slices.SortStableFunc(f.Tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at int64
	for i, t := range f.Tensors {
		f.byName[t.Name] = i
		switch {
		case t.begin < at:
			return fmt.Errorf("tensor %s overlaps the one before it", quote(t.Name))
		case t.begin > at:
			return fmt.Errorf("a gap of %d bytes lies before tensor %s", t.begin-at, quote(t.Name))
		case t.end > size:
			return fmt.Errorf("tensor %s ends at byte %d of the data but only %d are there, so it was cut short",
				quote(t.Name), t.end, size)
		}
		at = t.end
	}
	if at != size {
		return fmt.Errorf("%d bytes follow the last tensor", size-at)
	}
	return nil
}

// Info returns the description of a tensor.
func (f *File) Info(name string) (Info, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Info{}, false
	}
	return f.Tensors[i], true
}

// Float32 returns a tensor's elements, converted if they are of another type.
func (f *File) Float32(name string) ([]float32, error) { return load[float32](f, name) }

// Float64 returns a tensor's elements, converted if they are of another type.
func (f *File) Float64(name string) ([]float64, error) { return load[float64](f, name) }

// Int64 returns the elements of a tensor of whole numbers (or BOOL: 0 and 1).
func (f *File) Int64(name string) ([]int64, error) {
	if t, ok := f.Info(name); ok && (t.DType == F64 || t.DType == F32 || t.DType == F16 || t.DType == BF16) {
		return nil, fmt.Errorf("%s: tensor %s holds %s, not whole numbers", f.name, quote(name), t.DType)
	}
	return load[int64](f, name)
}

// Float32Into fills dst, which must have the tensor's length.
func (f *File) Float32Into(name string, dst []float32) error { return into(f, name, dst) }

// Bytes returns a tensor's data as it stands in the file.
func (f *File) Bytes(name string) ([]byte, error) {
	t, err := f.find(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, t.end-t.begin)
	return b, f.readAt(b, t, 0)
}

func (f *File) find(name string) (Info, error) {
	t, ok := f.Info(name)
	if !ok {
		return t, fmt.Errorf("%s has no tensor %q%s", f.name, name, f.hint())
	}
	return t, nil
}

// hint lists the first few names.
func (f *File) hint() string {
	const most = 8
	if len(f.Tensors) == 0 {
		return "; it holds none"
	}
	s := "; it holds"
	for i, t := range f.Tensors {
		if i == most {
			return fmt.Sprintf("%s and %d more", s, len(f.Tensors)-most)
		}
		s += " " + quote(t.Name)
	}
	return s
}

func load[T number](f *File, name string) ([]T, error) {
	t, err := f.find(name)
	if err != nil {
		return nil, err
	}
	out := make([]T, t.Len())
	return out, into(f, name, out)
}

// into decodes a tensor through a small buffer.
func into[T number](f *File, name string, dst []T) error {
	t, err := f.find(name)
	if err != nil {
		return err
	}
	if len(dst) != t.Len() {
		return fmt.Errorf("%s: tensor %s of shape %v has %d elements, want %d", f.name, quote(name), t.Shape, t.Len(), len(dst))
	}
	size := t.DType.Size()
	buf := make([]byte, min(int64(1<<18), t.end-t.begin))
	for at := 0; at < len(dst); {
		n := min(len(dst)-at, len(buf)/size)
		if err := f.readAt(buf[:n*size], t, int64(at*size)); err != nil {
			return err
		}
		decode(dst[at:at+n], buf, t.DType)
		at += n
	}
	return nil
}

func (f *File) readAt(b []byte, t Info, at int64) error {
	if n, err := f.r.ReadAt(b, f.data+t.begin+at); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("%s: tensor %s: %w", f.name, quote(t.Name), err)
	}
	return nil
}
