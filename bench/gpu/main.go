// Gpu measures vicreg, PyTorch and JAX side by side on an NVIDIA card: the same workloads
// on one card, in one run. It prints a table in Markdown.
//
//	go run -tags native ./bench/gpu                        every workload, in about five minutes
//	go run -tags native ./bench/gpu -run 'step.*50'        some
//	gpu -vicreg ./vicreg -peers bench/gpu                  with binaries that were built elsewhere
//
// PyTorch's side is peer.py, XLA's peer_jax.py; where Python lacks one of them its columns
// stay empty.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "gpu:", err)
		os.Exit(1)
	}
}

// bench is a run under way.
type bench struct {
	vicreg, python, peers string
	start                 time.Time
}

func run(ctx context.Context) error {
	b := &bench{start: time.Now()}
	match := flag.String("run", "", "only workloads whose name this regular expression finds")
	flag.StringVar(&b.vicreg, "vicreg", "", "the binary, built with -tags native; without it one is built")
	flag.StringVar(&b.python, "python", "python3", "the Python that has PyTorch and JAX")
	flag.StringVar(&b.peers, "peers", filepath.Join("bench", "gpu"), "the folder of peer.py and peer_jax.py")
	flag.Parse()
	chosen, err := regexp.Compile(*match)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	if b.vicreg == "" {
		dir, err := os.MkdirTemp("", "vicreg-gpu")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		b.vicreg = filepath.Join(dir, "vicreg")
		b.progress("building vicreg")
		build := exec.CommandContext(ctx, "go", "build", "-tags", "native", "-o", b.vicreg, "./cmd/vicreg")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build vicreg (run this in the repository): %w\n%s", err, out)
		}
	}
	t := table{date: b.start}
	b.versions(ctx, &t)
	var failed error
	for _, w := range workloads {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if !chosen.MatchString(w.name) {
			continue
		}
		r, err := b.measure(ctx, w)
		failed = errors.Join(failed, err)
		t.rows = append(t.rows, r)
	}
	fmt.Print(t.String())
	return failed
}

// measure runs a workload on all sides. A peer that fails leaves its column empty; ours
// is an error.
func (b *bench) measure(ctx context.Context, w workload) (row, error) {
	r := row{workload: w, theirs: map[string]*timing{}}
	args := append(strings.Fields(w.ours), "--device", "cuda", "--json")
	var t timing
	err := output(ctx, &t, b.vicreg, append([]string{"bench"}, args...))
	if err != nil {
		b.progress("%s: %v", w.name, err)
		return r, fmt.Errorf("%s: %w", w.name, err)
	}
	r.us = &t
	b.progress("%s: vicreg %s", w.name, milliseconds(&t))
	for _, p := range w.peers {
		script := "peer.py"
		if strings.HasSuffix(p, ":xla") {
			script = "peer_jax.py"
		}
		t := new(timing)
		err := output(ctx, t, b.python, []string{filepath.Join(b.peers, script), p})
		if err != nil || len(t.Times) == 0 {
			b.progress("%s: %s: %v %s", w.name, p, err, t.Error)
			continue
		}
		r.theirs[p] = t
		b.progress("%s: %s %s", w.name, way(p), milliseconds(t))
	}
	return r, nil
}

// versions asks all sides what they are.
func (b *bench) versions(ctx context.Context, t *table) {
	var torch struct{ Torch, Card string }
	if err := output(ctx, &torch, b.python, []string{filepath.Join(b.peers, "peer.py"), "version"}); err != nil {
		b.progress("no PyTorch: %v", err)
	} else {
		t.card, t.versions = torch.Card, append(t.versions, "PyTorch "+torch.Torch)
	}
	var jax struct{ Jax string }
	if err := output(ctx, &jax, b.python, []string{filepath.Join(b.peers, "peer_jax.py"), "version"}); err != nil {
		b.progress("no JAX: %v", err)
	} else {
		t.versions = append(t.versions, "JAX "+jax.Jax)
	}
}

// output runs a program and decodes the last line it prints into v.
func output(ctx context.Context, v any, program string, args []string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, v)
	}
	if err != nil {
		said := strings.TrimSpace(errs.String())
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, said[max(0, len(said)-2000):])
	}
	return nil
}

// progress writes a line for whoever waits.
func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6s  %s\n", time.Since(b.start).Round(time.Second), fmt.Sprintf(format, args...))
}
