package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/loss"
	"vicreg/internal/method"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
)

func newLoss() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "loss FILE.safetensors | Z1.npy Z2.npy",
		Short: "Compute every term of the loss for two embedding matrices",
		Long: `Reads two embedding matrices z1 and z2 (n × d each, any number type) from a
safetensors file, or from two NumPy files, and prints one JSON object: the convention, the three terms
before their weights, their weighted total, and for each branch the figures that
show a collapse: mean standard deviation, mean absolute correlation and effective
rank. --grad writes the gradients of the total, dz1 and dz2.

--method computes the loss of another system instead, and --set its constants:

` + methodsHelp() + `
moco-v2, moco-v3, byol and simsiam take z1 as queries or predictions and z2 as
keys or targets of the other view, whose gradient is 0 unless stop-gradient is.
moco-v2 also reads queue (d × K, unit columns). swav and deepcluster take z1 and
z2 as scores of K prototypes; swav reads its assignments q1 and q2 (n × K) or, if
the file has none, computes them; deepcluster reads assignment (n whole numbers).

What is computed has 32 bits. Where numbers of 64 differ by less than these tell, vicreg,
barlow-twins and wmse move that column of both matrices to around 0 first.

Weights and constants come from the flags alone; whatever the file's metadata
says about them is not read.`,
		Example: `  vicreg loss pair.safetensors
  vicreg loss z1.npy z2.npy
  vicreg loss pair.safetensors --convention formula --grad g.safetensors
  vicreg loss pair.safetensors --method simclr --set temperature=0.5`,
		Args: pairArgs,
	}
	var (
		grad     string
		threads  int
		name     string
		settings []string
		g        guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&name, "method", "vicreg", "`system` whose loss to compute: "+strings.Join(lossMethods(), ", "))
	flags.StringArrayVar(&settings, "set", nil, "`name=value` of a constant of the loss; may be given many times")
	config := newConfigFlags(flags)
	config.loss()
	flags.StringVar(&grad, "grad", "", "write the gradients dz1 and dz2 to this safetensors `file`; replaces none but earlier gradients")
	g.forcible(flags)
	flags.IntVar(&threads, "threads", 0, "`processors` to use; 0: all")
	cmd.RunE = func(_ *cobra.Command, args []string) (err error) {
		if flags.Changed("grad") {
			for _, file := range args {
				g.reads(file)
			}
			if grad, err = g.output("--grad", grad, gradients); err != nil {
				return err
			}
		}
		if name != "vicreg" {
			a, known := loss.AloneOf(name)
			if !known {
				return usagef("--method %q is unknown; known: %s", name, strings.Join(lossMethods(), ", "))
			}
			if given := config.given(); len(given) > 0 {
				return usagef("--%s is a constant of vicreg's loss; give those of %s with --set", given[0], name)
			}
			c, err := recipe.Load(recipe.Default)
			if err != nil {
				return err
			}
			c.Threads = threads
			if err := c.Validate(); err != nil {
				return usageError{err}
			}
			parallel.SetWorkers(threads)
			set, err := parseSettings(name, a.Constants, settings)
			if err != nil {
				return err
			}
			return computeLoss(name, a, nil, set, args, grad)
		}
		if err := setFlags(flags, config, settings); err != nil {
			return err
		}
		c, err := recipe.Load(recipe.Default)
		if err != nil {
			return err
		}
		v := loss.NewVICReg()
		c.Loss = recipe.Loss{Convention: v.Convention.String(), Lambda: v.Lambda, Mu: v.Mu, Nu: v.Nu, Gamma: v.Gamma,
			Eps: v.Eps}
		config.apply(&c)
		c.Threads = threads
		if err := c.Validate(); err != nil {
			return usageError{err}
		}
		if v, err = method.NewLoss(c.Loss); err != nil {
			return usageError{err}
		}
		parallel.SetWorkers(threads)
		return computeLoss(name, aloneVICReg(v), []loss.Term{{Name: "convention", Value: v.Convention.String()}}, nil, args, grad)
	}
	return cmd
}

// lossMethods returns the names that --method takes.
func lossMethods() []string { return append([]string{"vicreg"}, loss.AloneNames()...) }

// aloneVICReg is VICReg's loss, whose constants are flags.
func aloneVICReg(v loss.VICReg) loss.Alone {
	var ws loss.Workspace
	return loss.Alone{Square: loss.Columns, Shift: true, Eval: func(g *loss.Given) error {
		t := v.Eval(&ws, g.Z[0], g.Z[1], g.N, g.D, g.DZ[0], g.DZ[1])
		g.Terms = []loss.Term{
			{Name: "invariance", Value: t.Invariance}, {Name: "variance", Value: t.Variance},
			{Name: "covariance", Value: t.Covariance}, {Name: "total", Value: t.Total},
		}
		return nil
	}}
}

// setFlags sets VICReg's flags to the values of --set.
func setFlags(flags *pflag.FlagSet, config *configFlags, settings []string) error {
	known := slices.Sorted(maps.Keys(config.set))
	given := config.given()
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		key = strings.TrimSuffix(key, "_")
		switch {
		case !ok:
			return usagef("--set %q is not of the form name=value", s)
		case !slices.Contains(known, key):
			return usagef("the loss of vicreg has no constant %q to --set; it has %s", key, strings.Join(known, ", "))
		case slices.Contains(given, key):
			return usagef("%s is given twice, the second time by --set %s; give one value", key, s)
		}
		given = append(given, key)
		if err := flags.Set(key, value); err != nil {
			return usagef("--set %s: %q is not a number", key, value)
		}
	}
	return nil
}

// methodsHelp lists the methods and their constants.
func methodsHelp() string {
	var b strings.Builder
	for _, name := range lossMethods() {
		if a, ok := loss.AloneOf(name); ok {
			fmt.Fprintf(&b, "  %-13s", name)
			for _, c := range a.Constants {
				fmt.Fprintf(&b, " %s=%v", c.Name, c.Value)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// parseSettings reads key=value pairs.
func parseSettings(method string, known []loss.Constant, given []string) (map[string]float64, error) {
	set := map[string]float64{}
	var names, settled []string
	for _, c := range known {
		set[c.Name] = c.Value
		names = append(names, c.Name)
	}
	for _, s := range given {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usagef("--set %q is not of the form name=value", s)
		}
		key = strings.TrimSuffix(strings.TrimSpace(key), "_")
		at := slices.Index(names, key)
		if at < 0 {
			return nil, usagef("the loss of %s has no constant %q to --set; it has %s", method, key, strings.Join(names, ", "))
		}
		if slices.Contains(settled, key) {
			return nil, usagef("%s is given twice, the second time by --set %s; give one value", key, s)
		}
		settled = append(settled, key)
		c := known[at]
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		switch {
		case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
			return nil, usagef("--set %s: %q is not a number", key, text)
		case c.Whole && (v != math.Trunc(v) || v > 1<<53):
			return nil, usagef("--set %s=%s is not a whole number", key, text)
		case v < c.Above || v == c.Above && !c.Equal:
			limit := "above"
			if c.Equal {
				limit = "at least"
			}
			return nil, usagef("--set %s=%s: it must be %s %v", key, text, limit, c.Above)
		case c.Most > 0 && v > c.Most:
			return nil, usagef("--set %s=%s: it must be at most %v", key, text, c.Most)
		}
		set[key] = v
	}
	return set, nil
}
