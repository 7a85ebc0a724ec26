package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"vicreg"
)

// evaluation is what eval was asked for.
type evaluation struct {
	folder string
	flags  *pflag.FlagSet
	in     looker
	o      vicreg.EvalOptions
	json   bool

	confusion *confusionFlag // for those that count right answers by class
}

// ask is another way to score an encoder than by neighbours and a linear probe. A flag
// asks for it.
type ask struct {
	flag string
	bind func(flags *pflag.FlagSet) // registers the flag, and those that only it takes
	run  func(evaluation) error

	counts bool // it counts right answers by class, and takes --confusion

	own []string // the flags that only it takes
}

// asks are all of them, each with flags of its own.
func asks() []ask { return []ask{askProtocol(), unlabelled(), askMultilabel()} }

// register registers the flags of an ask.
func (a *ask) register(flags *pflag.FlagSet) {
	own := pflag.NewFlagSet(a.flag, pflag.ContinueOnError)
	own.SortFlags = false
	a.bind(own)
	flags.AddFlagSet(own)
	own.VisitAll(func(f *pflag.Flag) {
		if f.Name != a.flag {
			a.own = append(a.own, f.Name)
		}
	})
}

// asked returns the one that was asked for, nil if none was. The flags of the others have
// no effect.
func asked(all []ask, flags *pflag.FlagSet) (*ask, error) {
	var given []string
	var one *ask
	for i, a := range all {
		if f := flags.Lookup(a.flag); f.Changed && f.Value.String() != "false" {
			given, one = append(given, "--"+a.flag), &all[i]
		}
	}
	if len(given) > 1 {
		return nil, usagef("%s are different ways to score; give one", strings.Join(given, " and "))
	}
	for _, a := range all {
		if i := slices.IndexFunc(a.own, flags.Changed); i >= 0 && (one == nil || one.flag != a.flag) {
			return nil, usagef("--%s has no effect without --%s; give both or leave it out", a.own[i], a.flag)
		}
	}
	return one, nil
}
