package durable

import (
	"os"
	"path/filepath"
	"strings"
)

// A file that is being written beside a path is called .NAME.RANDOM.vicreg-tmp. Its
// writer keeps it locked, so that a file whose writer is gone can be told from one that
// is being written.
const suffix = ".vicreg-tmp"

// longest is how much of a path's name goes into that of the file beside it, so
// that it stays within what file systems take.
const longest = 200

func prefix(path string) string {
	base := filepath.Base(path)
	return "." + base[:min(len(base), longest)] + "."
}

// Sweep removes the files beside path in which a process that is gone, since
// killed for example, was writing new contents of path. Files of a process that
// still runs stay, and so do all files of other programs.
func Sweep(path string) {
	for _, name := range Left(path) {
		sweep(name)
	}
}

// Left returns the files beside path in which a process is writing new contents of path, or
// was when it ended.
func Left(path string) (left []string) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(1000)
		for _, name := range names {
			if !leftover(name, prefix(path)) {
				continue
			}
			name = filepath.Join(filepath.Dir(path), name)
			if st, err := os.Lstat(name); err == nil && st.Mode().IsRegular() {
				left = append(left, name)
			}
		}
		if err != nil {
			return left
		}
	}
}

// leftover reports whether a file's name is the prefix, a random number and the
// suffix.
func leftover(name, prefix string) bool {
	random, is := strings.CutPrefix(name, prefix)
	random, ends := strings.CutSuffix(random, suffix)
	return is && ends && random != "" && strings.Trim(random, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}
