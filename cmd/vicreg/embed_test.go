package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/npy"
)

// An embed that is killed between its two files leaves what a later one knows for embed's own,
// and replaces; a text that somebody put in the place of the names it does not.
func TestEmbedKilledBetweenItsFiles(t *testing.T) {
	dir := t.TempDir()
	out, names := filepath.Join(dir, "e.npy"), filepath.Join(dir, "e.txt")
	own := embeddings(out, names).is
	write := func(n int) error {
		array, err := durable.Create(out)
		if err != nil {
			t.Fatal(err)
		}
		defer array.Discard()
		e := new(vicreg.Embeddings)
		for range n {
			e.Features, e.Names = append(e.Features, []float32{1, 2}), append(e.Names, "a.png")
		}
		return writeEmbeddings(array, names, e)
	}
	killed := func(n int) {
		renames := 0
		defer durable.Inject(func(op, _ string) error {
			if op == "rename" {
				renames++
			}
			if renames > 1 {
				return syscall.EIO
			}
			return nil
		})()
		if write(n) == nil {
			t.Fatal("nothing failed")
		}
	}
	fits := func(n, lines int) {
		t.Helper()
		if got, _, err := npy.Written(out); got != n || err != nil || !hasLines(names, lines) || !own(out) {
			t.Errorf("%d rows, want %d, and %d lines; own %v, %v", got, n, lines, own(out), err)
		}
	}
	killed(2) // the first
	if !own(out) {
		t.Error("an array without its names is not known")
	}
	for _, n := range []int{2, 4} {
		if err := write(n); err != nil {
			t.Fatal(err)
		}
		fits(n, n)
		killed(3)
		fits(3, n)
	}
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(names, []byte("a\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if own(out) {
		t.Error("another text is taken for names")
	}
}
