//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
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
		"--width", "24", "--stem", "small", "--size", "128", "--batch", "4", "--limit", "4", "--epochs", "1")
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

// A closed terminal saves as Ctrl-C does, also where the shell says it once more;
// under nohup it is no reason to stop.
func TestHangup(t *testing.T) {
	if signal.Ignored(syscall.SIGHUP) {
		t.Skip("this test runs under nohup, and so would all commands that it starts")
	}
	dir := t.TempDir()
	if err := writeImages(filepath.Join(dir, "photos"), 40); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		out     string
		command []string
		epochs  string
		code    int
	}{
		{"closed", []string{"vicreg"}, "4000", exitStopped},
		{"nohup", []string{"sh", "-c", `trap "" HUP; exec vicreg "$@"`, "vicreg"}, "20", 0},
	} {
		args := slices.Concat(x.command[1:], []string{"pretrain", "--data", "photos", "--out", x.out, "--json"}, tiny, []string{"--epochs", x.epochs})
		cmd, lines, stderr := beginOther(t, dir, x.command[0], args...)
		for n := 0; lines.Scan(); n++ {
			if n == 5 {
				for range 2 {
					if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
						t.Fatal(err)
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != x.code {
			t.Errorf("%s: exit code %d, want %d: %s", x.out, code, x.code, stderr)
		}
		if x.code == exitStopped && !strings.HasSuffix(stderr.String(), "everything is saved, go on with --resume closed\n") {
			t.Errorf("%s: %q", x.out, stderr)
		}
	}
}

// Whoever reads the output and leaves ends a command quietly; a run is saved.
func TestReaderLeaves(t *testing.T) {
	dir := t.TempDir()
	if err := writeImages(filepath.Join(dir, "photos"), 40); err != nil {
		t.Fatal(err)
	}
	cut := func(args ...string) (*os.ProcessState, string) {
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
		if args[0] == "pretrain" {
			bufio.NewReader(out).ReadString('\n')
		}
		out.Close()
		cmd.Wait()
		return cmd.ProcessState, stderr.String()
	}
	end, stderr := cut(append([]string{"pretrain", "--data", "photos", "--out", "run", "--json"}, append(tiny, "--epochs", "4000")...)...)
	if want := regexp.MustCompile(`^vicreg: standard output cannot be written: broken pipe, so the run stopped in epoch \d+, after step \d+; everything is saved, go on with --resume run\n$`); end.ExitCode() != exitFailure || !want.MatchString(stderr) {
		t.Errorf("pretrain: exit code %d, %q", end.ExitCode(), stderr)
	}
	end, stderr = cut("info", "run")
	if status := end.Sys().(syscall.WaitStatus); status.Signaled() && status.Signal() != syscall.SIGPIPE ||
		stderr != "" {
		t.Errorf("info: %v, %q", end, stderr)
	}
}

// A comparison that ends takes its run along, however it ends: stopped, with the
// run saved; at once; or killed, where the run saves for itself.
func TestComparisonTakesItsRunAlong(t *testing.T) {
	dir := t.TempDir()
	if err := writeImages(filepath.Join(dir, "photos"), 40); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		signals []syscall.Signal
		code    int
		says    string
		group   bool // as a terminal does it: the signal goes to the run as well
	}{
		"term":   {[]syscall.Signal{syscall.SIGTERM}, exitStopped, "stopped in a; give the same command again to go on\n", false},
		"hup":    {[]syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, exitStopped, "stopped in a; give the same command again to go on\n", true},
		"int":    {[]syscall.Signal{syscall.SIGINT}, exitStopped, "stopped in a; give the same command again to go on\n", true},
		"time":   {[]syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR1}, exitStopped, "stopped in a; give the same command again to go on\n", false},
		"twice":  {[]syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, exitStopped, "vicreg: left at once\n", false},
		"killed": {[]syscall.Signal{syscall.SIGKILL}, -1, "everything is saved, go on with --resume killed/a\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if slices.Contains(x.signals, syscall.SIGHUP) && signal.Ignored(syscall.SIGHUP) {
				t.Skip("this test runs under nohup, and so would the comparison")
			}
			args := append([]string{"compare", "--variant", "a:", "--data", "photos", "--out", name}, append(tiny, "--epochs", "40000")...)
			if name == "twice" { // steps of seconds, which leaving at once does not wait for
				args = append(args, "--width", "24", "--size", "64", "--batch", "40", "--threads", "1")
			}
			cmd := exec.Command("vicreg", args...)
			said, err := os.Create(filepath.Join(dir, name+".log")) // a pipe would be waited for
			if err != nil {
				t.Fatal(err)
			}
			defer said.Close()
			cmd.Dir, cmd.Stderr, cmd.Stdout = dir, said, said
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			run := filepath.Join(dir, name, "a")
			if !eventually(func() bool {
				_, err := os.Stat(filepath.Join(run, "checkpoint"))
				return err == nil
			}) {
				t.Fatal("the run never began")
			}
			time.Sleep(100 * time.Millisecond) // into a step
			to := cmd.Process.Pid
			if x.group {
				to = -to
			}
			for _, s := range x.signals {
				if err := syscall.Kill(to, s); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != x.code {
				t.Errorf("exit code %d, want %d", code, x.code)
			}
			// none is left of the group
			if !eventually(func() bool { return syscall.Kill(-cmd.Process.Pid, 0) != nil }) {
				t.Error("the run goes on")
				syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			}
			text, err := os.ReadFile(said.Name())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(string(text), x.says) {
				t.Errorf("it says %q", text)
			}
			if name != "twice" && !strings.Contains(string(text), "everything is saved, go on with --resume "+name+"/a\n") {
				t.Errorf("the run was not saved: %q", text)
			}
		})
	}
}

// eventually waits for something to hold.
func eventually(holds func() bool) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return false
}

// leave sends a command two signals and checks that it leaves at once.
func leave(t *testing.T, cmd *exec.Cmd, lines *bufio.Scanner, stderr *bytes.Buffer) {
	t.Helper()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} { // two of a kind may come as one
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	for lines.Scan() {
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped || !strings.HasSuffix(stderr.String(), "vicreg: left at once\n") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}
