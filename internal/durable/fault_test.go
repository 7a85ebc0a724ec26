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

// What could not be written whole is not put in place, even by who overlooks the error.
func TestAFailedWriteIsNotCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for op, do := range map[string]func(f *File){
		"write": func(f *File) { f.Write([]byte("new")) },
		"at":    func(f *File) { f.WriteAt([]byte("new"), 0) },
		"sync":  func(f *File) { f.Sync() },
	} {
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		restore := Inject(func(string, string) error { return syscall.ENOSPC })
		do(f)
		restore()
		f.Write([]byte("more"))
		if err := f.Commit(); err == nil || err.Error() != "the disk is full" {
			t.Errorf("%s: %v", op, err)
		}
		if got := content(t, path); got != "old" || len(Left(path)) > 0 {
			t.Errorf("%s: %q, and left over %q", op, got, Left(path))
		}
	}
}

// Of files that belong together, all are written before the first is put in place; where a
// process ends in between, what it was about to put in place is left beside.
func TestFilesThatBelongTogether(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, c := range []struct {
		op   string // from which on all fails
		nth  int
		want [2]string
		left bool
	}{
		{"sync", 1, [2]string{"old", "old"}, false}, {"sync", 2, [2]string{"old", "old"}, false},
		{"rename", 1, [2]string{"old", "old"}, true}, {"rename", 2, [2]string{"new", "old"}, true},
		{"", 0, [2]string{"new", "new"}, false},
	} {
		var files []*File
		for _, path := range []string{first, second} {
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := Create(path)
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("new"))
			files = append(files, f)
		}
		n, gone := 0, false
		restore := Inject(func(op, _ string) error {
			if op == c.op {
				n++
			}
			if gone = gone || op == c.op && n == c.nth; gone && (c.left || op == c.op) {
				return syscall.EIO
			}
			return nil
		})
		err := Commit(files...)
		restore()
		if (err == nil) != (c.op == "") {
			t.Errorf("%s %d: %v", c.op, c.nth, err)
		}
		if got := [2]string{content(t, first), content(t, second)}; got != c.want {
			t.Errorf("%s %d: there are %q, want %q", c.op, c.nth, got, c.want)
		}
		left := Left(second)
		if c.left != (len(left) == 1) || c.left && content(t, left[0]) != "new" {
			t.Errorf("%s %d: left over %q", c.op, c.nth, left)
		}
		Sweep(first)
		Sweep(second)
	}
}
