package imagefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"vicreg/internal/tiff"
)

// Limits bounds what a file may ask for, and says what of it is wanted; zero fields mean the
// defaults.
type Limits struct {
	Pixels int64 // width × height
	Bytes  int64 // size of the file

	Bands []int // numbers of the channels to take, from 1, in this order; none: all
	All   bool  // of a TIFF all samples are channels, whatever they are called
	Raw   bool  // keep values of more than 8 bits

	// Fit, unless it is nil, is asked at which part of its size, 1/1, 1/2, 1/4 or 1/8, a
	// picture of w × h upright pixels is to be decoded. It is asked only of files that can
	// be: everyday JPEG files where libjpeg-turbo is.
	Fit func(w, h int) (by int)
}

// raw reports whether values of more than 8 bits are kept.
func (l *Limits) raw() bool { return l.Raw || len(l.Bands) > 0 }

// The default limits. The pixel limit is near Pillow's.
const (
	MaxPixels = 100_000_000
	MaxBytes  = 1 << 30
)

func (l Limits) orDefault() Limits {
	if l.Pixels <= 0 {
		l.Pixels = MaxPixels
	}
	if l.Bytes <= 0 {
		l.Bytes = MaxBytes
	}
	return l
}

// Extensions are the file name endings of the formats of pictures that are read, in lower
// case.
var Extensions = []string{
	".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp",
}

// Array is the ending of NumPy's arrays, which need not be images.
const Array = ".npy"

// format is one kind of file.
type format struct {
	name string
	// size reads the width and height out of the header and refuses kinds that
	// are not read.
	size func(r io.ReaderAt, bytes int64) (claim, error)
	// decode reads the picture, whose size has been found to be within bounds.
	decode func(data []byte) (Image, error)
	// wanted is decode of a format that may have other images than pictures, or pictures
	// of other sizes, with what is wanted; nil: it has none.
	wanted func(data []byte, limits Limits) (Image, error)
}

// read decodes a file whose size is within bounds.
func (f *format) read(data []byte, limits Limits) (m Image, err error) {
	if f.wanted != nil {
		m, err = f.wanted(data, limits)
	} else if m, err = f.decode(data); err == nil {
		m, err = m.Take(limits.Bands)
	}
	if err == nil {
		err = m.settle()
	}
	return m, err
}

// claim is what the first bytes of a file say of it.
type claim struct {
	w, h int
	// check, if there is one, looks whether the pixels are there. The size is
	// within bounds.
	check func() error
	// memory returns the bytes that decoding takes.
	memory func() int64
}

var (
	formatJPEG = &format{"JPEG", sizeJPEG, nil, fitJPEG}
	formatPNG  = &format{"PNG", sizePNG, nil, decodePNG}
	formatGIF  = &format{"GIF", sizeGIF, decodeGIF, nil}
	formatBMP  = &format{"BMP", sizeBMP, decodeBMP, nil}
	formatDIB  = &format{"BMP", sizeDIB, decodeDIB, nil}
	formatTIFF = &format{"TIFF", sizeTIFF, nil, decodeTIFF}
	formatWebP = &format{"WebP", sizeWebP, decodeWebP, nil}
	formatNPY  = &format{"NumPy array", sizeNPY, nil, decodeNPY}
)

// sniff tells the format from the first bytes of a file.
func sniff(head []byte) (*format, error) {
	has := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case has(0, "\xff\xd8"):
		return formatJPEG, nil
	case has(0, "\x89PNG\r\n\x1a\n"):
		return formatPNG, nil
	case has(0, "GIF8"):
		return formatGIF, nil
	case has(0, "BM"):
		return formatBMP, nil
	case tiff.Magic(head):
		return formatTIFF, nil
	case has(0, "RIFF") && has(8, "WEBP"):
		return formatWebP, nil
	case has(0, "\x93NUMPY"):
		return formatNPY, nil
	case isDIB(head):
		return formatDIB, nil
	}
	what := kindOf(head)
	if what == lfsPointer {
		return nil, errors.New(what)
	}
	return nil, errors.New(what + "; JPEG, PNG, GIF, BMP, TIFF, WebP and .npy are read")
}

// Read reads the image at path. Errors begin with the path.
func Read(path string, limits Limits) (Image, error) {
	img, held, err := Hold(path, limits)
	held.Release()
	return img, err
}

// Hold is Read for pixels that are released soon. Until then no other image is decoded
// that would take too much together with this one. Whoever holds an image must not hold
// another.
func Hold(path string, limits Limits) (Image, *Held, error) {
	limits = limits.orDefault()
	info, err := os.Stat(path)
	if err == nil {
		err = checkFile(info, limits)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return Image{}, new(Held), named(path, err)
	}
	img, held, err := decode(data, limits)
	if err != nil {
		return Image{}, held, named(path, err)
	}
	return img, held, nil
}

// Decode reads the image whose file contents are data. It may keep nothing of
// data.
func Decode(data []byte, limits Limits) (Image, error) {
	img, held, err := decode(data, limits)
	held.Release()
	return img, err
}

// decode is Decode for pixels that are held. If there is an error nothing is held.
func decode(data []byte, limits Limits) (Image, *Held, error) {
	f, err := sniff(data)
	held := new(Held)
	if err != nil {
		return Image{}, held, err
	}
	var img Image
	err = f.contain(func() error {
		head, err := f.header(bytes.NewReader(data), int64(len(data)), limits.orDefault())
		if err != nil {
			return err
		}
		memory, turn := head.memory(), orientation(f, data)
		if turn > 1 {
			memory = max(memory, 6*int64(head.w)*int64(head.h))
		}
		held = reserve(memory, int64(len(data)))
		defer held.decoded()
		if fit := limits.Fit; fit != nil && turn >= 5 {
			limits.Fit = func(w, h int) int { return fit(h, w) }
		}
		if img, err = f.read(data, limits); err == nil {
			img = img.oriented(turn)
		}
		return err
	})
	if err != nil {
		held.Release()
		return Image{}, held, err
	}
	return img, held, nil
}

// header reads a file's header and compares the picture with the limits, and with what a
// file of this length can hold.
func (f *format) header(r io.ReaderAt, bytes int64, limits Limits) (claim, error) {
	head, err := f.size(r, bytes)
	if err == nil {
		err = checkSize(head, limits)
	}
	if err == nil && head.check != nil {
		err = head.check()
	}
	if err == nil {
		err = checkMemory(head, bytes)
	}
	return head, err
}

// Stat reads the header of the image at path and returns its size as stored
// (before any turn the EXIF orientation asks for), checking the limits. Errors
// begin with the path.
func Stat(path string, limits Limits) (w, h int, err error) {
	limits = limits.orDefault()
	info, err := os.Stat(path) // before it is opened, since a pipe would block
	if err == nil {
		err = checkFile(info, limits)
	}
	if err != nil {
		return 0, 0, named(path, err)
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, named(path, err)
	}
	defer file.Close()
	if w, h, err = stat(file, info.Size(), limits); err != nil {
		return 0, 0, named(path, err)
	}
	return w, h, nil
}

// stat is Stat of the size bytes behind r.
func stat(r io.ReaderAt, size int64, limits Limits) (w, h int, err error) {
	head := make([]byte, min(headBytes, size))
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return 0, 0, err
	}
	f, err := sniff(head[:n])
	if err != nil {
		return 0, 0, err
	}
	err = f.contain(func() error {
		head, err := f.header(r, size, limits)
		w, h = head.w, head.h
		return err
	})
	return w, h, err
}

func checkFile(info fs.FileInfo, limits Limits) error {
	switch {
	case info.IsDir():
		return errors.New("a folder, not an image file")
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	}
	return checkBytes(info.Size(), limits)
}

func checkBytes(size int64, limits Limits) error {
	switch {
	case size == 0:
		return errors.New("the file is empty")
	case size > limits.Bytes:
		return fmt.Errorf("the file has %d MB, more than the limit of %d MB", size/1e6, limits.Bytes/1e6)
	}
	return nil
}

// named puts the path before the reason, once.
func named(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}
