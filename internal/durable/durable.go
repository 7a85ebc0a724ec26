// Package durable writes files that are whole whatever happens: after a crash of
// the process or of the machine a path holds its old contents or its new ones.
package durable

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

// File is the new contents of a path, in a file beside it whose name begins with
// a dot and the path's own name. Errors of its methods do not name the path.
type File struct {
	*os.File
	path string
	done bool
}

// Create begins to write path. What stands there stays until Commit.
func Create(path string) (*File, error) {
	prefix := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".")
	for {
		f, err := os.OpenFile(prefix+strconv.FormatUint(rand.Uint64(), 36), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		switch {
		case err == nil:
			file := &File{File: f, path: path}
			begun.Store(file, nil)
			return file, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, Reason(err)
		}
	}
}

// begun are the files neither committed nor discarded.
var begun sync.Map // of *File

// Abandon removes the new contents of every path that is being written, by any
// goroutine, for a process that is about to leave. What stands at the paths stays.
func Abandon() {
	begun.Range(func(file, _ any) bool {
		os.Remove(file.(*File).Name())
		return true
	})
}

// Commit brings what was written to the disk and puts it in place.
func (f *File) Commit() error {
	err := f.Sync()
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), f.path)
	}
	if err != nil {
		f.Discard()
		return Reason(err)
	}
	f.done = true
	begun.Delete(f)
	return Reason(syncDir(filepath.Dir(f.path)))
}

// Discard gives the new contents up. After Commit it does nothing.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.Close()
	os.Remove(f.Name())
	begun.Delete(f)
}

// WriteFile puts data in place of what stands at path. Its error does not name
// the path.
func WriteFile(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return Reason(err)
	}
	return f.Commit()
}

// Reason strips the operation and the path from an error of package os, and says
// plainly that a disk is full. It keeps what errors.Is finds.
func Reason(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		return nil
	case slices.ContainsFunc(full, func(e error) bool { return errors.Is(err, e) }):
		return diskFull{err}
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

type diskFull struct{ error }

func (diskFull) Error() string   { return "the disk is full" }
func (e diskFull) Unwrap() error { return e.error }
