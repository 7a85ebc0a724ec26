package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/recipe"
)

// choices returns the values that a flag takes, if they are few and have names.
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
		return []string{"float32", "bf16"}
	case "branches":
		return []string{"shared", "separate"}
	case "branch":
		return []string{"a", "b"}
	case "layer":
		return []string{"representation", "embedding"}
	case "labels":
		return []string{"auto", "folders", "none"}
	case "color":
		return colourModes
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
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for value := range strings.SplitSeq(f.Value.String(), ",") {
			if meant == "" && strings.Contains(message, fmt.Sprintf("%q", value)) {
				if near := nearest(value, choices(f.Name)); near != "" && near != value {
					meant = fmt.Sprintf("; did you mean %s?", near)
				}
			}
		}
	})
	return meant
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
