package main

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// A run killed at random moments, and resumed each time, ends with the bits of
// one that was left alone, broken images among the data or not, whatever the
// state of its method, and whatever its branches read. VICREG_KILLS says how
// often, all cases together.
func TestResumeAfterKill(t *testing.T) {
	t.Parallel()
	photos := []string{"--data", "photos"}
	pairs := func(flags ...string) []string { return append([]string{"--pairs", "p/pairs.csv"}, flags...) }
	// Transformers have large checkpoints, which take their time.
	seldom := []string{"--epochs", "4", "--checkpoint-every", "0.01"}
	lines := map[string]int{"encoders": 12, "captions": 12} // of output before a kill, at most
	cases := map[string][]string{
		"vicreg":      append(photos, "--method", "vicreg"),
		"moco-v2":     append(photos, "--method", "moco-v2", "--queue", "24"),
		"deepcluster": append(photos, "--method", "deepcluster", "--prototypes", "4,5"),
		"supervised":  append(photos, "--method", "supervised"),
		"separate":    append(photos, "--branches", "separate"),
		"taught":      append(photos, "--method", "supervised", "--config", "tune.yaml"),
		"encoders":    slices.Concat(photos, []string{"--encoder-a", "resnet18", "--encoder-b", "vit-tiny"}, seldom),
		"captions":    slices.Concat(pairs("--a", "image=photo", "--b", "text=caption"), seldom),
		"spectrogram": pairs("--a", "waveform=wav", "--b", "spectrogram=wav"),
		"numbers":     pairs("--a", "series=path", "--b", "numeric=temp,load"),
		"embeddings":  pairs("--a", "embedding=vec", "--b", "series=path"),
	}
	kills := 3 // of a case
	if n, err := strconv.Atoi(os.Getenv("VICREG_KILLS")); err == nil {
		kills = (n + len(cases) - 1) / len(cases)
	}
	for name, flags := range cases {
		t.Run(name, func(t *testing.T) { resumeAfterKill(t, kills, cmp.Or(lines[name], 40), flags...) })
	}
}

func resumeAfterKill(t *testing.T, want, lines int, flags ...string) {
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
	tune := []byte("tune: {encoder_lr: 0.1, freeze: [stem], fraction: 0.7, scratch: true}\n")
	if err := os.WriteFile(filepath.Join(dir, "tune.yaml"), tune, 0o644); err != nil {
		t.Fatal(err)
	}
	r := &killer{t: t, dir: dir, rng: rand.New(rand.NewPCG(1, 2)), most: lines, flags: flags}
	r.run("whole", 0, r.start("whole")...)
	const most = 5 // lives that end before they can be killed, as on a busy machine
	for life, quick := 0, 0; r.kills < want && quick < most; life++ {
		before := r.kills
		r.live(fmt.Sprint("killed", life), min(want-r.kills, 6))
		if r.kills == before {
			quick++
		}
	}
	t.Logf("%d kills, %d of them while a file was written", r.kills, r.writing)
	if r.kills < 2 {
		t.Errorf("killed %d times only", r.kills)
	}
}

// killer kills runs in dir.
type killer struct {
	t       *testing.T
	dir     string
	rng     *rand.Rand
	most    int // lines of output before a kill
	flags   []string
	kills   int
	writing int // of them, those that left a file half-written
}

func (r *killer) start(out string) []string {
	args := append([]string{"pretrain"}, tinyFor(r.flags)...)
	args = append(args, "--out", out, "--json",
		"--epochs", "12", "--checkpoint-every", "0.0005") // also within epochs: every 30 ms
	return append(args, r.flags...)
}

// live brings a run to its end, killed a few times on the way, in a folder that
// holds files of others.
func (r *killer) live(out string, kills int) {
	t, folder := r.t, filepath.Join(r.dir, out)
	t.Helper()
	r.strangers(folder, true)
	for range kills {
		args := []string{"pretrain", "--resume", out, "--json"}
		if _, err := os.Stat(filepath.Join(folder, "config.yaml")); err != nil {
			args = r.start(out)
		}
		if !r.run(out, 1+r.rng.IntN(r.most), args...) {
			break
		}
		r.kills++
		if len(halfWritten(folder)) > 0 {
			r.writing++
		}
		r.strangers(folder, false)
	}
	if _, err := os.Stat(filepath.Join(folder, "config.yaml")); err != nil {
		r.run(out, 0, r.start(out)...)
	}
	r.run(out, 0, "pretrain", "--resume", out, "--json")
	r.strangers(folder, false)
	if left := halfWritten(folder); len(left) > 0 {
		t.Errorf("left over: %q", left)
	}
	for _, model := range []string{"model.safetensors", "model-b.safetensors"} {
		var models [2][]byte
		for i, run := range []string{"whole", out} {
			var err error
			models[i], err = os.ReadFile(filepath.Join(r.dir, run, model))
			if err != nil && (model == "model.safetensors" || !errors.Is(err, os.ErrNotExist)) {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(models[0], models[1]) {
			t.Errorf("the %s of %s differs from that of the whole run", model, out)
		}
	}
}

// run runs a command that writes to the folder out, kills it a moment after some
// lines of its output (0: never), half of the times as soon as it writes a file,
// and reports whether it was killed.
func (r *killer) run(out string, lines int, args ...string) bool {
	t := r.t
	t.Helper()
	cmd, output, stderr := begin(t, r.dir, args...)
	moment := time.Duration(r.rng.IntN(int(10 * time.Millisecond)))
	writing := r.rng.IntN(2) == 1
	if writing {
		moment /= 20
		lines = min(lines, 1+lines/2)
	}
	ended := make(chan struct{})
	seen := 0
	for output.Scan() {
		if seen++; seen != lines {
			continue
		}
		go func() {
			for deadline := time.Now().Add(time.Second); writing && time.Now().Before(deadline) &&
				len(halfWritten(filepath.Join(r.dir, out))) == 0; time.Sleep(50 * time.Microsecond) {
			}
			time.Sleep(moment)
			cmd.Process.Kill()
			close(ended)
		}()
	}
	err := cmd.Wait()
	if seen >= lines && lines > 0 {
		<-ended
	}
	if cmd.ProcessState.ExitCode() == -1 { // by the signal
		return true
	}
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return false
}

// halfWritten lists the files in a folder that are not in their place yet.
func halfWritten(folder string) []string {
	left, _ := filepath.Glob(filepath.Join(folder, ".*.vicreg-tmp"))
	return left
}

// strangers puts files of others into the folder of a run, or checks that they
// are as they were.
func (r *killer) strangers(folder string, put bool) {
	r.t.Helper()
	const text = "somebody else's"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{".checkpoint-mine", ".checkpoint.12345", ".config.yaml.swp", ".metrics.jsonl.vicreg-tmp~", ".summary.json.",
		"checkpoint.mine", "metrics.jsonl.bak", "model.safetensors.old", "notes.txt", "vicreg-tmp"} {
		path := filepath.Join(folder, name)
		if put {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				r.t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			r.t.Errorf("%s holds %q: %v", name, got, err)
		}
	}
}

// begin starts a command in dir, whose output is read line by line.
func begin(t *testing.T, dir string, args ...string) (cmd *exec.Cmd, lines *bufio.Scanner, stderr *bytes.Buffer) {
	t.Helper()
	return beginOther(t, dir, "vicreg", args...)
}

// beginOther is begin of another program.
func beginOther(t *testing.T, dir, program string, args ...string) (cmd *exec.Cmd, lines *bufio.Scanner,
	stderr *bytes.Buffer) {
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
