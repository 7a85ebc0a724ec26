package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/export"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
)

// choices returns the values that a flag takes, if they are few and have names; of
// some they are not all.
func choices(flag string) []string {
	switch flag {
	case "encoder", "encoder-a", "encoder-b":
		return recipe.Archs()
	case "method", "methods":
		return append(vicreg.Methods(), recipe.Supervised)
	case "recipe":
		return vicreg.Recipes()
	case "stem":
		return []string{"small", "imagenet"}
	case "optimizer":
		return []string{"lars", "sgd", "adamw"}
	case "convention":
		return []string{"released", "formula", "pseudocode"}
	case "precision":
		return []string{"float32", "tf32", "bf16"}
	case "device":
		return []string{"cpu", "cuda"}
	case "branches":
		return []string{"shared", "separate"}
	case "branch":
		return []string{"a", "b"}
	case "format":
		return export.Formats()
	case "protocol":
		return append(vicreg.Protocols(), recipe.Released)
	case "freeze": // of a residual network
		return []string{"all", "stem", "layer1", "layer2", "layer3", "layer4"}
	case "statistics":
		return []string{"batch", "running"}
	case "layer":
		return []string{"representation", "embedding"}
	case "labels":
		return []string{"auto", "folders", "leaf", "none"}
	case "data":
		return []string{"sample", "fashion-mnist"}
	case "a", "b": // before the columns
		return pairs.Types
	case "predictor":
		return []string{"none"}
	case "color":
		return colourModes
	case "base-lr":
		return []string{automatic}
	}
	return nil
}

// meantFlag returns the flag of a set that an unknown name probably means, or "".
func meantFlag(flags *pflag.FlagSet, name string) string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean --%s?", near)
	}
	return ""
}

// meantValue returns the value that was probably meant by one in a message, or "".
func meantValue(cmd *cobra.Command, message string) (meant string) {
	look := func(value string, known []string) {
		about := strings.Contains(message, fmt.Sprintf("%q", value)) || strings.HasPrefix(message, value+": no such file")
		if meant == "" && about {
			meant = didYouMean(value, known)
		}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for value := range strings.SplitSeq(f.Value.String(), ",") {
			look(value, choices(f.Name))
		}
	})
	for _, value := range cmd.Flags().Args() {
		switch cmd.Name() {
		case "recipes":
			look(value, vicreg.Recipes())
		case "bench":
			look(value, names(cmd))
		case "help":
			look(value, names(cmd.Root()))
		}
	}
	return meant
}

// names are those of the commands below a command.
func names(cmd *cobra.Command) (all []string) {
	for _, c := range cmd.Commands() {
		all = append(all, c.Name())
	}
	return all
}

// meantFor says which value was meant by one that a flag refuses, or "". Sides of
// pairs have a column behind their type.
func meantFor(flag *pflag.Flag, value string) string {
	value, _, _ = strings.Cut(value, "=")
	return didYouMean(value, choices(flag.Name))
}

// didYouMean asks for the name that was meant, if one is near enough.
func didYouMean(value string, known []string) string {
	if near := nearest(strings.ToLower(value), known); near != "" && near != value {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

// nearest returns the name that given begins, or that differs from given by a few typing
// errors; "" if there is none.
func nearest(given string, names []string) string {
	if len(given) > 40 {
		return ""
	}
	best, slips := "", 1+min(1, len(given)/4)
	for _, name := range names {
		n := distance(given, name)
		if n > slips && len(given) >= 3 && strings.HasPrefix(name, given) {
			n = slips
		}
		if n <= slips && (best == "" || n < slips) {
			best, slips = name, n
		}
	}
	return best
}

// distance counts the letters to insert, remove, change or swap with the next to turn a
// into b.
func distance(a, b string) int {
	var older, old []int
	for i := 0; i <= len(a); i++ {
		now := make([]int, len(b)+1)
		for j := range now {
			switch {
			case i == 0:
				now[j] = j
				continue
			case j == 0:
				now[j] = i
				continue
			}
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			now[j] = min(old[j]+1, now[j-1]+1, old[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], older[j-2]+1)
			}
		}
		older, old = old, now
	}
	return old[len(b)]
}
