//go:build !windows

package durable

import (
	"errors"
	"os"
	"syscall"
)

// full are the errors of a full disk.
var full = []error{syscall.ENOSPC, syscall.EDQUOT}

// syncDir brings a folder's names to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
