package main

import (
	"bufio"
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A run killed at random moments, and resumed each time, ends with the bits of
// one that was left alone, broken images among the data or not, whatever the
// state of its method.
func TestResumeAfterKill(t *testing.T) {
	for _, method := range [][]string{
		{"--method", "vicreg"},
		{"--method", "moco-v2", "--queue", "24"},
		{"--method", "deepcluster", "--prototypes", "4,5"},
	} {
		t.Run(method[1], func(t *testing.T) { resumeAfterKill(t, method...) })
	}
}

func resumeAfterKill(t *testing.T, flags ...string) {
	dir := t.TempDir()
	for _, class := range []string{"red", "green"} {
		folder := filepath.Join(dir, "photos", class)
		if err := errors.Join(writeImages(folder, 40), writeBroken(folder, 3)); err != nil {
			t.Fatal(err)
		}
	}
	start := func(out string) []string {
		args := append([]string{"pretrain"}, tiny...)
		args = append(args, "--data", "photos", "--out", out, "--json",
			"--epochs", "12", "--checkpoint-every", "0.0005") // also within epochs: every 30 ms
		return append(args, flags...)
	}
	// run runs a command, kills it a moment after some lines of its output
	// (0: never), and reports whether it was killed.
	run := func(lines int, moment time.Duration, args ...string) bool {
		t.Helper()
		cmd := exec.Command("vicreg", args...)
		var stderr bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for s := bufio.NewScanner(out); s.Scan(); {
			if seen++; seen == lines {
				time.Sleep(moment)
				cmd.Process.Kill()
			}
		}
		err = cmd.Wait()
		if cmd.ProcessState.ExitCode() == -1 { // by the signal
			return true
		}
		if err != nil {
			t.Fatalf("%v: %s", err, &stderr)
		}
		return false
	}
	run(0, 0, start("whole")...)

	rng := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for kills < 6 {
		args := []string{"pretrain", "--resume", "killed", "--json"}
		if kills == 0 {
			args = start("killed")
		}
		if !run(1+rng.IntN(40), time.Duration(rng.IntN(int(10*time.Millisecond))), args...) {
			break
		}
		kills++
	}
	run(0, 0, "pretrain", "--resume", "killed", "--json")
	t.Logf("%d kills", kills)
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
