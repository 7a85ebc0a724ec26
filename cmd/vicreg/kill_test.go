package main

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A run killed at random moments, and resumed each time, ends with the bits of
// one that was left alone, broken images among the data or not.
func TestResumeAfterKill(t *testing.T) {
	dir := t.TempDir()
	for _, class := range []string{"red", "green"} {
		folder := filepath.Join(dir, "photos", class)
		if err := errors.Join(writeImages(folder, 40), writeBroken(folder, 3)); err != nil {
			t.Fatal(err)
		}
	}
	start := func(out string) []string {
		return append(append([]string{"pretrain"}, tiny...), "--data", "photos", "--out", out,
			"--epochs", "30", "--checkpoint-every", "0.0005") // also within epochs: every 30 ms
	}
	command := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command("vicreg", append(args, "--quiet")...)
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &stderr
		return cmd, &stderr
	}
	whole, stderr := command(start("whole")...)
	began := time.Now()
	if err := whole.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	length := time.Since(began)

	rng := rand.New(rand.NewPCG(1, 2))
	kills, finished := 0, false
	for kills < 12 && !finished {
		args := []string{"pretrain", "--resume", "killed"}
		if _, err := os.Stat(filepath.Join(dir, "killed", "config.yaml")); errors.Is(err, fs.ErrNotExist) {
			args = start("killed")
		}
		cmd, stderr := command(args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.Float64()*0.5*float64(length)), func() { cmd.Process.Kill() })
		err := cmd.Wait()
		switch {
		case !timer.Stop() && cmd.ProcessState.ExitCode() == -1: // by the signal
			kills++
		case err != nil:
			t.Fatalf("after %d kills: %v: %s", kills, err, stderr)
		default:
			finished = true
		}
	}
	if !finished {
		cmd, stderr := command("pretrain", "--resume", "killed")
		if err := cmd.Run(); err != nil {
			t.Fatalf("after %d kills: %v: %s", kills, err, stderr)
		}
	}
	t.Logf("%d kills of a run of %v", kills, length)
	if kills < 2 {
		t.Errorf("killed %d times only", kills)
	}
	var models [2][]byte
	for i, run := range []string{"whole", "killed"} {
		var err error
		if models[i], err = os.ReadFile(filepath.Join(dir, run, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(models[0], models[1]) {
		t.Error("the model of the killed run differs from that of the whole one")
	}
}
