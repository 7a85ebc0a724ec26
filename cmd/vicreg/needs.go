package main

import (
	"slices"
	"strings"

	"vicreg/internal/recipe"
)

// needs say of flags what they need to have an effect. without returns the words that
// follow the flag's name where a configuration lacks it, and else "".
var needs = []struct {
	flags   []string
	without func(*recipe.Config) string
}{
	{[]string{"trust"}, func(c *recipe.Config) string {
		return unless(c.Optimizer.Name == "lars", "is a constant of lars, but the optimizer is "+c.Optimizer.Name)
	}},
	{[]string{"momentum"}, func(c *recipe.Config) string {
		return unless(c.Optimizer.Name != "adamw", "is a constant of lars and sgd, but the optimizer is adamw")
	}},
	{[]string{"eval-every", "holdout"}, func(c *recipe.Config) string {
		return unless(c.Data.Labels != "none", "is about scoring, which needs labels, but --labels is none")
	}},
	{[]string{"holdout"}, func(c *recipe.Config) string {
		return unless(c.Pairs == nil || c.Pairs.Split == "",
			"is the share of pairs kept for scoring, but the column of --split says which these are")
	}},
	{[]string{"labels"}, func(c *recipe.Config) string {
		return unless(c.Pairs == nil, "tells the classes of images; those of pairs are in a column, which --label names")
	}},
	{ofViews(), func(c *recipe.Config) string {
		if p := c.Pairs; p != nil && p.A.Check() == nil && p.B.Check() == nil {
			return unless(p.Images(), "is about views of images, but the sides of these pairs are "+p.A.Type+" and "+p.B.Type)
		}
		return ""
	}},
	{[]string{"stem"}, func(c *recipe.Config) string {
		return unless(anyEncoder(c, residual), "is of residual networks, but "+encoders(c))
	}},
	{[]string{"width"}, func(c *recipe.Config) string {
		return unless(anyEncoder(c, func(e recipe.Encoder) bool { return residual(e) || e.Arch == "mlp" && e.Width > 0 }),
			"is of residual networks, and of an mlp that --encoder or --encoder-a names, but "+encoders(c))
	}},
	{[]string{"tau"}, func(c *recipe.Config) string {
		return unless(c.Momentum.Use, "is of the momentum encoder, and there is none")
	}},
	{[]string{"queue-start"}, func(c *recipe.Config) string {
		return unless(c.Queue.Size > 0, "says when the queue counts, and there is none")
	}},
	{[]string{"convention", "gamma", "eps"}, func(c *recipe.Config) string {
		m, err := recipe.MachineryOf(c.Method)
		return unless(err != nil || m.Has("coefficients") || c.Regularize.On(),
			"is of VICReg's terms, which method "+c.Method+" has not; --add-variance or --add-covariance adds them to it")
	}},
}

// idle finds a given flag that the rest of the configuration leaves without effect.
func idle(given []string, c *recipe.Config) error {
	if err := noPart(given, c.Method); err != nil {
		return err
	}
	for _, name := range given {
		for _, n := range needs {
			if !slices.Contains(n.flags, name) {
				continue
			}
			if why := n.without(c); why != "" {
				return usagef("--%s %s; leave it out", name, why)
			}
		}
	}
	return nil
}

// unless returns why where something does not hold.
func unless(holds bool, why string) string {
	if holds {
		return ""
	}
	return why
}

// ofViews names the flags that mean something for images alone, and that no check of the
// configuration knows of.
func ofViews() []string {
	names := []string{"size", "channels"}
	for _, v := range viewFlags {
		names = append(names, v.name)
	}
	return names
}

func residual(e recipe.Encoder) bool { return strings.HasPrefix(e.Arch, "resnet") }

func anyEncoder(c *recipe.Config, is func(recipe.Encoder) bool) bool {
	return is(c.EncoderOf(0)) || is(c.EncoderOf(1))
}

// encoders ends a sentence with the encoders that there are.
func encoders(c *recipe.Config) string {
	a, b := c.EncoderOf(0).Arch, c.EncoderOf(1).Arch
	if a == b {
		return "the encoder is " + a
	}
	return "the encoders are " + a + " and " + b
}
