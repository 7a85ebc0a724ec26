package imagefile

import (
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"vicreg/internal/npy"
	"vicreg/internal/tiff"
)

// A sizeError refuses an image that is not broken, for its width and height, its channels or
// its values.
type sizeError string

func (e sizeError) Error() string { return string(e) }

// An unsupportedError says what kind of file is not read.
type unsupportedError string

func (e unsupportedError) Error() string { return string(e) }

var errCut = errors.New("the file is cut short")

// maxSide is the longest side of an image. To resize one takes memory for many of
// its rows.
const maxSide = 1 << 20

func checkSize(c claim, limits Limits) error {
	if c.w <= 0 || c.h <= 0 {
		return sizeError(fmt.Sprintf("the image is %d × %d: it has no pixels", c.w, c.h))
	}
	if int64(c.w) > limits.Pixels/int64(c.h) {
		return sizeError(fmt.Sprintf("the image is %d × %d, more than the limit of %.4g megapixels",
			c.w, c.h, float64(limits.Pixels)/1e6))
	}
	if max(c.w, c.h) > maxSide {
		return sizeError(fmt.Sprintf("the image is %d × %d: a side of more than %d pixels", c.w, c.h, maxSide))
	}
	return nil
}

// A picture may take perByte bytes of memory for each byte of its file. What it takes
// beyond that, for decoding and until its pixels are released, is unearned; without a
// limit on it, formats that pack a plain picture into next to nothing could take any
// amount. Only pictures of one colour are that small: more than 14 megapixels in WebP,
// which can do with 36 bytes, and more than 25 in PNG.
const (
	unearned = 96 << 20
	perByte  = 256
)

func checkMemory(c claim, bytes int64) error {
	if memory := c.memory(); memory > unearned+perByte*bytes {
		return sizeError(fmt.Sprintf("the image is %d × %d, which would take %d MB to decode: too much for a file of %d bytes, which can hold little more than one colour",
			c.w, c.h, memory>>20, bytes))
	}
	return nil
}

// contain runs work and words its errors, panics among them, for a person.
func (f *format) contain(work func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("broken %s: the decoder failed (%v)", f.name, r)
		}
	}()
	err = work()
	var size sizeError
	if err == nil || errors.As(err, &size) {
		return err
	}
	var (
		unsupported     unsupportedError
		unsupportedJPEG jpeg.UnsupportedError
		unsupportedPNG  png.UnsupportedError
		unsupportedTIFF tiff.UnsupportedError
		unsupportedNPY  npy.UnsupportedError
	)
	reason := err.Error()
	for _, prefix := range []string{"jpeg: ", "png: ", "gif: ", "webp: ", "vp8: ", "vp8l: ", "riff: ",
		"invalid JPEG format: ", "invalid format: ", "unsupported JPEG feature: ", "unsupported feature: "} {
		reason = strings.TrimPrefix(reason, prefix)
	}
	switch {
	case errors.As(err, &unsupported), errors.As(err, &unsupportedJPEG), errors.As(err, &unsupportedPNG),
		errors.As(err, &unsupportedTIFF):
		return fmt.Errorf("a kind of %s that is not read (%s); save it anew as plain PNG or JPEG", f.name, reason)
	case errors.As(err, &unsupportedNPY):
		return fmt.Errorf("a kind of %s that is not read (%s)", f.name, reason)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		strings.Contains(reason, "EOF"), reason == errCut.Error(), strings.Contains(reason, "not enough"),
		strings.Contains(reason, "short "):
		return fmt.Errorf("broken %s: %w", f.name, errCut)
	}
	return fmt.Errorf("broken %s: %s", f.name, reason)
}
