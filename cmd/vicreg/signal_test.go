//go:build unix

package main

import (
	"bufio"
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
	cmd := exec.Command("vicreg", "pretrain", "--data", "photos", "--out", "run", "--json",
		"--width", "24", "--size", "64", "--batch", "64", "--epochs", "9", "--threads", "1") // steps of seconds
	var stderr strings.Builder
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), `"epoch"`) {
	}
	time.Sleep(100 * time.Millisecond) // past the checkpoint, into the second step
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
		t.Errorf("exit code %d, %q", code, &stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "run", "checkpoint")); err != nil {
		t.Error(err)
	}
}
