package durable

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Whatever operation fails, a path holds its old contents or its new ones, and
// nothing is left beside it.
func TestEveryOperationMayFail(t *testing.T) {
	dir := t.TempDir()
	path, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write := func() error { return WriteFile(path, []byte("new")) }
	keep := func() error { return Keep(path, second) }
	for what, do := range map[string]func() error{"write": write, "keep": keep} {
		failed := 0
		for nth := 1; ; nth++ {
			for _, name := range []string{path, second} {
				if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			n, op := 0, ""
			restore := Inject(func(o, p string) error {
				if n++; n != nth {
					return nil
				}
				op = o
				return &os.PathError{Op: o, Path: p, Err: syscall.ENOSPC}
			})
			err := do()
			restore()
			if op == "" {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				break
			}
			failed++
			got := content(t, path)
			if got != "old" && (got != "new" || op != "sync") || content(t, second) != "old" && what == "write" {
				t.Errorf("%s, operation %d, %s: %q and %q", what, nth, op, got, content(t, second))
			}
			if op != "remove" && (!errors.Is(err, syscall.ENOSPC) || err.Error() != "the disk is full") {
				t.Errorf("%s, operation %d, %s: %v", what, nth, op, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 && op != "remove" {
				t.Errorf("%s, operation %d, %s: left over: %q", what, nth, op, left)
			}
		}
		if failed < 3 {
			t.Errorf("%s: only %d operations failed", what, failed)
		}
	}
}
