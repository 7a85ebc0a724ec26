package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vicreg/internal/cpu"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// ceiling is what bench peak measured.
type ceiling struct {
	Precision string  `json:"precision"`
	Usable    bool    `json:"usable"`  // false: products are float32 instead, as that is faster or all there is
	Variant   string  `json:"variant"` // of the kernels
	Threads   int     `json:"threads"`
	Gflops    float64 `json:"gflops"` // median over the steps; 0 if the processor has no such arithmetic
}

func newBenchPeak(f *benchFlags) *cobra.Command {
	var precision string
	cmd := &cobra.Command{
		Use:   "peak",
		Short: "Time multiply-adds of registers: the ceiling of all else",
		Long: `Times multiply-adds that read no memory and wait for none but themselves. No
product can be faster; a convolution can, if it is counted as direct convolution
does it and computed by Winograd's algorithm.`,
		Example: "  vicreg bench peak --precision bf16",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := shape.ParsePrecision(precision)
			if err != nil {
				return usageError{err}
			}
			if err := f.check(); err != nil {
				return err
			}
			if err := f.onProcessor("this is the ceiling of the processor"); err != nil {
				return err
			}
			parallel.SetWorkers(f.threads)
			c := ceiling{Precision: precision, Usable: p.Missing() == "", Variant: cpu.Variant(),
				Threads: parallel.Workers()}
			if c.Usable || p == shape.BF16 && cpu.AVX512BF16 {
				c.Gflops = f.peak(p)
			}
			if f.json {
				return printJSON(c)
			}
			if !c.Usable {
				if _, err = fmt.Fprintln(stdout, p.Missing()); err != nil || c.Gflops == 0 {
					return err
				}
			}
			_, err = fmt.Fprintf(stdout, "%s, %s, %d threads\n%.4g Gflop/s\n", c.Precision, c.Variant, c.Threads, c.Gflops)
			return err
		},
	}
	cmd.Flags().StringVar(&precision, "precision", "float32", "`kind` of numbers: float32, tf32 or bf16")
	return cmd
}

// peak returns the median rate of the ceiling in 10⁹ operations a second.
func (f *benchFlags) peak(p shape.Precision) float64 {
	n := 1000
	rate := func() (float64, time.Duration) {
		start := time.Now()
		ops := product.Peak(p, n)
		took := time.Since(start)
		return float64(ops) / took.Seconds() / 1e9, took
	}
	for { // a step of some 50 ms
		if _, took := rate(); took > 50*time.Millisecond {
			break
		}
		n *= 2
	}
	var rates []float64
	for range f.steps {
		r, _ := rate()
		rates = append(rates, r)
	}
	slices.Sort(rates)
	return (rates[len(rates)/2] + rates[(len(rates)-1)/2]) / 2
}
