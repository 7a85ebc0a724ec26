package durable

import (
	"os"
	"sync/atomic"
)

// injected is what tests let operations on files fail with.
var injected atomic.Pointer[func(op, path string) error]

// Inject lets tests see how disks fail: before every operation on a file f is
// asked for an error that takes its place. The operations are create, write (the
// first half of the bytes is written then), truncate, sync (of files and of
// folders), link, rename and remove.
func Inject(f func(op, path string) error) (restore func()) {
	old := injected.Swap(&f)
	return func() { injected.Store(old) }
}

func fault(op, path string) error {
	if f := injected.Load(); f != nil {
		return (*f)(op, path)
	}
	return nil
}

func write(f *os.File, b []byte) (int, error) {
	if err := fault("write", f.Name()); err != nil {
		n, _ := f.Write(b[:len(b)/2])
		return n, err
	}
	return f.Write(b)
}

func syncFile(f *os.File) error {
	if err := fault("sync", f.Name()); err != nil {
		return err
	}
	return f.Sync()
}

func rename(from, to string) error {
	if err := fault("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func remove(path string) error {
	if err := fault("remove", path); err != nil {
		return err
	}
	return os.Remove(path)
}
