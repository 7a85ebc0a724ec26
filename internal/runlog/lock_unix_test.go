//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package runlog

import (
	"strings"
	"testing"
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
	unlock()
}
