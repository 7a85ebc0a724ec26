package main

import (
	"fmt"
	"io"

	"vicreg/internal/device"
	"vicreg/internal/scaling"
)

// scale reckons what more processors would do for run.
func (f *benchFlags) scale(d device.Device, run func() error) (*scaling.Report, error) {
	if !d.Shared() {
		return nil, usagef("--scaling is about processors, but --device is %s", f.device.name)
	}
	return scaling.Of(run)
}

// printScaling writes a report for a terminal.
func printScaling(w io.Writer, r *scaling.Report) {
	last := r.ForCost[0]
	fmt.Fprintf(w, "one thread %.1f ms, %d threads %.1f ms (%.2f×)\n", r.One, r.Threads, r.Measured, r.One/r.Measured)
	for _, b := range r.Bandwidth {
		fmt.Fprintf(w, "memory gives %.1f GB/s to %d thread%s\n", b.Rate, b.Threads, plural(b.Threads))
	}
	for _, c := range r.ForCost {
		if !c.Assumed {
			last = c
		}
	}
	fmt.Fprintf(w, "a loop costs %.1f µs with %d threads; with more it is taken to cost more in proportion\n\n",
		last.Micros, last.Workers)

	fmt.Fprintf(w, "%8s %9s %8s  %26s\n", "", "", "", "of these lost to, ms")
	fmt.Fprintf(w, "%8s %9s %8s %9s %9s %9s\n", "threads", "ms", "speed-up", "serial", "uneven", "barriers")
	for _, c := range r.Reckoned {
		fmt.Fprintf(w, "%8d %9.1f %8.2f %9.2f %9.2f %9.2f\n", c.Workers, c.Total, c.Speedup, c.Serial, c.Uneven, c.Barriers)
	}

	fmt.Fprintf(w, "\n%8s %9s %8s  %17s %17s\n", "one", fmt.Sprintf("%d threads", scaling.Typical), "", "lost to, ms",
		fmt.Sprintf("%d threads, ms", r.Threads))
	fmt.Fprintf(w, "%8s %9s %8s %8s %8s %8s %8s %6s %6s  %s\n", "ms", "ms", "speed-up", "uneven", "barriers", "reckoned",
		"measured", "loops", "pieces", "loop")
	for i, k := range r.Kinds {
		if i == 24 {
			fmt.Fprintf(w, "and %d kinds more\n", len(r.Kinds)-i)
			break
		}
		fmt.Fprintf(w, "%8.2f %9.2f %8.2f %8.2f %8.2f %8.2f %8.2f %6d %6d  %s %s\n", k.One, k.Reckoned, k.One/k.Reckoned,
			k.Uneven, k.Barriers, k.Here, k.Measured, k.Loops, k.Pieces, k.Operation, k.Body)
	}

	fmt.Fprintf(w, "\n%8s %6s  serial stretches\n", "ms", "times")
	for _, s := range r.Serial[:min(12, len(r.Serial))] {
		fmt.Fprintf(w, "%8.2f %6d  from %s to %s\n", s.Total, s.Times, s.After, s.Before)
	}

	fmt.Fprintf(w, "\n%8s %8s %9s %9s  operations: what they move at least, as they run with %d threads and as %d would\n",
		"ms", "MB", "GB/s", "GB/s", r.Threads, scaling.Typical)
	for _, t := range r.Traffic {
		if t.Megabytes > 0 {
			fmt.Fprintf(w, "%8.2f %8.1f %9.1f %9.1f  %s\n", t.Measured, t.Megabytes, t.Rate, t.Needs, t.Operation)
		}
	}
	fmt.Fprintln(w)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}
