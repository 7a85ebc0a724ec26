// Bench measures vicreg and PyTorch side by side: the same workloads, in
// alternation, on one machine, in one run. Without flags it takes about a
// quarter of an hour, shows what it does as it goes, and puts its table into
// docs/performance.md, between the two comments that mark its place.
//
//	go run ./bench                               every workload
//	go run ./bench -run 'step.*bf16'             some, to standard output
//	go run ./bench -recipe                       a whole training run too: 20 minutes more a seed
//	go run ./bench -out table.md                 to another file
//	go run -tags native ./bench                  JPEG files by libjpeg-turbo too
//	bench -vicreg ./vicreg -threads 16           where there is no Go, with binaries that were
//	                                             built elsewhere, in the repository's folder
//
// PyTorch's side is peer.py, with the newest PyTorch that any Python here has; without one its
// columns stay empty. Bench/cores.sh measures on another machine.
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
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	match   *regexp.Regexp
	out     string // "-": standard output alone
	python  string
	vicreg  string
	threads int
	rounds  int
	recipe  bool
	seeds   int
	compile bool
	gain    bool
	serve   bool
}

const defaultOut = "docs/performance.md"

func main() {
	o, err := parseFlags(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	set.StringVar(&o.python, "python", "", "the Python that has PyTorch (default the one here with the newest)")
	set.StringVar(&o.vicreg, "vicreg", "", "the binary; without it one is built")
	set.IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of each side")
	set.IntVar(&o.rounds, "rounds", 3, "visits of each side to a workload")
	set.IntVar(&o.seeds, "seeds", 1, "with -recipe: how many times, with a seed each; means are compared")
	set.BoolVar(&o.compile, "compile", false, "also try torch.compile, which takes minutes more a row; they are not counted")
	set.BoolVar(&o.gain, "gain", false, "also compare our own step on all the threads with that on two")
	set.BoolVar(&o.serve, "serve", false, "import PyTorch once and fork each workload, where importing takes long; the memory it shows for PyTorch is then up to a fifth too low")
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
	ours      string // the binary
	peer      string // the script, "" without PyTorch
	waiting   peers
	made      data
	processor processor
	start     time.Time
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "vicreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, ours: o.vicreg, processor: thisProcessor(), start: time.Now()}
	root := "."
	if b.ours == "" {
		if root, err = b.build(ctx, dir); err != nil {
			return err
		}
	}
	if b.out == defaultOut {
		b.out = filepath.Join(root, b.out)
	}
	b.made = data{dir: dir, vicreg: b.ours}
	b.peer = filepath.Join(root, "bench", "peer.py")
	t := &table{date: b.start, machine: machine(), processor: b.processor, threads: o.threads, rounds: o.rounds}
	if t.versions, err = b.findTorch(ctx); err != nil {
		b.progress("%v", err)
		t.noTorch, b.peer = err.Error(), ""
	}
	if !b.serve { // it has told its version, and would hold memory beside what is measured
		b.dismiss()
	}
	for _, p := range []string{"float32", "bf16"} {
		c, err := b.ceiling(ctx, p, o.threads)
		if err != nil {
			return err
		}
		t.ceilings = append(t.ceilings, c)
	}
	failed := b.workloads(ctx, t)
	b.dismiss()
	if b.gain && ctx.Err() == nil {
		failed = errors.Join(failed, b.gains(ctx, t))
	}
	if ctx.Err() != nil {
		if len(t.rows)+len(t.gains) == 0 {
			return errors.New("interrupted; nothing was written")
		}
		fmt.Print(t.String())
		return errors.New("interrupted; the table is of what had been measured, and was not written to a file")
	}
	if o.recipe {
		if err := b.sideBySide(ctx, t, root); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	fmt.Print(t.String())
	if b.out != "-" && len(t.rows) > 0 {
		if err := putTable(b.out, t.String()); err != nil {
			return errors.Join(failed, err)
		}
		b.progress("the table is in %s", b.out)
	}
	return failed
}

// build builds vicreg with the tags of this program, and returns the repository's folder.
func (b *bench) build(ctx context.Context, dir string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	b.ours = filepath.Join(dir, "vicreg")
	b.progress("building vicreg")
	build := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", b.ours, "./cmd/vicreg")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build vicreg: %w\n%s", err, out)
	}
	return root, nil
}

// workloads measures those that were chosen, one after the other. One that
// fails leaves the others alone.
func (b *bench) workloads(ctx context.Context, t *table) (failed error) {
	for _, w := range workloads {
		if !b.match.MatchString(w.name) {
			continue
		}
		if why := w.lacks(b.processor); why != "" {
			t.leave(w.name, why)
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
	t.addBest(b.processor)
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
