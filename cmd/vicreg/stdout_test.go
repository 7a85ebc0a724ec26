package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// No command writes past the printer.
func TestNothingIsPrintedPastStdout(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	past := regexp.MustCompile(`os\.Stdout|fmt\.Print`)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains([]string{"stdout.go", "child.go"}, name) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if past.MatchString(line) && !strings.Contains(line, "os.Stdout.Fd()") {
				t.Errorf("%s: %s", name, strings.TrimSpace(line))
			}
		}
	}
}

// Pieces of a character may come one by one; what would drive a terminal comes
// out escaped.
func TestPrinter(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out}
	for _, b := range []byte("é × \x1b[2J\u202e\xff\n\tok \xe2\x82") {
		if n, err := p.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := p.finish(); err != nil {
		t.Error(err)
	}
	if want := `é × \x1b[2J\u202e\xff` + "\n\tok " + `\xe2\x82`; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// Every command ends with code 1 and a sentence where what it prints cannot be
// written; a run is saved first.
func TestFullOutput(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	dir := t.TempDir()
	if err := errors.Join(writeImages(filepath.Join(dir, "data", "a"), 10),
		writeImages(filepath.Join(dir, "data", "b"), 10)); err != nil {
		t.Fatal(err)
	}
	golden, err := filepath.Abs("../../internal/loss/testdata/vicreg/n16_d8.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	weights, err := filepath.Abs("../../internal/foreign/testdata/vicreg.pth")
	if err != nil {
		t.Fatal(err)
	}
	run := func(out *os.File, args ...string) (stderr string, code int) {
		cmd := exec.Command("vicreg", args...)
		var b strings.Builder
		cmd.Dir, cmd.Stderr, cmd.Stdout = dir, &b, out
		cmd.Run()
		return b.String(), cmd.ProcessState.ExitCode()
	}
	train := append([]string{"pretrain", "--data", "data", "--out"}, "run")
	train = append(train, tiny...)
	if stderr, code := run(nil, train...); code != 0 {
		t.Fatal(stderr)
	}
	train[4] = "full"
	seen := map[string]bool{}
	for _, args := range [][]string{
		{}, {"--help"}, {"help", "loss"}, {"pretrain", "--help"}, {"version"}, {"--version"}, {"completion", "bash"}, {"man", "man1"}, {"recipes"}, {"recipes", "quick"},
		{"info", "run"}, {"info", "run", "--json"},
		{"map", "run"}, {"map", "run", "--json"}, {"views", "run"},
		{"eval", "run", "--data", "data"}, {"eval", "run", "--data", "data", "--json"},
		{"embed", "run", "--data", "data", "--out", "e.npy"},
		{"finetune", "run", "--data", "data", "--plan"}, {"export", "run", "--out", "e.onnx"},
		{"import", weights, "--out", "in"}, {"import", weights, "--out", "in", "--json"},
		{"index", "run", "--data", "data", "--out", "d.index"}, {"search", "run", "--index", "d.index", "--query", "data/a/img000.jpg"},
		{"serve", "run", "--index", "d.index", "--addr", "127.0.0.1:0"}, {"watch", ".", "--addr", "127.0.0.1:0"},
		{"loss", golden}, {"loss", golden, "--method", "simclr"},
		{"pack", "--data", "data", "--out", "d.pack"},
		{"compare", "run", "--out", "c"}, {"plot", "run"}, {"report", "run"},
		append([]string{"compare", "--variant", "a:", "--data", "data", "--out", "c2"}, tiny...),
		{"bench"}, {"bench", "loss", "--n", "4", "--d", "8"}, {"bench", "peak", "--steps", "1", "--json"},
		{"pretrain", "--resume", "run"}, {"pretrain", "--resume", "run", "--json"},
		train,
	} {
		stderr, code := run(full, args...)
		want := "vicreg: standard output cannot be written: the disk is full\n"
		if args != nil && slices.Equal(args, train) {
			want = "vicreg: standard output cannot be written: the disk is full, so the run stopped in epoch 1, after step 0; everything is saved, go on with --resume full\n"
		}
		if code != exitFailure || stderr != want {
			t.Errorf("%q: exit code %d, %q", args, code, stderr)
		}
		if len(args) > 0 {
			seen[args[0]] = true
		}
	}
	for _, c := range newRoot().Commands() {
		if !seen[c.Name()] && !c.Hidden {
			t.Errorf("%s was not tried", c.Name())
		}
	}
	// The run that lost its output ends as the one that did not.
	if stderr, code := run(nil, "pretrain", "--resume", "full"); code != 0 {
		t.Fatal(stderr)
	}
	var models [2][]byte
	for i, name := range []string{"run", "full"} {
		if models[i], err = os.ReadFile(filepath.Join(dir, name, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(models[0], models[1]) {
		t.Error("the models differ")
	}
}
