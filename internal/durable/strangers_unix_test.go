//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package durable

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// names are those of the files in a folder.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// What a killed process left goes at the next attempt to write the same path;
// what another process is writing stays, and so does everything else.
func TestLeftoversOfTheDeadAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run")
	strangers := []string{".run", ".run-mine", ".run.", ".run.12345", ".run.swp", ".run.vicreg-tmp", ".run.12.vicreg-tmp~",
		".run.UP.vicreg-tmp", ".run.json.1a.vicreg-tmp", ".run2.1a.vicreg-tmp", "run.1a.vicreg-tmp", ".run.json.mine"}
	for _, name := range strangers {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("target", filepath.Join(dir, ".run.11.vicreg-tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".run.12.vicreg-tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	for _, name := range []string{".run.1a.vicreg-tmp", ".run.zz.vicreg-tmp"} { // of the dead
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("second")); err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(before), filepath.Base(alive.Name()), "run")
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("there are %q, want %q", got, want)
	}
	alive.Write([]byte("first"))
	if err := alive.Commit(); err != nil || content(t, path) != "first" {
		t.Errorf("the one that was being written: %v", err)
	}
	for _, name := range strangers {
		if content(t, filepath.Join(dir, name)) != "mine" {
			t.Errorf("%s was changed", name)
		}
	}
}

// Whatever is no file is never replaced, nor what a link leads to.
func TestOnlyFilesAreReplaced(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{os.Mkdir(at("folder"), 0o755), syscall.Mkfifo(at("pipe"), 0o644), os.Symlink("/dev/full", at("out")),
		os.WriteFile(at("precious"), []byte("precious"), 0o644), os.Symlink("precious", at("link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, kind := range map[string]string{"folder": "a folder", "pipe": "a named pipe", "out": "a device"} {
		for what, err := range map[string]error{"written": WriteFile(at(name), []byte("x")),
			"kept": Keep(at("precious"), at(name)), "appended to": appended(at(name))} {
			if err == nil || !strings.Contains(err.Error(), kind) &&
				(what != "appended to" || !strings.Contains(err.Error(), "a link")) {
				t.Errorf("%s was %s: %v", name, what, err)
			}
		}
	}
	if err := appended(at("link")); err == nil || !strings.Contains(err.Error(), "it is a link, and only a file is written to") {
		t.Errorf("a link was appended to: %v", err)
	}
	if err := WriteFile(at("link"), []byte("new")); err != nil || content(t, at("link")) != "new" || content(t, at("precious")) != "precious" {
		t.Errorf("a link was written through: %v", err)
	}
	if got := names(t, dir); len(got) != 5 {
		t.Errorf("there are %q", got)
	}
}

func appended(path string) error {
	a, err := Append(path, 0)
	if err == nil {
		a.Close()
	}
	return err
}

// A copy made of hard links keeps what it has.
func TestAppendLeavesOtherNamesAlone(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "metrics"), filepath.Join(dir, "backup")
	if err := os.WriteFile(path, []byte("one two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, backup); err != nil {
		t.Skip(err)
	}
	for i, want := range []string{"one+", "on++"} {
		a, err := Append(path, int64(3-i))
		if err != nil {
			t.Fatal(err)
		}
		for range i + 1 {
			a.Write([]byte("+"))
		}
		a.Close()
		if got := content(t, path); got != want || content(t, backup) != "one two" {
			t.Errorf("%q, want %q; the other name has %q", got, want, content(t, backup))
		}
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	path, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, text := range []string{"1", "2"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // also when it has the name already
			if err := Keep(path, second); err != nil || content(t, second) != text {
				t.Errorf("%q: %v", content(t, second), err)
			}
		}
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("there are %q", got)
	}
	if err := Keep(filepath.Join(dir, "none"), second); err == nil || content(t, second) != "2" {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A name as long as file systems take has a file beside it while it is written.
func TestLongNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	for range 2 {
		if err := WriteFile(path, []byte("x")); err != nil {
			t.Error(err)
		}
	}
}
