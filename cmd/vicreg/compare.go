package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/compare"
	"vicreg/internal/durable"
	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/recipe"
	"vicreg/internal/report"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Files of a comparison, beside the run folders.
const (
	compareTable = "compare.md"
	compareJobs  = "compare.json" // what each run was asked for
	comparePage  = "compare.html"
)

var comparePlots = []string{"compare.png", "compare.svg"}

func newCompare() *cobra.Command {
	var (
		methods  string
		variants []string
		out      string
		seeds    int
		g        guard
	)
	cmd := &cobra.Command{
		Use:   "compare [RUN ...]",
		Short: "Train methods, or variants of one, alike and put them side by side",
		Long: `Trains each method in its turn on the same data with the same recipe, and writes
one table, one plot and a page of both as compare.html: kNN and linear probe, collapse figures, time, memory,
what machinery each needed, and its place without labels; where there are none, that
is the order. Every flag of pretrain goes to all of them. A variant
has a name and flags of its own.

A comparison that is stopped saves the run that it is at, and one that is killed
takes that run along, which saves itself. What was stopped goes on when the same command is given again: runs that have
ended are not repeated. What the runs leave open, as those on images of your own do,
they choose together, so that all have one size and one length; --time is that of each. With --seeds 3 a run NAME is followed by NAME-seed2 and
NAME-seed3, and the three are one row. With run folders as arguments nothing is trained.`,
		Example: `  vicreg compare --methods all --recipe quick --out runs/all
  vicreg compare --methods vicreg,byol --data ~/photos --time 1h --out runs/two
  vicreg compare --variant "all:" --variant "no nu: --nu 0" --out runs/terms
  vicreg compare runs/a runs/b --out runs/both`,
		Args: cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&methods, "methods", "", "`names` joined by commas, or all: "+strings.Join(recipe.Methods(), ", "))
	flags.StringArrayVar(&variants, "variant", nil, "`\"name: flags\"` of a run with flags of its own; may be given many times")
	flags.IntVar(&seeds, "seeds", 1, "train each run so `many` times, with seeds one above the other; the table has means and deviations")
	flags.StringVar(&out, "out", "", "`folder` for the table, the plots and a folder of each run; replaces none but an earlier comparison's")
	g.forcible(flags)
	shared, f, _ := pretrainCommand()
	shared.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(ofRuns, f.Name) {
			flags.AddFlag(f)
		}
	})
	cmd.RunE = func(_ *cobra.Command, runs []string) error {
		if out == "" {
			return usagef("--out is missing: name a folder for the table and the plot")
		}
		var common []string
		flags.Visit(func(f *pflag.Flag) {
			if shared.Flags().Lookup(f.Name) != nil && !slices.Contains(ofRuns, f.Name) && f.Name != "device" && f.Name != "tensorboard" {
				value := f.Value.String()
				if list, ok := f.Value.(pflag.SliceValue); ok { // whose String has brackets
					value = strings.Join(list.GetSlice(), ",")
				}
				common = append(common, "--"+f.Name+"="+value)
			}
		})
		if len(runs) > 0 {
			if methods != "" || len(variants) > 0 || len(common) > 0 || flags.Changed("seeds") || flags.Changed("device") ||
				flags.Changed("tensorboard") {
				return usagef("the runs named are compared as they are; leave out the flags of training")
			}
			all, err := told(runs)
			if err != nil {
				return err
			}
			for _, run := range runs {
				g.run(run)
			}
			files, err := g.comparison(out)
			if err != nil {
				return err
			}
			return sideBySide(out, files, all)
		}
		if seeds < 1 || seeds > mostSeeds {
			return usagef("--seeds is %d, but must be from 1 to %d", seeds, mostSeeds)
		}
		jobs, err := plan(methods, variants, common, seeds, f.device.name, &g)
		if err != nil {
			return err
		}
		files, err := g.comparison(out)
		if err != nil {
			return err
		}
		return compareAll(out, files, f.device, f.tensorboard, jobs)
	}
	return cmd
}

// comparison demands a folder, or a place for one, whose table, plots and list of
// runs may be written, and returns where.
func (g *guard) comparison(out string) (map[string]string, error) {
	is, err := os.Stat(out)
	switch {
	case err == nil && !is.IsDir():
		return nil, usagef("--out %s: this is a file; name a folder", out)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--out %s cannot be used: %w", out, durable.Reason(err))
	}
	table := filepath.Join(out, compareTable)
	kinds := map[string]kind{compareTable: comparison(table), compareJobs: jobList, comparePage: htmlReport}
	for _, name := range comparePlots {
		kinds[name] = comparison(table)
	}
	files := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		path := filepath.Join(out, name)
		files[name] = path
		if is == nil {
			if what, err := g.belongs(path, nil, kinds[name]); err != nil {
				return nil, err
			} else if what != "" {
				return nil, usagef("--out %s: %s: %s; name another folder", out, path, what)
			}
			continue
		}
		if path, err = g.output("--out:", path, kinds[name]); err != nil {
			return nil, err
		}
		if err := g.picture("--out:", path, ""); err != nil {
			return nil, err
		}
		files[name] = path
	}
	return files, nil
}

// compareAll trains what has not been trained and compares. Each run is a
// process of its own, so that its memory is its own.
func compareAll(out string, files map[string]string, where *deviceFlag, board bool, jobs []job) error {
	running := new(child)
	ctx, release := interruptible(context.Background(), running.leave)
	defer release()
	asked := readJobs(files[compareJobs])
	jobs, err := choose(ctx, running, out, where, jobs, asked)
	if err != nil {
		return err
	}
	if err := remember(out, files[compareJobs], jobs, asked); err != nil {
		return err
	}
	var (
		runs  []named
		ended []float64 // seconds that they took
		rest  []job     // not ended yet
	)
	for _, j := range jobs {
		if s, err := runlog.ReadSummary(filepath.Join(out, j.name)); err == nil {
			ended = append(ended, s.Seconds)
		} else {
			rest = append(rest, j)
		}
	}
	if about := left(rest, ended, 0); about != "" {
		fmt.Fprintf(stdout, "time     %s for %s, on this machine as it is now\n", about, show.Count(len(rest), "run"))
	}
	for i, j := range jobs {
		folder := filepath.Join(out, j.name)
		runs = append(runs, named{j.of, folder})
		if _, err := runlog.ReadSummary(folder); err == nil {
			fmt.Fprintf(stdout, "== %s has ended before (%d of %d)\n", j.name, i+1, len(jobs))
			continue
		}
		about := ""
		if l := left(rest, ended, 10); l != "" && i > 0 {
			about = ", " + l + " left"
		}
		if _, err := fmt.Fprintf(stdout, "== %s (%d of %d%s)\n", j.name, i+1, len(jobs), about); err != nil {
			return err
		}
		args := append([]string{"pretrain", "--out", folder}, j.flags()...)
		if _, err := os.Stat(filepath.Join(folder, runlog.ConfigFile)); err == nil {
			args = []string{"pretrain", "--resume", folder}
		}
		args = append(args, where.args()...)
		if board {
			args = append(args, "--tensorboard")
		}
		err := running.run(ctx, args)
		var exit *exec.ExitError
		switch stopped := errors.As(err, &exit) && exit.ExitCode() == exitStopped; {
		case ctx.Err() != nil && (err == nil || stopped):
			return stoppedIn(j.name)
		case err != nil:
			return fmt.Errorf("%s did not end (%w); what is before it stays, and the same command goes on", j.name, err)
		}
		if s, err := runlog.ReadSummary(folder); err == nil {
			ended = append(ended, s.Seconds)
		}
		rest = rest[1:]
	}
	return sideBySide(out, files, runs)
}

// stoppedIn is the end of a comparison that was stopped in a run, which has saved.
type stoppedIn string

func (run stoppedIn) Error() string {
	return fmt.Sprintf("stopped in %s; give the same command again to go on", string(run))
}
func (stoppedIn) Is(target error) bool { return target == errStopped }

// named is the folder of a run and what the run is called. Runs of one name differ
// in their seeds.
type named struct{ name, folder string }

// told names the runs of some folders: each by its folder's own name, or by its path where
// another has that name.
func told(folders []string) ([]named, error) {
	all := make([]named, len(folders))
	is := make([]fs.FileInfo, len(folders))
	for i, folder := range folders {
		all[i] = named{runName(folder), folder}
		is[i], _ = os.Stat(folder) // reading the run tells what is wrong
		for j := range i {
			if os.SameFile(is[i], is[j]) {
				return nil, usagef("%s and %s are the same run; name it once", show.Name(folders[j]), show.Name(folder))
			}
		}
	}
	for i, folder := range folders {
		for j := range folders {
			if j != i && runName(folders[j]) == runName(folder) {
				all[i].name = filepath.Clean(folder)
			}
		}
	}
	return all, nil
}

// sideBySide writes table and plots of runs that have ended.
func sideBySide(out string, files map[string]string, all []named) error {
	var (
		runs    []compare.Run
		configs [][]byte
	)
	for _, n := range all {
		r, err := compare.Read(n.name, n.folder)
		if err != nil {
			return err
		}
		c, err := recipe.ReadFile(filepath.Join(n.folder, runlog.ConfigFile))
		if err != nil {
			return err
		}
		if r.Uses, err = machinery(&c); err != nil {
			return err
		}
		if slices.Contains(r.Summary.Changed, runlog.ConfigFile) {
			complain(yellow, "warning:", runlog.Altered(n.folder, runlog.ConfigFile))
		}
		r.Trained = eval.Training{Batch: c.Batch, BaseRate: c.Optimizer.BaseLR}
		text, err := c.YAML()
		if err != nil {
			return err
		}
		runs, configs = append(runs, r), append(configs, text)
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return fmt.Errorf("--out %s cannot be made: %w", out, err)
	}
	var table bytes.Buffer
	if err := compare.Markdown(&table, runs); err != nil {
		return err
	}
	path := files[compareTable]
	if err := durable.WriteFile(path, table.Bytes()); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	written := []string{path}
	for _, name := range comparePlots {
		path := files[name]
		if err := compare.Plot(path, runs); err != nil {
			return err
		}
		written = append(written, path)
	}
	var page bytes.Buffer
	if err := report.WriteMany(&page, &report.Many{Name: runName(out), Runs: runs, Configs: configs,
		Made: "Written by vicreg " + host.Version() + "."}); err != nil {
		return err
	}
	path = files[comparePage]
	if err := durable.WriteFile(path, page.Bytes()); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	written = append(written, path)
	writeTable(stdout, table.String())
	fmt.Fprintf(stdout, "\nwritten: %s\n", strings.Join(written, ", "))
	return nil
}

// runName is what a run is called: its folder's own name, also where that is given
// as ".".
func runName(folder string) string {
	if abs, err := filepath.Abs(folder); err == nil {
		folder = abs
	}
	return filepath.Base(folder)
}

// machinery lists what a run needed beside encoder, expander and gradient.
func machinery(c *recipe.Config) ([]string, error) {
	m, err := recipe.MachineryOf(c.Method)
	if err != nil {
		return nil, err
	}
	var uses []string
	add := func(is bool, what string) {
		if is {
			uses = append(uses, what)
		}
	}
	_, predictor := c.Predictor()
	add(c.Momentum.Use, "momentum encoder")
	add(predictor, "predictor")
	add(c.Heads.StopGradient && !c.Momentum.Use, "stop-gradient")
	add(c.Queue.Size > 0, fmt.Sprintf("queue of %d", c.Queue.Size))
	add(len(c.Prototypes.Counts) > 0, "prototypes")
	uses = append(uses, m.Needs...)
	add(len(c.Crops()) > 2, fmt.Sprintf("%d crops", len(c.Crops())))
	add(c.Regularize.On(), "variance and covariance added")
	return uses, nil
}
