package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A run killed at random moments, and resumed each time, ends with the bits of
// one that was left alone, broken images among the data or not, whatever the
// state of its method, and whatever its branches read.
func TestResumeAfterKill(t *testing.T) {
	photos := []string{"--data", "photos"}
	pairs := func(flags ...string) []string { return append([]string{"--pairs", "p/pairs.csv"}, flags...) }
	// Transformers have large checkpoints, which take their time.
	seldom := []string{"--epochs", "4", "--checkpoint-every", "0.01"}
	lines := map[string]int{"encoders": 12, "captions": 12} // of output before a kill, at most
	for name, flags := range map[string][]string{
		"vicreg":      append(photos, "--method", "vicreg"),
		"moco-v2":     append(photos, "--method", "moco-v2", "--queue", "24"),
		"deepcluster": append(photos, "--method", "deepcluster", "--prototypes", "4,5"),
		"supervised":  append(photos, "--method", "supervised"),
		"separate":    append(photos, "--branches", "separate"),
		"encoders":    slices.Concat(photos, []string{"--encoder-a", "resnet18", "--encoder-b", "vit-tiny"}, seldom),
		"captions":    slices.Concat(pairs("--a", "image=photo", "--b", "text=caption"), seldom),
		"spectrogram": pairs("--a", "waveform=wav", "--b", "spectrogram=wav"),
		"numbers":     pairs("--a", "series=path", "--b", "numeric=temp,load"),
		"embeddings":  pairs("--a", "embedding=vec", "--b", "series=path"),
	} {
		t.Run(name, func(t *testing.T) { resumeAfterKill(t, cmp.Or(lines[name], 40), flags...) })
	}
}

func resumeAfterKill(t *testing.T, most int, flags ...string) {
	dir := t.TempDir()
	for _, class := range []string{"red", "green"} {
		folder := filepath.Join(dir, "photos", class)
		if err := errors.Join(writeImages(folder, 40), writeBroken(folder, 3)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writePairs(filepath.Join(dir, "p"), 60); err != nil {
		t.Fatal(err)
	}
	start := func(out string) []string {
		args := append([]string{"pretrain"}, tiny...)
		args = append(args, "--out", out, "--json",
			"--epochs", "12", "--checkpoint-every", "0.0005") // also within epochs: every 30 ms
		return append(args, flags...)
	}
	// run runs a command, kills it a moment after some lines of its output
	// (0: never), and reports whether it was killed.
	run := func(lines int, moment time.Duration, args ...string) bool {
		t.Helper()
		cmd, out, stderr := begin(t, dir, args...)
		seen := 0
		for out.Scan() {
			if seen++; seen == lines {
				time.Sleep(moment)
				cmd.Process.Kill()
			}
		}
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() == -1 { // by the signal
			return true
		}
		if err != nil {
			t.Fatalf("%v: %s", err, stderr)
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
		if !run(1+rng.IntN(most), time.Duration(rng.IntN(int(10*time.Millisecond))), args...) {
			break
		}
		kills++
	}
	run(0, 0, "pretrain", "--resume", "killed", "--json")
	t.Logf("%d kills", kills)
	if kills < 2 {
		t.Errorf("killed %d times only", kills)
	}
	for _, model := range []string{"model.safetensors", "model-b.safetensors"} {
		var models [2][]byte
		for i, run := range []string{"whole", "killed"} {
			var err error
			models[i], err = os.ReadFile(filepath.Join(dir, run, model))
			if err != nil && (model == "model.safetensors" || !errors.Is(err, os.ErrNotExist)) {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(models[0], models[1]) {
			t.Errorf("the %s of the killed run differs from that of the whole one", model)
		}
	}
}

// begin starts a command in dir, whose output is read line by line.
func begin(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, lines *bufio.Scanner, stderr *bytes.Buffer) {
	t.Helper()
	return beginOther(t, dir, "vicreg", args...)
}

// beginOther is begin of another program.
func beginOther(t *testing.T, dir, program string, args ...string) (cmd *exec.Cmd, lines *bufio.Scanner, stderr *bytes.Buffer) {
	t.Helper()
	cmd, stderr = exec.Command(program, args...), new(bytes.Buffer)
	cmd.Dir, cmd.Stderr = dir, stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out), stderr
}
