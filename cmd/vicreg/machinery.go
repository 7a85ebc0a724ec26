package main

import (
	"cmp"
	"strings"

	"vicreg"
	"vicreg/internal/recipe"
)

// method binds the flags of the method and of its machinery.
func (f *configFlags) method() {
	s, i, x, b := f.flags.String, f.flags.Int, f.flags.Float64, f.flags.Bool
	bind(f, s, "method", "`system` to train with: "+strings.Join(vicreg.Methods(), ", ")+"; or supervised, a baseline that learns from labels; its own heads, views and optimizer are laid over the recipe", func(c *recipe.Config) *string { return &c.Method })
	bind(f, b, "expander-norm", "batch normalisation in the expander", func(c *recipe.Config) *bool { return &c.Heads.Norm })
	bind(f, s, "predictor", "`widths` of the predictor's hidden layers, such as 512, or none", func(c *recipe.Config) *string { return &c.Heads.Predictor })
	bind(f, b, "stop-gradient", "take what is predicted as a constant", func(c *recipe.Config) *bool { return &c.Heads.StopGradient })
	bind(f, b, "momentum-encoder", "let a moving average of the encoder make the targets", func(c *recipe.Config) *bool { return &c.Momentum.Use })
	bind(f, x, "tau", "`share` of itself that the momentum encoder keeps at each step, at first", func(c *recipe.Config) *float64 { return &c.Momentum.Base })
	bind(f, x, "temperature", "`factor` that the loss divides cosines by", func(c *recipe.Config) *float64 { return &c.Temperature })
	bind(f, i, "queue", "`embeddings` of earlier steps to keep, of each view; 0: none", func(c *recipe.Config) *int { return &c.Queue.Size })
	bind(f, i, "queue-start", "`epochs` before the queue counts (swav)", func(c *recipe.Config) *int { return &c.Queue.Start })
	bind(f, f.flags.IntSlice, "prototypes", "`numbers` of prototypes, of each clustering", func(c *recipe.Config) *[]int { return &c.Prototypes.Counts })
	bind(f, i, "whitening-size", "`rows` that are whitened together; 0: the whole batch", func(c *recipe.Config) *int { return &c.Whitening.Size })
	bind(f, x, "redundancy", "`weight` of the off-diagonal of Barlow Twins", func(c *recipe.Config) *float64 { return &c.Redundancy.Lambda })
	bind(f, x, "add-variance", "`weight` of VICReg's variance term, on the expander's output of any other method", func(c *recipe.Config) *float64 { return &c.Regularize.Variance })
	bind(f, x, "add-covariance", "`weight` of VICReg's covariance term, likewise", func(c *recipe.Config) *float64 { return &c.Regularize.Covariance })
}

// parts names the part that a method must have for a flag to have an effect.
var parts = map[string]string{
	"predictor": "predictor", "stop-gradient": "stop-gradient", "momentum-encoder": "momentum-encoder", "tau": "momentum-encoder",
	"temperature": "temperature", "queue": "queue", "queue-start": "queue-start", "prototypes": "prototypes",
	"whitening-size": "whitening", "redundancy": "redundancy",
	"lambda": "coefficients", "mu": "coefficients", "nu": "coefficients",
	"mu-b": "coefficients", "nu-b": "coefficients",
}

// noPart returns an error if a flag was given of a part that the method has not.
func noPart(given []string, method string) error {
	m, err := recipe.MachineryOf(method)
	if err != nil {
		return usageError{err}
	}
	for _, name := range given {
		part := parts[name]
		if part == "" || m.Has(part) {
			continue
		}
		hint := ""
		switch name {
		case "mu":
			hint = "; --add-variance adds the term to it"
		case "nu":
			hint = "; --add-covariance adds the term to it"
		}
		return usagef("--%s has no effect on method %s%s", name, method, hint)
	}
	return nil
}

// chosen returns the recipe and the method to start from: those that the flags name, or
// else the file at path names; "" where neither does.
func (f *configFlags) chosen(named, path string) (name, method string, err error) {
	c := recipe.Config{}
	f.apply(&c)
	if path != "" {
		if name, method, err = recipe.Start(path); err != nil {
			return "", "", err
		}
	}
	return cmp.Or(named, name), cmp.Or(c.Method, method), nil
}
