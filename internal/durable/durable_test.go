package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheOldContentsStandUntilCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	for _, commit := range []bool{false, true} {
		f, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte("new"))
		if got := content(t, path); got != "old" {
			t.Errorf("before Commit it holds %q", got)
		}
		// What a killed process leaves can be told by its name.
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".config.yaml.*.vicreg-tmp")); len(left) != 1 {
			t.Errorf("while it is written there are %q", left)
		}
		want := "old"
		if commit {
			want = "new"
			if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		f.Discard()
		if got := content(t, path); got != want {
			t.Errorf("commit %v: it holds %q", commit, got)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("commit %v: there are %v", commit, left)
		}
	}
}

func TestErrorsAreReasons(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "none", "x"), nil); !errors.Is(err, fs.ErrNotExist) ||
		strings.Contains(err.Error(), "none") {
		t.Errorf("a folder that is not there: %v", err)
	}
	// A folder cannot be replaced by a file, and nothing is left of the attempt.
	if err := os.MkdirAll(filepath.Join(dir, "x", "y"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "x"), []byte("z")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("there are %v", left)
	}
	for _, e := range full {
		err := Reason(&os.PathError{Op: "write", Path: "x", Err: e})
		if err.Error() != "the disk is full" || !errors.Is(err, e) {
			t.Errorf("%v: %v", e, err)
		}
	}
}
