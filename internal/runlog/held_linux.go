package runlog

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Locks are the locks that processes of this machine hold, as far as it tells.
type Locks struct {
	known bool
	held  map[file]bool
}

type file struct {
	major, minor uint32
	inode        uint64
}

// ReadLocks asks the system for all locks at once. It takes none.
func ReadLocks() Locks {
	f, err := os.Open("/proc/locks")
	if err != nil {
		return Locks{}
	}
	defer f.Close()
	l := Locks{known: true, held: map[file]bool{}}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 708 08:01:131 0 EOF (proc_locks(5))
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[3] != "WRITE" {
			continue
		}
		at := strings.Split(fields[5], ":")
		if len(at) != 3 {
			continue
		}
		major, err1 := strconv.ParseUint(at[0], 16, 32)
		minor, err2 := strconv.ParseUint(at[1], 16, 32)
		inode, err3 := strconv.ParseUint(at[2], 10, 64)
		if err1 == nil && err2 == nil && err3 == nil {
			l.held[file{uint32(major), uint32(minor), inode}] = true
		}
	}
	return l
}

// On reports whether a process holds the lock of a run's folder, and whether that can be
// known. A lock that another machine or container holds is not seen.
func (l Locks) On(dir string) (held, known bool) {
	var st unix.Stat_t
	if !l.known || unix.Stat(dir, &st) != nil {
		return false, false
	}
	dev := uint64(st.Dev)
	return l.held[file{unix.Major(dev), unix.Minor(dev), st.Ino}], true
}
