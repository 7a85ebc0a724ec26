package imagefile

import (
	"fmt"
	"io"
)

// HoldAt is [Hold] of a file of size bytes that lies within a larger one. Errors begin
// with its name. The bytes are read into buf, which grows and is the caller's again.
func HoldAt(name string, r io.ReaderAt, size int64, limits Limits, buf *[]byte) (Image, *Held, error) {
	limits = limits.orDefault()
	if err := checkBytes(size, limits); err != nil {
		return Image{}, new(Held), named(name, err)
	}
	if int64(cap(*buf)) < size {
		*buf = make([]byte, size)
	}
	data := (*buf)[:size]
	if n, err := r.ReadAt(data, 0); int64(n) < size {
		return Image{}, new(Held), named(name, short(err))
	}
	return HoldBytes(name, data, limits)
}

// HoldBytes is [Hold] of a file's contents. Errors begin with its name.
func HoldBytes(name string, data []byte, limits Limits) (Image, *Held, error) {
	limits = limits.orDefault()
	if err := checkBytes(int64(len(data)), limits); err != nil {
		return Image{}, new(Held), named(name, err)
	}
	img, held, err := decode(data, limits)
	if err != nil {
		return Image{}, held, named(name, err)
	}
	return img, held, nil
}

// StatAt is [Stat] of a file of size bytes that lies within a larger one. Errors begin
// with its name.
func StatAt(name string, r io.ReaderAt, size int64, limits Limits) (w, h int, err error) {
	limits = limits.orDefault()
	if err := checkBytes(size, limits); err != nil {
		return 0, 0, named(name, err)
	}
	if w, h, err = stat(r, size, limits); err != nil {
		return 0, 0, named(name, err)
	}
	return w, h, nil
}

// LargeAt is [Large] of a file of size bytes that lies within a larger one.
func LargeAt(r io.ReaderAt, size int64) bool {
	w, h, err := stat(r, size, Limits{}.orDefault())
	return err == nil && large(w, h, size)
}

// short words an error of reading fewer bytes than there should be.
func short(err error) error {
	if err == nil || err == io.EOF {
		return fmt.Errorf("the file that holds it was cut short")
	}
	return err
}
