//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The first signal lets the step end and saves; the second, which comes while the
// step still goes on, does not wait for it.
func TestSecondSignalLeavesAtOnce(t *testing.T) {
	dir := t.TempDir()
	if err := writeImages(filepath.Join(dir, "photos"), 64); err != nil {
		t.Fatal(err)
	}
	cmd, lines, stderr := begin(t, dir, "pretrain", "--data", "photos", "--out", "run", "--json",
		"--width", "24", "--size", "64", "--batch", "64", "--epochs", "9", "--threads", "1") // steps of seconds
	for lines.Scan() && !strings.Contains(lines.Text(), `"epoch"`) {
	}
	time.Sleep(100 * time.Millisecond) // past the checkpoint, into the second step
	leave(t, cmd, lines, stderr)
	if _, err := os.Stat(filepath.Join(dir, "run", "checkpoint")); err != nil {
		t.Error(err)
	}
}

// Nor does embedding leave behind what it had begun to write.
func TestSecondSignalLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := writeImages(filepath.Join(dir, "photos"), 64); err != nil {
		t.Fatal(err)
	}
	trained, lines, stderr := begin(t, dir, "pretrain", "--data", "photos", "--out", "run", "--quiet",
		"--width", "24", "--size", "128", "--batch", "4", "--limit", "4", "--epochs", "1")
	for lines.Scan() {
	}
	if trained.Wait() != nil {
		t.Fatal(stderr)
	}
	cmd, lines, stderr := begin(t, dir, "embed", "run", "--data", "photos", "--out", "e.npy", "--batch", "64", "--threads", "1") // one batch of seconds
	begun := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, ".e.npy.*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	for range 1000 {
		if len(begun()) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond) // into the batch
	leave(t, cmd, lines, stderr)
	if left := begun(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// leave sends a command two signals and checks that it leaves at once.
func leave(t *testing.T, cmd *exec.Cmd, lines *bufio.Scanner, stderr *bytes.Buffer) {
	t.Helper()
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for lines.Scan() {
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped || !strings.HasSuffix(stderr.String(), "vicreg: left at once\n") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}
