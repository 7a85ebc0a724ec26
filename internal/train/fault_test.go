package train

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vicreg/internal/checkpoint"
	"vicreg/internal/durable"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
)

// disk fails operations on files: the nth, or all from the nth on, as for a
// process that died there.
type disk struct {
	n, nth  int
	forever bool
	failed  string // the first operation that failed
	path    string // and what it was about
	at      func() // is called before it fails
}

func (d *disk) fault(op, path string) error {
	d.n++
	if d.n != d.nth && !(d.forever && d.n > d.nth) {
		return nil
	}
	if d.failed == "" {
		d.failed, d.path = op, path
		d.at()
	}
	err := syscall.EIO
	if op == "write" {
		err = syscall.ENOSPC
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}

// smallest is a run of an epoch of 2 steps, with a checkpoint after each.
func smallest(t *testing.T) recipe.Config {
	t.Helper()
	c := config(t)
	c.Data.Source = t.TempDir()
	idx(t, c.Data.Source, "train", 12)
	idx(t, c.Data.Source, "t10k", 6)
	c.Encoder.Width, c.Expander, c.Batch, c.Epochs, c.Warmup, c.CheckpointMinutes = 2, "4-4", 6, 1, 0, 1e-9
	return c
}

// Whatever operation on a file fails, or is the last that a process comes to, the
// run ends with a sentence that names the file, or does without, nothing that was
// saved is lost, and the run goes on to the same bits. With VICREG_FAULTS=all
// every operation is both, otherwise one or the other in turn.
func TestEveryOperationMayFail(t *testing.T) {
	c := smallest(t)
	count := &disk{}
	restore := durable.Inject(count.fault)
	_, err := pretrain(c, &breaker{})
	restore()
	if err != nil {
		t.Fatal(err)
	}
	model, metrics := result(t, c.Out)
	t.Logf("%d operations", count.n)
	if count.n < 50 {
		t.Fatalf("only %d operations were seen", count.n)
	}
	every := 1
	if testing.Short() {
		every = 5
	}
	for nth := 1; nth <= count.n; nth += every {
		for _, forever := range []bool{false, true} {
			if forever != (nth%2 == 0) && os.Getenv("VICREG_FAULTS") != "all" {
				continue
			}
			c.Out = filepath.Join(t.TempDir(), "run")
			path := filepath.Join(c.Out, runlog.CheckpointFile)
			saved := -1
			d := &disk{nth: nth, forever: forever, at: func() {
				if s, err := checkpoint.Peek(path); err == nil {
					saved = s.Steps
				}
			}}
			restore := durable.Inject(d.fault)
			_, err := pretrain(c, &breaker{})
			restore()
			at := func(what string, args ...any) {
				t.Helper()
				t.Errorf("operation %d, %s %s, and what follows: %v: "+what, append([]any{nth, d.failed, d.path, forever}, args...)...)
			}
			switch {
			case err == nil && !forever && (d.failed == "link" || d.failed == "remove" ||
				d.failed == "rename" && strings.HasSuffix(d.path, checkpoint.Suffix)):
			case err == nil:
				at("no error")
			case !strings.Contains(err.Error(), c.Out) || strings.Contains(err.Error(), ".vicreg-tmp") ||
				d.failed == "write" && !strings.Contains(err.Error(), "the disk is full"):
				at("the error is %v", err)
			}
			if s, err := checkpoint.Peek(path); saved >= 0 && (err != nil || s.Steps < saved) {
				at("the checkpoint after step %d is lost: %v", saved, err)
			}
			if _, err := os.Stat(filepath.Join(c.Out, runlog.ConfigFile)); err != nil {
				_, err = pretrain(c, &breaker{}) // it had not begun
				if err != nil {
					at("it does not begin again: %v", err)
					continue
				}
			} else if _, err := Resume(t.Context(), c.Out, Options{}); err != nil {
				at("it does not go on: %v", err)
				continue
			}
			again, lines := result(t, c.Out)
			if !bytes.Equal(again, model) || lines != metrics {
				at("it ends otherwise:\n%s\nwant\n%s", lines, metrics)
			}
			left, _ := filepath.Glob(filepath.Join(c.Out, ".*"))
			if len(left) > 0 && (forever || d.failed != "remove") {
				at("left over: %q", left)
			}
		}
	}
}

// A byte that changed in anything a stopped run has saved is found, in a file that
// the error names, or the run ends with the same bits all the same.
func TestAnyFlippedByte(t *testing.T) {
	c := smallest(t)
	c.Epochs = 2
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	model, _ := result(t, c.Out)
	summary, err := os.ReadFile(filepath.Join(c.Out, runlog.SummaryFile))
	if err != nil {
		t.Fatal(err)
	}
	c.Out = filepath.Join(t.TempDir(), "run")
	if _, err := pretrain(c, &breaker{step: 3}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	saved := map[string][]byte{}
	for _, name := range runlog.Present(c.Out) {
		if saved[name], err = os.ReadFile(filepath.Join(c.Out, name)); err != nil {
			t.Fatal(err)
		}
	}
	r := rng.New(7, rng.Bench)
	flips := 40
	if testing.Short() {
		flips = 8
	}
	for _, name := range []string{runlog.ConfigFile, runlog.MetricsFile, runlog.CheckpointFile, runlog.PreviousFile,
		runlog.SummaryFile} {
		good := saved[name]
		if name == runlog.SummaryFile {
			good = summary
		}
		harmless := 0
		for range flips {
			for _, left := range runlog.Files {
				os.Remove(filepath.Join(c.Out, left))
			}
			for left, raw := range saved {
				if err := os.WriteFile(filepath.Join(c.Out, left), raw, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			at, bit := r.IntN(len(good)), r.IntN(8)
			b := bytes.Clone(good)
			b[at] ^= 1 << bit
			if err := os.WriteFile(filepath.Join(c.Out, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Resume(t.Context(), c.Out, Options{})
			what := fmt.Sprintf("%s, byte %d, bit %d, in %.50q", name, at, bit, b[max(0, at-20):])
			switch {
			case err == nil && name == runlog.SummaryFile: // a run that has ended trains no more
				harmless++
			case err == nil:
				harmless++
				if again, _ := result(t, c.Out); !bytes.Equal(again, model) {
					t.Errorf("%s: the model ends otherwise", what)
				}
			case !strings.Contains(err.Error(), filepath.Join(c.Out, name)):
				t.Errorf("%s: %v", what, err)
			}
		}
		t.Logf("%s: %d of %d were harmless", name, harmless, flips)
		if harmless > 0 && (name == runlog.MetricsFile || name == runlog.CheckpointFile) {
			t.Errorf("%s has bytes that are not checked", name)
		}
	}
}
