//go:build native && linux && (amd64 || arm64)

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// underMPI starts the command in n processes, by a launcher of this machine.
func underMPI(launcher, dir string, n int, args ...string) *exec.Cmd {
	words := []string{"-n", fmt.Sprint(n)}
	if strings.HasSuffix(launcher, "openmpi") {
		words = append(words, "--oversubscribe")
	}
	cmd := exec.Command(launcher, append(append(words, "vicreg"), args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	return cmd
}

// launchers are the mpiruns of this machine.
func launchers(t *testing.T) (found []string) {
	for _, name := range []string{"mpirun.openmpi", "mpirun.mpich"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("no MPI is installed (Debian: openmpi-bin or mpich)")
	}
	return found
}

// lossesOf reads the losses of steps out of lines of JSON.
func lossesOf(out []byte) (all []float64) {
	for line := range bytes.Lines(out) {
		var s struct {
			Event string
			Loss  float64
		}
		if json.Unmarshal(line, &s) == nil && s.Event == "step" {
			all = append(all, s.Loss)
		}
	}
	return all
}

// Processes that mpirun starts train as one does. Stopped by a scheduler's signal they all
// save and leave, and go on to the same bits.
func TestProcesses(t *testing.T) {
	for _, launcher := range launchers(t) {
		t.Run(filepath.Base(launcher), func(t *testing.T) {
			dir := t.TempDir()
			args := append(append([]string{"pretrain"}, tiny...), "--limit", "80", "--epochs", "3", "--base-lr", "0.01",
				"--labels", "none", "--json", "--out")
			one := exec.Command("vicreg", append(args, "one")...)
			one.Dir = dir
			out, err := one.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			want := lossesOf(out)
			two := underMPI(launcher, dir, 2, append(args, "two")...)
			if out, err = two.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := lossesOf(out)
			if len(got) != 30 || len(want) != 30 { // one process speaks
				t.Fatalf("%d losses of one process, %d of two\n%s", len(want), len(got), out)
			}
			for i := range 3 {
				if math.Abs(got[i]-want[i]) > 1e-5*want[i] {
					t.Errorf("step %d: loss %v, of one process %v", i+1, got[i], want[i])
				}
			}

			stopped := underMPI(launcher, dir, 2, append(args, "stopped")...)
			var said bytes.Buffer
			stopped.Stderr = &said
			lines, err := stopped.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := stopped.Start(); err != nil {
				t.Fatal(err)
			}
			steps := 0
			for s := bufio.NewScanner(lines); s.Scan(); {
				if steps++; steps == 7 {
					if err := stopped.Process.Signal(syscall.SIGUSR1); err != nil {
						t.Error(err)
					}
				}
			}
			stopped.Wait()
			code := stopped.ProcessState.ExitCode() // which mpirun of MPICH loses now and then
			if code != exitStopped && (code != 0 || !strings.HasSuffix(launcher, "mpich")) ||
				strings.Count(said.String(), "everything is saved") != 1 {
				t.Errorf("it ends with %d and says\n%s", code, &said)
			}
			again := underMPI(launcher, dir, 2, "pretrain", "--resume", "stopped")
			if out, err := again.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			whole, err := os.ReadFile(filepath.Join(dir, "two", "model.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			if parts, err := os.ReadFile(filepath.Join(dir, "stopped", "model.safetensors")); err != nil ||
				!bytes.Equal(parts, whole) {
				t.Errorf("stopped and resumed, it ends with other bits (%v)", err)
			}
		})
	}
}

// Mistakes are told once, and nothing is written.
func TestProcessesThatCannotTrain(t *testing.T) {
	for _, launcher := range launchers(t) {
		dir := t.TempDir()
		for says, args := range map[string][]string{
			"there is no flag --no-such": {"pretrain", "--no-such"},
			"no such file or folder":     {"pretrain", "--data", "nowhere"},
		} {
			out, err := underMPI(launcher, dir, 2, args...).CombinedOutput()
			if err == nil || strings.Count(string(out), "vicreg: ") != 1 || !strings.Contains(string(out), says) {
				t.Errorf("%v, want %q once:\n%s", err, says, out)
			}
		}
		apart := underMPI(launcher, dir, 1, append([]string{"pretrain", "--out", "a"}, tiny...)...)
		apart.Args = append(apart.Args, ":", "-n", "1", "vicreg", "pretrain", "--out", "b")
		out, err := apart.CombinedOutput()
		if err == nil || strings.Count(string(out), "vicreg: ") != 1 ||
			!strings.Contains(string(out), "processes that train together are all called alike") {
			t.Errorf("called differently: %v\n%s", err, out)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
}
