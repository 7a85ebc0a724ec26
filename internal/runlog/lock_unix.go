//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package runlog

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long Lock waits for a process that is about to end.
const patience = time.Second

// Lock keeps other processes from writing into dir until unlock is called or this
// process ends, however it ends. Where the file system knows no locks it does
// nothing.
func Lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); errors.Is(unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB),
		unix.EWOULDBLOCK); time.Sleep(patience / 20) {
		if time.Since(began) < patience {
			continue
		}
		d.Close()
		return nil, fmt.Errorf("%s is in use by another process, and a run goes on in one at a time; wait for that one to end, or stop it", dir)
	}
	return func() { d.Close() }, nil
}
