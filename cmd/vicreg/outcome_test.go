package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vicreg"
	"vicreg/internal/durable"
)

// A square of few classes, with the classes that are not fitted on at the end; a list of
// many.
func TestWriteConfusion(t *testing.T) {
	o := vicreg.Outcome{Confusion: []vicreg.Confused{{Class: -2, Predicted: 4, Items: 7},
		{Class: 2, Predicted: 2, Items: 3}, {Class: 2, Predicted: 4, Items: 1}, {Class: 9, Predicted: 2, Items: 5}},
		Classes: []vicreg.ClassOutcome{{Class: 2, Name: "a,b"}, {Class: 4, Name: `"c"`}, {Class: 9, Name: "new"}}}
	var b strings.Builder
	if err := writeConfusion(&b, o); err != nil {
		t.Fatal(err)
	}
	want := "class \\ predicted,\"a,b\",\"\"\"c\"\"\",new\n\"a,b\",3,1,0\n\"\"\"c\"\"\",0,0,0\nnew,5,0,0\n(not fitted on),0,7,0\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	for i := range mostSquare {
		o.Classes = append(o.Classes, vicreg.ClassOutcome{Class: 10 + i, Name: fmt.Sprint("k", i)})
	}
	b.Reset()
	if err := writeConfusion(&b, o); err != nil {
		t.Fatal(err)
	}
	if want := "class,predicted,count\n(not fitted on),\"\"\"c\"\"\",7\n\"a,b\",\"a,b\",3\n\"a,b\",\"\"\"c\"\"\",1\nnew,\"a,b\",5\n"; b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// Classes whose names differ in bytes that are no UTF-8 stay apart in JSON.
func TestClassesOfBytes(t *testing.T) {
	o := vicreg.Outcome{Classes: []vicreg.ClassOutcome{{Class: 0, Name: "caf\xe8"}, {Class: 1, Name: "caf\xe9"}}}
	counts := []vicreg.ClassCount{{Name: "caf\xe8"}, {Name: "caf\xe9"}}
	for _, all := range []map[string]any{classesOf(o), countsOf(counts)} {
		if all[`caf\xe8`] == nil || all[`caf\xe9`] == nil {
			t.Errorf("%v", all)
		}
	}
}

// A disk that is full costs no matrix that is there.
func TestConfusionOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.csv")
	if err := os.WriteFile(path, []byte("earlier"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := confusionFlag{path: path}
	var err error
	if f.file, err = durable.Create(path); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	restore := durable.Inject(func(op, _ string) error {
		if op == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	defer restore()
	_, err = f.write(vicreg.Outcome{Classes: []vicreg.ClassOutcome{{Class: 2, Name: "a"}}})
	if err == nil || !strings.Contains(err.Error(), "c.csv cannot be written: the disk is full") {
		t.Errorf("%v", err)
	}
	if raw, _ := os.ReadFile(path); string(raw) != "earlier" {
		t.Errorf("the matrix holds %q", raw)
	}
}
