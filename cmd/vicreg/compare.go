package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/compare"
	"vicreg/internal/durable"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// Files of a comparison, beside the run folders.
const (
	compareTable = "compare.md"
	compareJobs  = "compare.json" // what each run was asked for
)

var comparePlots = []string{"compare.png", "compare.svg"}

// job is one run of a comparison.
type job struct {
	name string
	args []string // of pretrain
}

func newCompare() *cobra.Command {
	var (
		methods  string
		variants []string
		out      string
	)
	cmd := &cobra.Command{
		Use:   "compare [RUN ...]",
		Short: "Train methods, or variants of one, alike and put them side by side",
		Long: `Trains each method in its turn on the same data with the same recipe, and writes
one table and one plot: kNN and linear probe, collapse figures, time, memory, and
what machinery each needed. Every flag of pretrain goes to all of them. A variant
has a name and flags of its own.

What was stopped goes on when the same command is given again: runs that have
ended are not repeated. With run folders as arguments nothing is trained.`,
		Example: `  vicreg compare --methods all --recipe quick --out runs/all
  vicreg compare --methods vicreg,barlow-twins --data ~/photos --epochs 50 --out runs/two
  vicreg compare --variant "25,25,1:" --variant "1,0,0: --mu 0 --nu 0 --lambda 1" --out runs/terms
  vicreg compare runs/a runs/b --out runs/both`,
		Args: cobra.ArbitraryArgs,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&methods, "methods", "", "`names` joined by commas, or all: "+strings.Join(recipe.Methods(), ", "))
	flags.StringArrayVar(&variants, "variant", nil, "`\"name: flags\"` of a run with flags of its own; may be given many times")
	flags.StringVar(&out, "out", "", "`folder` for the table, the plot and a folder of each run")
	shared, _, _ := pretrainCommand()
	own := []string{"out", "resume", "method", "json", "quiet", "cpuprofile", "help"}
	shared.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(own, f.Name) {
			flags.AddFlag(f)
		}
	})
	cmd.RunE = func(_ *cobra.Command, runs []string) error {
		if out == "" {
			return usagef("--out is missing: name a folder for the table and the plot")
		}
		var common []string
		flags.Visit(func(f *pflag.Flag) {
			if shared.Flags().Lookup(f.Name) != nil && !slices.Contains(own, f.Name) {
				common = append(common, "--"+f.Name+"="+f.Value.String())
			}
		})
		if len(runs) > 0 {
			if methods != "" || len(variants) > 0 || len(common) > 0 {
				return usagef("the runs named are compared as they are; leave out the flags of training")
			}
			return sideBySide(out, runs)
		}
		jobs, err := plan(methods, variants, common)
		if err != nil {
			return err
		}
		return compareAll(out, jobs)
	}
	return cmd
}

// plan lists the runs asked for, each with flags that pretrain takes.
func plan(methods string, variants, common []string) ([]job, error) {
	var jobs []job
	if methods != "" {
		names := strings.Split(methods, ",")
		if methods == "all" {
			names = recipe.Methods()
		}
		for _, name := range names {
			jobs = append(jobs, job{name, append(slices.Clone(common), "--method="+name)})
		}
	}
	for _, v := range variants {
		name, own, ok := strings.Cut(v, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsAny(name, `/\`) {
			return nil, usagef("--variant %q is not a name, a colon and flags, such as \"no covariance: --nu 0\"", v)
		}
		jobs = append(jobs, job{name, append(slices.Clone(common), strings.Fields(own)...)})
	}
	if len(jobs) == 0 {
		return nil, usagef("nothing to compare: give --methods, --variant or run folders")
	}
	seen := map[string]bool{}
	for _, j := range jobs {
		if seen[j.name] {
			return nil, usagef("two runs are called %s; give each its own name", j.name)
		}
		seen[j.name] = true
		// Whatever is wrong is found before the first run.
		cmd, f, config := pretrainCommand()
		if err := cmd.ParseFlags(j.args); err != nil {
			return nil, usagef("%s: %v", j.name, err)
		}
		if rest := cmd.Flags().Args(); len(rest) > 0 {
			return nil, usagef("%s: %q is no flag", j.name, rest[0])
		}
		if _, err := f.configuration(config); err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", j.name, err)}
		}
	}
	return jobs, nil
}

// compareAll trains what has not been trained and compares. Each run is a
// process of its own, so that its memory is its own.
func compareAll(out string, jobs []job) error {
	if err := remember(out, jobs); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, release := interruptible(context.Background())
	defer release()
	var folders []string
	for i, j := range jobs {
		folder := filepath.Join(out, j.name)
		folders = append(folders, folder)
		if _, err := runlog.ReadSummary(folder); err == nil {
			fmt.Printf("== %s has ended before (%d of %d)\n", j.name, i+1, len(jobs))
			continue
		}
		fmt.Printf("== %s (%d of %d)\n", j.name, i+1, len(jobs))
		args := append([]string{"pretrain", "--out", folder}, j.args...)
		if _, err := os.Stat(filepath.Join(folder, runlog.ConfigFile)); err == nil {
			args = []string{"pretrain", "--resume", folder}
		}
		child := exec.Command(self, args...)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		stop := context.AfterFunc(ctx, func() { child.Process.Signal(os.Interrupt) })
		err := child.Run()
		stop()
		if ctx.Err() != nil {
			return fmt.Errorf("stopped in %s; give the same command again to go on", j.name)
		}
		if err != nil {
			return fmt.Errorf("%s did not end (%w); what is before it stays, and the same command goes on", j.name, err)
		}
	}
	return sideBySide(out, folders)
}

// remember writes what the runs of a folder were asked for, and refuses a folder
// whose runs were asked for something else.
func remember(out string, jobs []job) error {
	path := filepath.Join(out, compareJobs)
	asked := map[string][]string{}
	raw, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(raw, &asked); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, j := range jobs {
		if before, ok := asked[j.name]; ok && !slices.Equal(before, j.args) {
			return fmt.Errorf("%s holds a run %s made with %s, not with %s; take another --out, or remove %s",
				out, j.name, strings.Join(before, " "), strings.Join(j.args, " "), filepath.Join(out, j.name))
		}
		asked[j.name] = j.args
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return fmt.Errorf("--out %s cannot be made: %w", out, err)
	}
	raw, err = json.MarshalIndent(asked, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// sideBySide writes table and plots of runs that have ended.
func sideBySide(out string, folders []string) error {
	var runs []compare.Run
	for _, folder := range folders {
		r, err := compare.Read(filepath.Base(folder), folder)
		if err != nil {
			return err
		}
		c, err := recipe.ReadFile(filepath.Join(folder, runlog.ConfigFile))
		if err != nil {
			return err
		}
		if r.Uses, err = machinery(&c); err != nil {
			return err
		}
		runs = append(runs, r)
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return fmt.Errorf("--out %s cannot be made: %w", out, err)
	}
	var table bytes.Buffer
	if err := compare.Markdown(&table, runs); err != nil {
		return err
	}
	path := filepath.Join(out, compareTable)
	if err := durable.WriteFile(path, table.Bytes()); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	written := []string{path}
	for _, name := range comparePlots {
		path := filepath.Join(out, name)
		if err := compare.Plot(path, runs); err != nil {
			return err
		}
		written = append(written, path)
	}
	io.Copy(os.Stdout, &table)
	fmt.Printf("\nwritten: %s\n", strings.Join(written, ", "))
	return nil
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
