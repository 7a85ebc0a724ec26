package eval

import (
	"errors"
	"os"
	"syscall"
)

// allocate takes the room of a file on the disk, where the file system can, so that a full
// disk is known before the work.
func allocate(f *os.File, bytes int64) error {
	if bytes == 0 {
		return nil
	}
	for {
		err := syscall.Fallocate(int(f.Fd()), 0, 0, bytes)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EFBIG), errors.Is(err, syscall.EDQUOT):
			return err
		default:
			return nil // writing will tell
		}
	}
}
