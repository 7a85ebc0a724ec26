package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A full disk stops a run with a clear sentence and costs nothing that was
// saved: with room again, the run resumes to the bits of one never stopped.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no small file system to fill: mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	if err := writeImages(filepath.Join(dir, "photos"), 40); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (stderr string, err error) {
		cmd := exec.Command("vicreg", append(append([]string{"pretrain"}, args...), "--quiet")...)
		var b strings.Builder
		cmd.Dir, cmd.Stderr = dir, &b
		err = cmd.Run()
		return b.String(), err
	}
	start := append([]string{"--data", "photos"}, tiny...)
	if stderr, err := run(append(start, "--out", "whole")...); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	filler := filepath.Join(disk, "filler")
	fill := func(leave int) {
		var fs syscall.Statfs_t
		if err := syscall.Statfs(disk, &fs); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filler, make([]byte, int(fs.Bavail)*int(fs.Bsize)-leave), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	full := func(stderr string, err error) {
		t.Helper()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitFailure {
			t.Errorf("want exit code %d on a full disk, got %v", exitFailure, err)
		}
		for strings.HasPrefix(stderr, "warning: ") { // of a run of few steps
			_, stderr, _ = strings.Cut(stderr, "\n")
		}
		if !strings.Contains(stderr, "the disk is full") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "disk/run") {
			t.Errorf("want one sentence that names the file and the full disk, got %q", stderr)
		}
	}

	// Room for the configuration and a little more.
	fill(16 << 10)
	full(run(append(start, "--out", "disk/run")...))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(disk, "run")); err != nil {
		t.Fatal(err)
	}

	// Room for a checkpoint, but not for the next beside it, nor for the model.
	size := int64(0)
	for _, name := range []string{"checkpoint", "model.safetensors"} {
		info, err := os.Stat(filepath.Join(dir, "whole", name))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	fill(int(size) + 16<<10)
	full(run(append(start, "--out", "disk/run")...))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if stderr, err := run("--resume", "disk/run"); err != nil {
		t.Fatalf("with room again: %v: %s", err, stderr)
	}
	var models [2][]byte
	for i, name := range []string{"whole", "disk/run"} {
		var err error
		if models[i], err = os.ReadFile(filepath.Join(dir, name, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(models[0], models[1]) {
		t.Error("the model of the run on the full disk differs from that of the whole one")
	}
}
