//go:build !linux

package eval

import "os"

// allocate does nothing: writing will tell if the disk is full.
func allocate(*os.File, int64) error { return nil }
