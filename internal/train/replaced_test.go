package train

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Images that are others when a run goes on are named; what is put back is not.
func TestReplacedImagesAreNoticed(t *testing.T) {
	c := config(t)
	c.Data.Source = photos(t, 30)
	if _, err := pretrain(c, &breaker{step: 2}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(c.Data.Source, name) }
	content := func(name string) []byte {
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	seven, eight := content("07.png"), content("08.png")
	for _, change := range []struct {
		name string
		do   func() error
		undo func() error
		want string
	}{
		{"replaced", func() error { return os.WriteFile(path("07.png"), eight, 0o666) },
			func() error { return os.WriteFile(path("07.png"), seven, 0o666) }, "the first that is new or another is 07.png"},
		{"renamed", func() error { return os.Rename(path("07.png"), path("07x.png")) },
			func() error { return os.Rename(path("07x.png"), path("07.png")) }, "the first that is new or another is 07x.png"},
		{"gone", func() error { return os.Remove(path("07.png")) },
			func() error { return os.WriteFile(path("07.png"), seven, 0o666) }, "1 of 30 files gone, and none new"},
		{"the last gone", func() error { return os.Rename(path("29.png"), path(".29.png")) },
			func() error { return os.Rename(path(".29.png"), path("29.png")) }, "1 of 30 files gone, and none new"},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		_, err := Resume(t.Context(), c.Out, Options{})
		if err == nil || !strings.Contains(err.Error(), "are no longer those the run started with: "+change.want+"; put them back, or start a new run") {
			t.Errorf("%s: %v", change.name, err)
		}
		if err := change.undo(); err != nil {
			t.Fatal(err)
		}
	}
	moved := c.Data.Source + "-moved"
	if err := errors.Join(os.CopyFS(moved, os.DirFS(c.Data.Source)), os.RemoveAll(c.Data.Source),
		os.Rename(moved, c.Data.Source)); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), c.Out, Options{}); err != nil {
		t.Errorf("a copy: %v", err)
	}
}
