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
	if err := fault("sync", dir); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// place gives f the name path and closes it: until it has its name, it stays
// locked.
func place(f *os.File, path string) error {
	if err := rename(f.Name(), path); err != nil {
		return err
	}
	f.Close() // it is on the disk already
	return nil
}
