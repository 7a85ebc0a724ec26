package runlog

import "testing"

func TestLocksAreSeen(t *testing.T) {
	dir := t.TempDir()
	if held, known := ReadLocks().On(dir); held || !known {
		t.Skipf("held %v, known %v: this system does not tell", held, known)
	}
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if held, _ := ReadLocks().On(dir); !held {
		unlock()
		t.Skip("this file system's locks are not told under its own number")
	}
	unlock()
	if held, _ := ReadLocks().On(dir); held {
		t.Error("a lock that was given back is still held")
	}
}
