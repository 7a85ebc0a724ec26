// Bench measures vicreg and PyTorch side by side: the same workloads, in
// alternation, on one machine, in one run. Without flags it takes about a
// quarter of an hour, shows what it does as it goes, and puts its table into
// docs/performance.md, between the two comments that mark its place.
//
//	go run ./bench                               every workload
//	go run ./bench -run 'step.*bf16'             some, to standard output
//	go run ./bench -recipe                       a whole training run too: 20 minutes more a seed
//	go run ./bench -out table.md                 to another file
//
// PyTorch's side is peer.py; without PyTorch its columns stay empty.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	match   *regexp.Regexp
	out     string // "-": standard output alone
	python  string
	threads int
	rounds  int
	recipe  bool
	seeds   int
}

const defaultOut = "docs/performance.md"

func main() {
	o, err := parseFlags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parseFlags(args []string) (options, error) {
	var o options
	set := flag.NewFlagSet("bench", flag.ExitOnError)
	match := set.String("run", "", "only workloads whose name this regular expression finds; the table goes to standard output")
	set.StringVar(&o.out, "out", "", "write the table to this file, between its marks if it has them (- for standard output alone; default "+defaultOut+")")
	set.StringVar(&o.python, "python", "/usr/bin/python3", "the Python that has PyTorch")
	set.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each side")
	set.IntVar(&o.rounds, "rounds", 3, "visits of each side to a workload")
	set.IntVar(&o.seeds, "seeds", 1, "with -recipe: how many times, with a seed each; means are compared")
	set.BoolVar(&o.recipe, "recipe", false, "also train by the recipe fashion-mnist on each side, which takes 20 minutes a seed")
	set.Parse(args)
	var err error
	switch {
	case set.NArg() > 0:
		return o, fmt.Errorf("unknown argument %q; -run chooses workloads", set.Arg(0))
	case o.threads < 1:
		return o, fmt.Errorf("-threads is %d, but must be at least 1", o.threads)
	case o.rounds < 1:
		return o, fmt.Errorf("-rounds is %d, but must be at least 1", o.rounds)
	case o.seeds < 1:
		return o, fmt.Errorf("-seeds is %d, but must be at least 1", o.seeds)
	}
	if o.match, err = regexp.Compile(*match); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if o.out == "" {
		o.out = defaultOut
		if *match != "" {
			o.out = "-"
		}
	}
	return o, nil
}

// bench is a run under way.
type bench struct {
	options
	ours  string // the binary
	peer  string // the script, "" without PyTorch
	made  data
	start time.Time
}

func run(ctx context.Context, o options) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if o.out == defaultOut {
		o.out = filepath.Join(root, o.out)
	}
	dir, err := os.MkdirTemp("", "vicreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, ours: filepath.Join(dir, "vicreg"), start: time.Now()}
	b.made = data{dir: dir, vicreg: b.ours}
	b.progress("building vicreg")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.ours, "./cmd/vicreg")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build vicreg: %w\n%s", err, out)
	}
	b.peer = filepath.Join(root, "bench", "peer.py")
	t := &table{date: b.start, machine: machine(), threads: o.threads, rounds: o.rounds}
	if t.versions, err = b.torchVersions(ctx); err != nil {
		b.progress("%v", err)
		t.noTorch, b.peer = err.Error(), ""
	}
	for _, p := range []string{"float32", "bf16"} {
		c, err := b.ceiling(ctx, p, o.threads)
		if err != nil {
			return err
		}
		t.ceilings = append(t.ceilings, c)
	}
	failed := b.workloads(ctx, t)
	if ctx.Err() != nil {
		return errors.New("interrupted; nothing was written")
	}
	if o.recipe {
		if err := b.sideBySide(ctx, t, root); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	fmt.Print(t.String())
	if o.out != "-" && len(t.rows) > 0 {
		if err := putTable(o.out, t.String()); err != nil {
			return errors.Join(failed, err)
		}
		b.progress("the table is in %s", o.out)
	}
	return failed
}

// workloads measures those that were chosen, one after the other. One that
// fails leaves the others alone.
func (b *bench) workloads(ctx context.Context, t *table) (failed error) {
	for _, w := range workloads {
		if !b.match.MatchString(w.name) {
			continue
		}
		if w.precision() == "bf16" && !t.usable("bf16") {
			t.missing = append(t.missing, w.name)
			continue
		}
		r, err := b.measure(ctx, w)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.progress("%s: %v", w.name, err)
			failed = errors.Join(failed, fmt.Errorf("%s: %w", w.name, err))
			continue
		}
		t.rows = append(t.rows, r)
	}
	return failed
}

// progress writes a line for whoever waits.
func (b *bench) progress(format string, args ...any) {
	at := time.Since(b.start).Round(time.Second)
	fmt.Fprintf(os.Stderr, "%6s  %s\n", at, fmt.Sprintf(format, args...))
}

// moduleRoot returns the folder of the repository.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "vicreg").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module vicreg (run this inside the repository): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
