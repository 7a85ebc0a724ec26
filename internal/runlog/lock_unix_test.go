//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package runlog

import (
	"strings"
	"testing"
	"time"
)

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); err == nil || !strings.Contains(err.Error(), dir+" is in use by another process") {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	unlock, err = Lock(dir)
	if err != nil {
		t.Fatalf("after the first was let go: %v", err)
	}
	time.AfterFunc(patience/10, unlock) // as a process that was just killed
	if unlock, err = Lock(dir); err != nil {
		t.Fatalf("while the other was let go: %v", err)
	}
	unlock()
}
