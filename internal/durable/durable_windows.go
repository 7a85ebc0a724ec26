package durable

import "syscall"

// full are the errors of a full disk: ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL.
var full = []error{syscall.Errno(39), syscall.Errno(112)}

// syncDir does nothing: a folder cannot be synced here.
func syncDir(string) error { return nil }
