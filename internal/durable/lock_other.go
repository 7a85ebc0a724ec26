//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package durable

import (
	"os"
	"time"
)

const noFollow = 0

// claim does nothing here.
func claim(*os.File) bool { return true }

// sweep removes a file that nobody has written to for a day.
func sweep(name string) {
	if st, err := os.Lstat(name); err == nil && time.Since(st.ModTime()) > 24*time.Hour {
		remove(name)
	}
}

// shared reports whether a file has more than one name.
func shared(os.FileInfo) bool { return false }
