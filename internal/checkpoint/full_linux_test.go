package checkpoint

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestFullDiskKeepsTheLast(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("a small file system needs root: %v", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := filepath.Join(dir, "checkpoint")
	a := []Array{{"x", []int{9000}, make([]float32, 9000)}} // 36 of 64 kB
	if err := Save(path, State{Steps: 7}, a); err != nil {
		t.Fatal(err)
	}
	err := Save(path, State{Steps: 8}, a)
	if err == nil || !strings.Contains(err.Error(), "the disk is full; the one after step 7 is intact") {
		t.Errorf("full disk: %v", err)
	}
	if s, err := Load(path, a); err != nil || s.Steps != 7 {
		t.Errorf("after a full disk: step %d, %v", s.Steps, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
}
