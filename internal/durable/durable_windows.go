package durable

import (
	"os"
	"syscall"
)

// full are the errors of a full disk: ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL.
var full = []error{syscall.Errno(39), syscall.Errno(112)}

const noFollow = 0

// syncDir does nothing: a folder cannot be synced here.
func syncDir(string) error { return nil }

// claim does nothing: an open file cannot be removed here.
func claim(*os.File) bool { return true }

// sweep removes a file, unless a process has it open.
func sweep(name string) { remove(name) }

// place closes f and gives it the name path: an open file cannot be renamed here.
func place(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return rename(f.Name(), path)
}

// shared reports whether a file has more than one name.
func shared(os.FileInfo) bool { return false }
