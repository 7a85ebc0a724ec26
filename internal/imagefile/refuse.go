package imagefile

import (
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"sync"

	"vicreg/internal/tiff"
)

// A sizeError refuses an image for its width and height.
type sizeError string

func (e sizeError) Error() string { return string(e) }

// An unsupportedError says what kind of file is not read.
type unsupportedError string

func (e unsupportedError) Error() string { return string(e) }

var errCut = errors.New("the file is cut short")

func checkSize(c claim, limits Limits) error {
	if c.w <= 0 || c.h <= 0 {
		return sizeError(fmt.Sprintf("the image is %d × %d: it has no pixels", c.w, c.h))
	}
	if int64(c.w) > limits.Pixels/int64(c.h) {
		return sizeError(fmt.Sprintf("the image is %d × %d, more than the limit of %.4g megapixels",
			c.w, c.h, float64(limits.Pixels)/1e6))
	}
	return nil
}

// plain is the number of pixels that a file of any length may have, where the
// format has no bound of its own: one colour takes next to nothing.
const plain = 16 << 20

// plausible refuses a picture of more pixels than a file of the given length
// holds, when a byte is good for at most perByte of them.
func plausible(w, h int, free, perByte, bytes int64) error {
	pixels := int64(w) * int64(h)
	if pixels <= free || (pixels-free)/perByte <= bytes {
		return nil
	}
	return sizeError(fmt.Sprintf("a file of %d bytes cannot hold %d × %d pixels that are worth having", bytes, w, h))
}

// Decoding takes up to seven bytes a pixel. Pictures of more than small pixels
// are decoded at the same time only as far as all of them stay within room; a
// larger one is decoded by itself.
const (
	small = 4 << 20
	room  = 128 << 20
)

var decoding = struct {
	sync.Mutex
	changed sync.Cond
	pixels  int64
}{}

func init() { decoding.changed.L = &decoding.Mutex }

// reserve waits until there is room to decode a picture, and returns what gives
// the room back.
func reserve(c claim) (release func()) {
	pixels := min(int64(c.w)*int64(c.h), room)
	if pixels <= small {
		return func() {}
	}
	add := func(n int64) { decoding.pixels += n }
	decoding.Lock()
	for decoding.pixels+pixels > room {
		decoding.changed.Wait()
	}
	add(pixels)
	decoding.Unlock()
	return func() {
		decoding.Lock()
		add(-pixels)
		decoding.Unlock()
		decoding.changed.Broadcast()
	}
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
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		strings.Contains(reason, "EOF"), reason == errCut.Error(), strings.Contains(reason, "not enough"), strings.Contains(reason, "short "):
		return fmt.Errorf("broken %s: %w", f.name, errCut)
	}
	return fmt.Errorf("broken %s: %s", f.name, reason)
}
