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
	"sync"
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
	together              bool
	room                  chan struct{} // shares of the card's memory, see peer
	env                   []string      // of peers
	start                 time.Time
}

func run(ctx context.Context) error {
	b := &bench{start: time.Now()}
	match := flag.String("run", "", "only workloads whose name this regular expression finds")
	flag.StringVar(&b.vicreg, "vicreg", "", "the binary, built with -tags native; without it one is built")
	flag.StringVar(&b.python, "python", "python3", "the Python that has PyTorch and JAX")
	flag.StringVar(&b.peers, "peers", filepath.Join("bench", "gpu"), "the folder of peer.py and peer_jax.py")
	flag.BoolVar(&b.together, "together", false,
		"let PyTorch and JAX start and compile beside each other, and use the card in turn: takes half the time")
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
	b.room = make(chan struct{}, 1)
	if b.together {
		lock := filepath.Join(os.TempDir(), fmt.Sprintf("vicreg-gpu-%d.lock", os.Getpid()))
		defer os.Remove(lock)
		b.room = make(chan struct{}, 4)
		b.env = []string{"PEER_LOCK=" + lock, "XLA_PYTHON_CLIENT_PREALLOCATE=false"}
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
		r, err := b.ours(ctx, w)
		failed = errors.Join(failed, err)
		t.rows = append(t.rows, r)
		if !b.together {
			b.theirs(ctx, r)
		}
	}
	if b.together {
		var all sync.WaitGroup
		for _, r := range t.rows {
			all.Go(func() { b.theirs(ctx, r) })
		}
		all.Wait()
	}
	fmt.Print(t.String())
	return failed
}

// ours runs a workload on our side.
func (b *bench) ours(ctx context.Context, w workload) (row, error) {
	r := row{workload: w, theirs: map[string]*timing{}}
	args := append(strings.Fields(w.ours), "--device", "cuda", "--json")
	var t timing
	err := output(ctx, &t, nil, b.vicreg, append([]string{"bench"}, args...))
	if err != nil {
		b.progress("%s: %v", w.name, err)
		return r, fmt.Errorf("%s: %w", w.name, err)
	}
	r.us = &t
	b.progress("%s: vicreg %s", w.name, milliseconds(&t))
	return r, nil
}

// theirs runs a workload on the other sides. A peer that fails leaves its column empty.
func (b *bench) theirs(ctx context.Context, r row) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, p := range r.peers {
		all.Go(func() {
			if t := b.peer(ctx, p); t != nil {
				mu.Lock()
				defer mu.Unlock()
				r.theirs[p] = t
			}
		})
	}
	all.Wait()
}

// peer runs a peer, or returns nil. A step of ResNet-50 takes half of the card's memory.
func (b *bench) peer(ctx context.Context, p string) *timing {
	shares := 1
	if b.together && strings.HasPrefix(p, step50) {
		shares = 2
	}
	taking.Lock() // all shares at once
	for range shares {
		b.room <- struct{}{}
	}
	taking.Unlock()
	defer func() {
		for range shares {
			<-b.room
		}
	}()
	script := "peer.py"
	if strings.HasSuffix(p, ":xla") {
		script = "peer_jax.py"
	}
	t := new(timing)
	err := output(ctx, t, b.env, b.python, []string{filepath.Join(b.peers, script), p})
	if err != nil || len(t.Times) == 0 {
		b.progress("%s: %v %s", p, err, t.Error)
		return nil
	}
	b.progress("%s: %s", p, milliseconds(t))
	return t
}

var taking sync.Mutex

// versions asks all sides what they are.
func (b *bench) versions(ctx context.Context, t *table) {
	var torch struct{ Torch, Card string }
	if err := output(ctx, &torch, nil, b.python, []string{filepath.Join(b.peers, "peer.py"), "version"}); err != nil {
		b.progress("no PyTorch: %v", err)
	} else {
		t.card, t.versions = torch.Card, append(t.versions, "PyTorch "+torch.Torch)
	}
	var jax struct{ Jax string }
	if err := output(ctx, &jax, nil, b.python, []string{filepath.Join(b.peers, "peer_jax.py"), "version"}); err != nil {
		b.progress("no JAX: %v", err)
	} else {
		t.versions = append(t.versions, "JAX "+jax.Jax)
	}
}

// output runs a program and decodes the last line it prints into v.
func output(ctx context.Context, v any, env []string, program string, args []string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
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
