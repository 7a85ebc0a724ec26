//go:build native && linux && (amd64 || arm64)

package native

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCall(t *testing.T) {
	l, err := Search{}.Open("libc.so.6")
	if err != nil {
		t.Skip(err)
	}
	if !strings.Contains(l.Path, "libc.so.6") && !strings.Contains(l.Path, "libc-2") {
		t.Errorf("it lies at %q", l.Path)
	}
	var table struct{ Abs, Strlen, Strerror Func }
	if err := l.Table(&table); err != nil {
		t.Fatal(err)
	}
	if n := table.Abs.Call(^uintptr(41)); n != 42 {
		t.Errorf("abs(-42) is %d", n)
	}
	if s := table.Strerror.Text(2); s != "No such file or directory" {
		t.Errorf("strerror(2) is %q", s)
	}
	if n := testing.AllocsPerRun(100, func() { table.Abs.Call(7) }); n > 0.5 {
		t.Errorf("a call allocates %v times", n)
	}
	var missing struct{ Abs, NoSuchThing, NorThat Func }
	if err := l.Table(&missing); err == nil || !strings.Contains(err.Error(), "has no noSuchThing, norThat: it is too old") {
		t.Errorf("missing functions: %v", err)
	}
}

func TestNotFound(t *testing.T) {
	var e *NotFound
	if _, err := (Search{}).Open("libnothing.so.9"); !errors.As(err, &e) || err.Error() != "libnothing.so.9 was not found" {
		t.Errorf("%v", err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "libnothing.so.9"), []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Search{{First: []string{folder}}, {Then: []string{folder}}} {
		if _, err := s.Open("libnothing.so.9"); !errors.As(err, &e) || !strings.Contains(err.Error(), folder) {
			t.Errorf("%v", err)
		}
	}
}
