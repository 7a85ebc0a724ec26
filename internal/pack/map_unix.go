//go:build unix

package pack

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile returns the contents of a file, which are read as they are used.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() == 0:
		return nil, nil
	case info.Size() > math.MaxInt:
		return nil, errors.New("the file is larger than this processor can map")
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil { // some file systems cannot
		return os.ReadFile(path)
	}
	return data, nil
}
