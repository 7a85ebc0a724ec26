// Package durable writes files that are whole whatever happens: after a crash of
// the process or of the machine a path holds its old contents or its new ones.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

// File is the new contents of a path, in a file beside it with a name that no other
// program would give; see [Sweep]. Errors of its methods do not name the path.
type File struct {
	f    *os.File
	path string
	done bool
	err  error // the first of writing
}

// Create begins to write path. What is there stays until Commit. It removes what killed
// processes left of their attempts to write path, and refuses a path at which there is
// something other than a file.
func Create(path string) (*File, error) {
	if err := Replaceable(path); err != nil {
		return nil, err
	}
	Sweep(path)
	for {
		name := temporary(path)
		if err := fault("create", name); err != nil {
			return nil, Reason(err)
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, Reason(err)
		}
		if !claim(f) {
			f.Close() // another process swept it away before it was claimed
			continue
		}
		file := &File{f: f, path: path}
		begun.Store(file, nil)
		return file, nil
	}
}

// Replaceable returns an error if something else than a file stands at path, or
// at the end of a link there. The error does not name the path.
func Replaceable(path string) error {
	st, err := os.Stat(path)
	if err != nil || st.Mode().IsRegular() { // or nothing, or what will fail later
		return nil
	}
	return fmt.Errorf("it is %s, and only a file can be replaced", Kind(st.Mode()))
}

// OpenRegular opens a file to be read, and nothing that would wait or act, as a pipe or
// a device does: those are fs.ErrInvalid.
func OpenRegular(path string) (*os.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fs.ErrInvalid
	}
	return os.Open(path)
}

// Begins reports whether there is a regular file at path that begins with prefix.
func Begins(path, prefix string) bool {
	f, err := OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, len(prefix))
	_, err = io.ReadFull(f, head)
	return err == nil && string(head) == prefix
}

// Kind says what stands at a path, for messages.
func Kind(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a file"
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeSymlink != 0:
		return "a link"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// begun are the files neither committed nor discarded.
var begun sync.Map // of *File

// Abandon removes the new contents of every path that any goroutine is writing, for a
// process that is about to end. What is at the paths stays.
func Abandon() {
	begun.Range(func(file, _ any) bool {
		os.Remove(file.(*File).Name())
		return true
	})
}

// Name returns where the new contents are until Commit.
func (f *File) Name() string { return f.f.Name() }

// Write appends to the new contents.
func (f *File) Write(b []byte) (int, error) {
	n, err := write(f.f, b)
	return n, f.failed(err)
}

// WriteAt writes over part of the new contents.
func (f *File) WriteAt(b []byte, at int64) (int, error) {
	if err := fault("write", f.Name()); err != nil {
		return 0, f.failed(err)
	}
	n, err := f.f.WriteAt(b, at)
	return n, f.failed(err)
}

// Sync brings what was written to the disk.
func (f *File) Sync() error { return f.failed(syncFile(f.f)) }

// failed returns err, and remembers the first for Commit.
func (f *File) failed(err error) error {
	if f.err == nil {
		f.err = err
	}
	return err
}

// Commit brings what was written to the disk and puts it in place. Where anything could not
// be written, it returns the first error of that and leaves the path as it is.
func (f *File) Commit() error { return Commit(f) }

// Commit is [File.Commit] of files that belong together: all are on the disk before the
// first is put in place, and the others follow at once. What a process that is killed in
// between leaves of them [Left] tells.
func Commit(files ...*File) (err error) {
	defer func() {
		for _, f := range files {
			f.Discard()
		}
		err = Reason(err)
	}()
	for _, f := range files {
		if f.err == nil {
			f.Sync()
		}
		if f.err != nil {
			return f.err
		}
	}
	for i, f := range files {
		if err := place(f.f, f.path); err != nil {
			return err
		}
		f.done = true
		for _, f := range files[i:] { // what is left of them is to stay now
			begun.Delete(f)
		}
	}
	for _, f := range files {
		err = errors.Join(err, syncDir(filepath.Dir(f.path)))
	}
	return err
}

// Discard throws the new contents away. After Commit it does nothing.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	f.f.Close()
	remove(f.Name())
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

// Keep gives the file at path the second name too, in place of the file that has it now.
// On a file system where a file cannot have two names it returns an error and changes
// nothing.
func Keep(path, second string) error {
	if err := Replaceable(second); err != nil {
		return err
	}
	Sweep(second)
	name := temporary(second)
	if err := fault("link", path); err != nil {
		return Reason(err)
	}
	if err := os.Link(path, name); err != nil {
		return Reason(err)
	}
	err := rename(name, second)
	remove(name) // where both were one file already, renaming does nothing
	return Reason(err)
}

// temporary makes up the name of a file beside path.
func temporary(path string) string {
	return filepath.Join(filepath.Dir(path), prefix(path)+strconv.FormatUint(rand.Uint64(), 36)+suffix)
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

// Unreadable reports whether an error is of an operation on a file, such as one that is not
// permitted, and so tells nothing of what the file holds.
func Unreadable(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path)
}

type diskFull struct{ error }

func (diskFull) Error() string   { return "the disk is full" }
func (e diskFull) Unwrap() error { return e.error }
