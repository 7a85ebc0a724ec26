package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
)

// Tail writes at the end of a file that others may read meanwhile. Errors of its
// methods do not name the file.
type Tail struct{ f *os.File }

// Append opens the file at path, which need not exist, to write after its first size
// bytes; what follows these is cut off. It refuses a link and anything that is not a
// file. If the file has other names, as in a copy made of hard links, those keep the
// present contents. Its error does not name the path.
func Append(path string, size int64) (*Tail, error) {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, Reason(err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("it is %s, and only a file is written to", Kind(st.Mode()))
	case shared(st):
		if err := part(path, size); err != nil {
			return nil, err
		}
	}
	if err := fault("create", path); err != nil {
		return nil, Reason(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|noFollow, 0o644)
	if err != nil {
		return nil, Reason(err)
	}
	if err = fault("truncate", path); err == nil {
		err = f.Truncate(size)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, Reason(err)
	}
	// Whoever cuts the file short meanwhile leaves no hole in it.
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_APPEND|noFollow, 0o644); err != nil {
		return nil, Reason(err)
	}
	return &Tail{f}, nil
}

// Standing tells what has become of the file: whether its path still leads to it,
// and its size.
func (t *Tail) Standing() (there bool, size int64, err error) {
	st, err := t.f.Stat()
	if err != nil {
		return false, 0, Reason(err)
	}
	at, err := os.Lstat(t.f.Name())
	return err == nil && os.SameFile(at, st), st.Size(), nil
}

// Reader reads what the file holds, also where its path no longer leads to it.
func (t *Tail) Reader() io.Reader { return io.NewSectionReader(t.f, 0, math.MaxInt64) }

// part replaces the file at path by a copy of its first size bytes. The old file keeps
// its other names.
func part(path string, size int64) error {
	old, err := os.Open(path)
	if err != nil {
		return Reason(err)
	}
	defer old.Close()
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := io.Copy(f, io.LimitReader(old, size)); err != nil {
		return Reason(err)
	}
	return f.Commit()
}

// Write writes at the end.
func (t *Tail) Write(b []byte) (int, error) {
	n, err := write(t.f, b)
	return n, Reason(err)
}

// Sync brings what was written to the disk.
func (t *Tail) Sync() error { return Reason(syncFile(t.f)) }

// Close closes the file.
func (t *Tail) Close() error { return t.f.Close() }
