//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package durable

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// noFollow makes opening a link fail.
const noFollow = syscall.O_NOFOLLOW

// claim locks a file that was just made. It reports whether the file still has
// its name: between the two another process may have taken it for left over.
func claim(f *os.File) bool {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return false
	}
	mine, err := f.Stat()
	if err != nil {
		return true
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(mine, there)
}

// sweep removes a file whose writer is gone: nobody holds its lock, or, where the
// file system knows no locks, nobody has written to it for a day.
func sweep(name string) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
	case err == nil:
		remove(name)
	default:
		if st, err := f.Stat(); err == nil && time.Since(st.ModTime()) > 24*time.Hour {
			remove(name)
		}
	}
}

// shared reports whether a file has more than one name.
func shared(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1
}
