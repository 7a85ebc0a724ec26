package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/host"
	"vicreg/internal/parallel"
	"vicreg/internal/scaling"
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
	Device          string    `json:"device,omitempty"`          // none: the processor
	DevicePeak      float64   `json:"device_peak_mib,omitempty"` // of its memory

	Scaling *scaling.Report `json:"scaling,omitempty"`
}

// benchFlags are shared by all benchmarks.
type benchFlags struct {
	threads, steps, warmup int
	json                   bool
	profile                string
	operations, scaling    bool
	graphs, forms          string
	device                 *deviceFlag
	flags                  *pflag.FlagSet
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
	f.flags = flags
	flags.IntVar(&f.threads, "threads", 0, "`processors` to use; 0: all")
	flags.IntVar(&f.steps, "steps", 5, "timed `steps`")
	flags.IntVar(&f.warmup, "warmup", 1, "`steps` before timing starts (on a card 3)")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.profile, "cpuprofile", "", "write a processor profile to this `file`")
	must(flags.MarkHidden("cpuprofile"))
	flags.StringVar(&f.graphs, "graphs", "", "on or off: replay operations of a card that come again as a graph")
	must(flags.MarkHidden("graphs"))
	flags.StringVar(&f.forms, "forms", "", "`file` with a table of kernels for the convolutions of a card")
	must(flags.MarkHidden("forms"))
	flags.BoolVar(&f.operations, "operations", false, "show what each operation takes on the card, before the result")
	flags.BoolVar(&f.scaling, "scaling", false, "show what 2 to 64 threads would gain and what holds them up, before the result; see docs/performance.md")
	f.device = newDeviceFlag(flags)
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

// onProcessor refuses what is about networks or the loss alone.
func (f *benchFlags) onProcessor(what string) error {
	if f.device.far() {
		return usagef("--device is %s, but %s; leave it out", f.device.name, what)
	}
	if f.scaling {
		return usagef("--scaling is about steps, inference and the loss, but %s; leave it out", what)
	}
	return nil
}

// measure times run, which handles images and flops a call and returns when they are done,
// and prints the result. flags are checked before setup makes run on a device.
func (f *benchFlags) measure(what string, setup func(d device.Device) (run func() error, images, flops int,
	err error)) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	if f.device.far() && !f.flags.Changed("warmup") {
		f.warmup = 3 // how to compute is tried out first
	}
	d, err := f.device.open()
	if err != nil {
		return err
	}
	defer device.Catch(&err)
	if c, ok := d.(*cuda.Device); ok {
		if err := f.prefer(c); err != nil {
			return err
		}
	}
	parallel.SetWorkers(f.threads)
	run, images, flops, err := setup(d)
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
	where, peak := fmt.Sprintf("%d threads", parallel.Workers()), ""
	if !d.Shared() {
		t.Device = device.Describe(d)
		where = t.Device
		if u, ok := d.(interface{ Used() (now, peak, held int) }); ok {
			_, most, _ := u.Used()
			t.DevicePeak = float64(most) / (1 << 20)
			peak = fmt.Sprintf(" and %.0f MiB of the device's", t.DevicePeak)
		}
	}
	if f.operations {
		if err := f.spent(d, run); err != nil {
			return err
		}
	}
	if f.scaling {
		if t.Scaling, err = f.scale(d, run); err != nil {
			return err
		}
	}
	if f.json {
		return printJSON(t)
	}
	if t.Scaling != nil {
		printScaling(stdout, t.Scaling)
	}
	rate := fmt.Sprintf("%.4g images/s", t.ImagesPerSecond)
	if flops > 0 {
		rate += fmt.Sprintf(", %.4g Gflop/s", t.Gflops)
	}
	_, err = fmt.Fprintf(stdout, "%s, %s, %d steps\nmedian %.4g s (%.4g to %.4g), %s, peak memory %.0f MiB%s\n",
		what, where, f.steps, t.Median, t.Min, t.Max, rate, t.PeakRSS, peak)
	return err
}

// prefer has a card compute as the hidden flags say.
func (f *benchFlags) prefer(c *cuda.Device) error {
	if f.graphs != "" {
		c.Collect(f.graphs == "on")
	}
	if f.forms == "" {
		return nil
	}
	table, err := os.ReadFile(f.forms)
	if err != nil {
		return err
	}
	return c.Prefer(string(table))
}

// spent shows what the operations of a call take on the device, where it can tell.
func (f *benchFlags) spent(d device.Device, run func() error) error {
	c, ok := d.(*cuda.Device)
	if !ok {
		return usagef("--operations is about a card, but --device is %s", f.device.name)
	}
	const calls = 4
	c.Profile()
	for range calls {
		if err := run(); err != nil {
			return err
		}
	}
	all, total := c.Profiled(), 0.0
	for _, s := range all {
		total += s.Milliseconds / calls
	}
	fmt.Fprintf(os.Stderr, "%9s %7s  operations, %.2f ms in all\n", "ms", "times", total)
	for _, s := range all {
		fmt.Fprintf(os.Stderr, "%9.3f %7.4g  %s\n", s.Milliseconds/calls, float64(s.Times)/calls, s.What)
	}
	return nil
}
