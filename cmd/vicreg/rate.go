package main

import (
	"fmt"
	"strings"

	"vicreg/internal/recipe"
	"vicreg/internal/settings"
)

// rateFlag is a base learning rate, or that it is chosen by the batch.
type rateFlag struct {
	rate float64
	auto bool
}

// automatic is the value of a flag that has the run choose.
const automatic = "auto"

func (v *rateFlag) String() string {
	switch {
	case v.auto:
		return automatic
	case v.rate == 0:
		return ""
	}
	return fmt.Sprint(v.rate)
}

func (v *rateFlag) Type() string { return "rate" }

func (v *rateFlag) Set(s string) error {
	if s = strings.TrimSpace(s); s == automatic {
		*v = rateFlag{auto: true}
		return nil
	}
	x, err := settings.ParseFloat(s)
	if err != nil {
		return notNumber(err.Error())
	}
	*v = rateFlag{rate: x}
	return nil
}

// rate binds the flag of the learning rate.
func (f *configFlags) rate() {
	v := new(rateFlag)
	f.flags.Var(v, "base-lr", "learning `rate` for a batch of 256, with which it grows; auto: the paper's for the batch")
	f.set["base-lr"] = func(c *recipe.Config) {
		if c.Optimizer.BaseLRAuto = v.auto; !v.auto {
			c.Optimizer.BaseLR = v.rate
		}
	}
	f.get["base-lr"] = func(c *recipe.Config) string { return fmt.Sprint(c.Optimizer.BaseLR) }
}
