package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/loss"
	"vicreg/internal/method"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/safetensors"
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
			if _, known := rivals[name]; !known {
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
			return rivalLoss(name, args, grad, settings)
		}
		if err := setFlags(flags, config, settings); err != nil {
			return err
		}
		c, err := recipe.Load(recipe.Default)
		if err != nil {
			return err
		}
		v := loss.NewVICReg()
		c.Loss = recipe.Loss{Convention: v.Convention.String(), Lambda: v.Lambda, Mu: v.Mu, Nu: v.Nu, Gamma: v.Gamma, Eps: v.Eps}
		config.apply(&c)
		c.Threads = threads
		if err := c.Validate(); err != nil {
			return usageError{err}
		}
		if v, err = method.NewLoss(c.Loss); err != nil {
			return usageError{err}
		}
		parallel.SetWorkers(threads)
		file, from, err := openTensors(args)
		if err != nil {
			return err
		}
		defer file.Close()
		p, err := readPair(file, from, name, grad != "")
		if err != nil {
			return err
		}
		return p.report(v, from, grad)
	}
	return cmd
}

// setFlags gives VICReg's flags what --set says of its constants.
func setFlags(flags *pflag.FlagSet, config *configFlags, settings []string) error {
	known := slices.Sorted(maps.Keys(config.set))
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		key = strings.TrimSuffix(key, "_")
		switch {
		case !ok:
			return usagef("--set %q is not of the form name=value", s)
		case !slices.Contains(known, key):
			return usagef("the loss of vicreg has no constant %q to --set; it has %s", key, strings.Join(known, ", "))
		}
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
		if r, ok := rivals[name]; ok {
			fmt.Fprintf(&b, "  %-13s", name)
			for _, c := range r.constants {
				fmt.Fprintf(&b, " %s=%v", c.name, c.value)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// pair is two embedding matrices, n × d each.
type pair struct {
	n, d int
	z    [2][]float32
}

// readPair reads z1 and z2 of what lies at path and demands what the loss of a
// method, with gradients or without, needs of them.
func readPair(f tensors, path, method string, grads bool) (*pair, error) {
	var shape []int
	var err error
	names := []string{"z1", "z2"}
	for i, name := range names {
		info, ok := f.Info(name)
		switch {
		case !ok:
			return nil, fmt.Errorf("%s has no tensor %s; the loss reads z1 and z2, n × d each", path, name)
		case len(info.Shape) != 2:
			return nil, fmt.Errorf("%s: %s has shape %v, but must be a matrix n × d", path, name, info.Shape)
		case i == 1 && !slices.Equal(info.Shape, shape):
			return nil, fmt.Errorf("%s: z1 is %d × %d and z2 is %d × %d, but they must be alike", path, shape[0], shape[1], info.Shape[0], info.Shape[1])
		case info.Shape[0] < 2 || info.Shape[1] < 1:
			return nil, fmt.Errorf("%s: %s is %d × %d, but at least 2 rows and 1 column are needed", path, name, info.Shape[0], info.Shape[1])
		}
		shape = info.Shape
	}
	p := &pair{n: shape[0], d: shape[1]}
	queue := 0
	if info, ok := f.Info("queue"); ok && len(info.Shape) == 2 {
		queue = info.Shape[1]
	}
	switch {
	case p.n > mostScored && (method == "simclr" || method == "moco-v3"):
		return nil, fmt.Errorf("%s: the loss of %s holds all of %d rows against each other, which would take very long; give it %d at most", path, method, p.n, mostScored)
	case p.d > mostCovaried && (method == "vicreg" || method == "barlow-twins"):
		return nil, fmt.Errorf("%s: the loss of %s holds all of %d columns against each other, which would take very long; give it %d at most", path, method, p.d, mostCovaried)
	}
	if need, has := lossMemory(method, p.n, p.d, queue, grads), host.MemoryLimit(); need > has.Bytes {
		return nil, fmt.Errorf("%s: the loss of %s of %d × %d embeddings takes some %s, but %s; give it fewer rows", path, method, p.n, p.d, host.Bytes(need), has)
	}
	for i, name := range names {
		if p.z[i], err = f.Float32(name); err != nil {
			return nil, err
		}
		if at := notFinite(p.z[i]); at >= 0 {
			return nil, fmt.Errorf("%s: %s holds %v in row %d, column %d (from 0), but embeddings must be finite", path, name, p.z[i][at], at/p.d, at%p.d)
		}
	}
	return p, nil
}

// Beyond these rows and columns a loss whose work is their square is no batch's.
const (
	mostScored   = 1 << 16
	mostCovaried = 1 << 17
)

// lossMemory reckons the bytes that the loss of a method takes of n × d
// embeddings, the figures of their spectrum included.
func lossMemory(method string, n, d, queue int, grads bool) float64 {
	rows, width := float64(n), float64(d)
	least := min(rows, width)
	of := rows * width   // values of an embedding
	const most = 1 << 26 // values of a matrix of scores that is held in part
	measured := min(rows, 8192)
	if least > 1024 {
		measured = 1024
	}
	values := 2*of + rows*min(width, 2048) + 4*measured*width
	if grads {
		values += 2 * of
	}
	switch method {
	case "simclr":
		values += min(4*rows*rows, most) + 4*of
	case "moco-v3":
		values += min(rows*rows, most) + 4*of
	case "moco-v2":
		values += 2*float64(queue)*width + min(rows*float64(min(queue, 2048)+16), most+32*rows) + 4*of
	case "wmse": // in float64
		values += 12*of + 8*least*least
	default:
		values += 6*of + 2*least*min(least, 4096)
	}
	return 4 * values
}

// notFinite returns where the first value stands that is not finite, or −1.
func notFinite(x []float32) int {
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}

// finiteGradients says where a gradient is not finite, if it is not.
func (p *pair) finiteGradients(dz [2][]float32) error {
	for i, x := range dz {
		if at := notFinite(x); at >= 0 {
			return fmt.Errorf("the gradient of z%d is %v in row %d, column %d (from 0): the embeddings or the constants are too large for float32; nothing was written", i+1, x[at], at/p.d, at%p.d)
		}
	}
	return nil
}

// figures measures a branch.
func (p *pair) figures(i int) (branchFigures, error) {
	s := eval.NewSpectrum(p.z[i], p.n, p.d)
	for _, v := range []float64{s.Std, s.Correlation, s.Rank} {
		if v-v != 0 {
			return branchFigures{}, fmt.Errorf("the figures of z%d are not finite: the embeddings are too large for float32", i+1)
		}
	}
	return branchFigures{s.Std, s.Correlation, s.Rank}, nil
}

// branchFigures show whether one branch has collapsed.
type branchFigures struct {
	Std         float64 `json:"std"`         // mean over dimensions
	Correlation float64 `json:"correlation"` // mean absolute, off the diagonal
	Rank        float64 `json:"rank"`        // effective rank
}

// report computes the loss of what stands in a file, writes the gradients to path
// unless that is empty, and prints the rest.
func (p *pair) report(v loss.VICReg, from, path string) error {
	var dz [2][]float32
	if path != "" {
		dz[0], dz[1] = make([]float32, p.n*p.d), make([]float32, p.n*p.d)
	}
	var ws loss.Workspace
	t := v.Eval(&ws, p.z[0], p.z[1], p.n, p.d, dz[0], dz[1])
	for _, x := range []struct {
		name  string
		value float64
	}{{"invariance", t.Invariance}, {"variance", t.Variance}, {"covariance", t.Covariance}, {"total", t.Total}} {
		if x.value-x.value != 0 {
			return fmt.Errorf("%s: %s is not finite: the embeddings or the weights are too large for float32", from, x.name)
		}
	}
	if err := p.finiteGradients(dz); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	var branches [2]branchFigures
	for i := range branches {
		var err error
		if branches[i], err = p.figures(i); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	}
	if path != "" {
		shape := []int{p.n, p.d}
		err := safetensors.WriteFile(path, []safetensors.Tensor{{Name: "dz1", Shape: shape, Data: dz[0]}, {Name: "dz2", Shape: shape, Data: dz[1]}}, nil)
		if err != nil {
			return err
		}
	}
	return printJSON(struct {
		Method     string        `json:"method"`
		Convention string        `json:"convention"`
		N          int           `json:"n"`
		D          int           `json:"d"`
		Invariance float64       `json:"invariance"`
		Variance   float64       `json:"variance"`
		Covariance float64       `json:"covariance"`
		Total      float64       `json:"total"`
		Branch1    branchFigures `json:"branch1"`
		Branch2    branchFigures `json:"branch2"`
	}{"vicreg", v.Convention.String(), p.n, p.d, t.Invariance, t.Variance, t.Covariance, t.Total, branches[0], branches[1]})
}
