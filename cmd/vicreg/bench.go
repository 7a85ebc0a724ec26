package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vicreg/internal/host"
	"vicreg/internal/parallel"
)

// timing is what a benchmark measured.
type timing struct {
	Median          float64   `json:"median_s"`
	Min             float64   `json:"min_s"`
	Max             float64   `json:"max_s"`
	Times           []float64 `json:"times_s"`
	ImagesPerSecond float64   `json:"images_per_second"` // images, not views
	Gflops          float64   `json:"gflops"`            // useful operations of direct convolution, 10⁹ a second
	PeakRSS         float64   `json:"peak_rss_mib"`
}

// benchFlags are shared by all benchmarks.
type benchFlags struct {
	threads, steps, warmup int
	json                   bool
	profile                string
	reads                  []string // data sets, as --data takes them
}

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Time training steps, inference or the loss on random data, the making of views, or the ceiling",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no benchmark %q; known: step, embed, loss, views, peak", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var f benchFlags
	flags := cmd.PersistentFlags()
	flags.IntVar(&f.threads, "threads", 0, "`processors` to use; 0: all")
	flags.IntVar(&f.steps, "steps", 5, "timed `steps`")
	flags.IntVar(&f.warmup, "warmup", 1, "`steps` before timing starts")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this `file`")
	must(flags.MarkHidden("cpuprofile"))
	cmd.AddCommand(newBenchStep(&f), newBenchEmbed(&f), newBenchLoss(&f), newBenchViews(&f), newBenchPeak(&f))
	return cmd
}

// check demands usable numbers.
func (f *benchFlags) check() error {
	for _, v := range []struct {
		flag            string
		value, min, max int
	}{{"threads", f.threads, 0, 4096}, {"steps", f.steps, 1, 1_000_000}, {"warmup", f.warmup, 0, 1_000_000}} {
		if v.value < v.min {
			return usagef("--%s is %d, but must be at least %d", v.flag, v.value, v.min)
		}
		if v.value > v.max {
			return usagef("--%s is %d, but must be at most %d", v.flag, v.value, v.max)
		}
	}
	return nil
}

// measure times run, which handles images and flops a call, and prints the result. flags
// are checked before setup makes run.
func (f *benchFlags) measure(what string, setup func() (run func() error, images, flops int, err error)) error {
	if err := f.check(); err != nil {
		return err
	}
	parallel.SetWorkers(f.threads)
	run, images, flops, err := setup()
	if err != nil {
		return err
	}
	for range f.warmup {
		if err := run(); err != nil {
			return err
		}
	}
	stop, err := startProfile(f.profile, &guard{sources: f.reads})
	if err != nil {
		return err
	}
	var t timing
	for range f.steps {
		start := time.Now()
		if err := run(); err != nil {
			return err
		}
		t.Times = append(t.Times, time.Since(start).Seconds())
	}
	if err := stop(); err != nil {
		return err
	}
	sorted := slices.Sorted(slices.Values(t.Times))
	t.Min, t.Max = sorted[0], sorted[len(sorted)-1]
	t.Median = (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	t.ImagesPerSecond = float64(images) / t.Median
	t.Gflops = float64(flops) / t.Median / 1e9
	t.PeakRSS = host.PeakRSS()
	if f.json {
		return printJSON(t)
	}
	rate := fmt.Sprintf("%.4g images/s", t.ImagesPerSecond)
	if flops > 0 {
		rate += fmt.Sprintf(", %.4g Gflop/s", t.Gflops)
	}
	_, err = fmt.Fprintf(stdout, "%s, %d threads, %d steps\nmedian %.4g s (%.4g to %.4g), %s, peak memory %.0f MiB\n",
		what, parallel.Workers(), f.steps, t.Median, t.Min, t.Max, rate, t.PeakRSS)
	return err
}
