package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg"
)

// endings are those of the files that a flag names; none: any.
var endings = map[string][]string{
	"config": {"yaml", "yml"}, "pairs": {"csv", "tsv", "jsonl", "json"}, "confusion": {"csv"}, "grad": {"safetensors"},
}

// completing has the shell complete the values of flags and the arguments of
// commands.
func completing(cmd *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{cmd.LocalNonPersistentFlags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			known := choices(f.Name)
			if f.Name == "method" && cmd.Name() == "loss" {
				known = lossMethods()
			}
			switch {
			case f.Name == "methods" || f.Name == "freeze":
				must(cmd.RegisterFlagCompletionFunc(f.Name, oneOfList(known)))
			case f.Name == "labels" || f.Name == "data": // or a file
				must(cmd.RegisterFlagCompletionFunc(f.Name,
					cobra.FixedCompletions(known, cobra.ShellCompDirectiveDefault)))
			case f.Name == "predictor": // or widths
				must(cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions))
			case f.Name == "a" || f.Name == "b": // with columns
				var begun []string
				for _, side := range known {
					begun = append(begun, side+"=")
				}
				must(cmd.RegisterFlagCompletionFunc(f.Name,
					cobra.FixedCompletions(begun, cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveNoSpace)))
			case known != nil:
				must(cmd.RegisterFlagCompletionFunc(f.Name,
					cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp)))
			case endings[f.Name] != nil:
				must(cmd.MarkFlagFilename(f.Name, endings[f.Name]...))
			case f.Name == "resume" || f.Name == "init":
				must(cmd.MarkFlagDirname(f.Name))
			case strings.HasPrefix(f.Value.Type(), "int") || f.Value.Type() == "uint64" || f.Value.Type() == "float64":
				must(cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions))
			}
		})
	}
	switch cmd.Name() {
	case "pretrain", "pack", "version":
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	case "recipes":
		cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return vicreg.Recipes(), cobra.ShellCompDirectiveNoFileComp
		}
	case "info", "plot", "report", "compare", "man":
		cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	case "loss":
		if cmd.HasParent() && cmd.Parent().Name() != "bench" {
			cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return []string{"safetensors", "npy"}, cobra.ShellCompDirectiveFilterFileExt
			}
		}
	}
	for _, c := range cmd.Commands() {
		completing(c)
	}
}

// oneOfList completes the last of some names joined by commas.
func oneOfList(known []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		before := begun[:strings.LastIndexByte(begun, ',')+1]
		var all []string
		for _, name := range known {
			if !slices.Contains(strings.Split(before, ","), name) {
				all = append(all, before+name)
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}
