package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/recipe"
)

// groups are the headings under which the help of pretrain and compare lists flags.
var groups = []struct{ title, flags string }{
	{"Data", "data labels limit holdout pairs a b label split"},
	{"Where to begin", "recipe config resume init"},
	{"Network", "encoder width stem size channels expander branches encoder-a encoder-b width-b expander-b"},
	{"Method", "methods variant method expander-norm predictor stop-gradient momentum-encoder tau temperature queue queue-start prototypes " +
		"whitening-size redundancy add-variance add-covariance convention lambda mu nu gamma eps mu-b nu-b"},
	{"Training", ""}, // and whatever is in no other
	{"Views", "crop-min flip jitter grey blur solarize"},
	{"Machine", "device threads workers precision max-pixels max-bad"},
	{"Output", "out force plan json quiet watch tensorboard checkpoint-every color help help-all"},
}

// seldom are flags that only --help-all lists.
var seldom = strings.Fields("micro-batch sync-norm expander-norm predictor stop-gradient momentum-encoder tau temperature queue queue-start prototypes whitening-size redundancy " +
	"add-variance add-covariance convention lambda mu nu gamma eps mu-b nu-b encoder-a encoder-b width-b expander-b branches channels " +
	"weight-decay momentum trust clip split warmup eval-every precision checkpoint-every crop-min flip turn jitter grey blur solarize max-pixels max-bad bands values")

const defaultsAre = "Defaults are those of the recipes quick and photos; photos is for images of your own, which it chooses by. " +
	"Other recipes and methods have others, which vicreg recipes NAME prints."

// entry is a flag or a command in the help, and what it is for.
type entry struct{ name, about string }

// section is a list in the help.
type section struct {
	title   string
	entries []entry
}

// withHelp gives a command and those below it their help, and those with many flags
// a --help-all.
func withHelp(cmd *cobra.Command) {
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		all, _ := cmd.Flags().GetBool("help-all")
		writeHelp(cmd, all)
	})
	for _, c := range cmd.Commands() {
		if grouped(c) {
			c.Flags().Bool("help-all", false, "help with the flags that are seldom needed as well")
		}
	}
}

// askedForAll ends a command that was given --help-all with its help.
func askedForAll(cmd *cobra.Command) error {
	if all, err := cmd.Flags().GetBool("help-all"); err == nil && all {
		return pflag.ErrHelp
	}
	return nil
}

// grouped reports whether a command's flags are listed in groups.
func grouped(cmd *cobra.Command) bool { return cmd.Flags().Lookup("base-lr") != nil }

// writeHelp writes the help of a command, as wide as the terminal but no wider than
// reads well.
func writeHelp(cmd *cobra.Command, all bool) {
	width := 80
	if stdout.width != nil {
		width = min(width, stdout.width())
	}
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	for _, line := range flow(about) {
		writeWrapped(stdout, line, width)
	}
	fmt.Fprintf(stdout, "\nUsage:\n  %s\n", usageLine(cmd))
	if cmd.Example != "" {
		fmt.Fprintf(stdout, "\nExamples:\n%s\n", cmd.Example)
	}
	sections, hidden := sectionsOf(cmd, all)
	first := 0
	for _, s := range sections {
		for _, e := range s.entries {
			first = max(first, columns(e.name))
		}
	}
	for _, s := range sections {
		fmt.Fprintf(stdout, "\n%s:\n", s.title)
		for _, e := range s.entries {
			writeEntry(stdout, e, min(first, 24), width)
		}
	}
	if grouped(cmd) {
		fmt.Fprintln(stdout)
		writeWrapped(stdout, defaultsAre, width)
	}
	if hidden > 0 {
		fmt.Fprintln(stdout)
		writeWrapped(stdout, fmt.Sprintf("%s --help-all lists %d flags more.", cmd.CommandPath(), hidden), width)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(stdout)
		writeWrapped(stdout, fmt.Sprintf("%s COMMAND --help tells of a command.", cmd.CommandPath()), width)
	}
}

// usageLine is how a command is called.
func usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

// writeWrapped writes a paragraph, or an indented line.
func writeWrapped(out io.Writer, line string, width int) {
	for _, piece := range wrap(line, width) {
		if !strings.HasPrefix(line, " ") {
			piece = strings.TrimLeft(piece, " ")
		}
		fmt.Fprintln(out, piece)
	}
}

// writeEntry writes an entry in two columns, or below each other where the terminal
// is narrow or the name long.
func writeEntry(out io.Writer, e entry, first, width int) {
	const lead = "  "
	column := len(lead) + first + 2
	name := lead + e.name
	if width < 70 {
		column = 6
	}
	if columns(name)+2 > column {
		fmt.Fprintln(out, name)
		name = ""
	}
	for _, piece := range wrap(e.about, width-column-2) {
		fmt.Fprintln(out, name+strings.Repeat(" ", column-columns(name))+strings.TrimLeft(piece, " "))
		name = ""
	}
}

// flow joins the lines of each paragraph, but for those that are indented.
func flow(text string) (lines []string) {
	joining := false
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		joins := line != "" && line[0] != ' '
		if joins && joining {
			lines[len(lines)-1] += " " + line
		} else {
			lines = append(lines, line)
		}
		joining = joins
	}
	return lines
}

// sectionsOf lists the commands and flags of a command, and how many flags are left
// out unless all are asked for.
func sectionsOf(cmd *cobra.Command, all bool) (sections []section, hidden int) {
	var commands []entry
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			commands = append(commands, entry{c.Name(), c.Short})
		}
	}
	if commands != nil {
		sections = append(sections, section{"Commands", commands})
	}
	title := func(*pflag.Flag) string { return "Flags" }
	titles := []string{"Flags"}
	if grouped(cmd) {
		titles = nil
		for _, g := range groups {
			titles = append(titles, g.title)
		}
		title = groupOf
	}
	by := map[string][]entry{}
	seen := map[string]bool{}
	add := func(f *pflag.Flag) {
		switch {
		case f.Hidden || seen[f.Name]:
		case grouped(cmd) && !all && slices.Contains(seldom, f.Name):
			hidden++
		default:
			by[title(f)] = append(by[title(f)], flagEntry(f))
		}
		seen[f.Name] = true
	}
	cmd.LocalFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	for _, t := range titles {
		if by[t] != nil {
			sections = append(sections, section{t, by[t]})
		}
	}
	return sections, hidden
}

// groupOf is the heading of a flag of pretrain.
func groupOf(f *pflag.Flag) string {
	for _, g := range groups {
		if slices.Contains(strings.Fields(g.flags), f.Name) {
			return g.title
		}
	}
	return "Training"
}

// flagEntry describes a flag, with its default if it has one.
func flagEntry(f *pflag.Flag) entry {
	kind, about := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if kind != "" {
		name += " " + kind
	}
	if both := f.Annotations[byRecipe]; both != nil {
		return entry{name, fmt.Sprintf("%s (%s)", about, both[0])}
	}
	switch f.DefValue {
	case "", "0", "false", "[]":
	default:
		if !strings.Contains(about, "(default") {
			about += fmt.Sprintf(" (default %s)", f.DefValue)
		}
	}
	return entry{name, about}
}

// byRecipe is the annotation of a flag whose default depends on the recipe.
const byRecipe = "by recipe"

// chosenFrom says of the flags whose values the recipe photos leaves open where they
// come from.
var chosenFrom = map[string]string{"size": "chosen from the images", "stem": "chosen from the size", "batch": "chosen", "epochs": "by --time",
	"warmup": "chosen from the epochs", "eval-every": "chosen from the epochs"}

// showDefaults has the help tell what the flags are in the recipes that are taken
// where none is named.
func (f *configFlags) showDefaults() {
	usual, err := recipe.Load(recipe.Default)
	must(err)
	photos, err := recipe.Load(recipe.Photos)
	must(err)
	for name, get := range f.get {
		if name == "pairs" || name == "data" { // which are one, and none for photos
			continue
		}
		flag := f.flags.Lookup(name)
		flag.DefValue = defaultText(get(&usual))
		own := defaultText(get(&photos))
		if from := chosenFrom[name]; from != "" {
			own = from
		}
		if own != flag.DefValue {
			must(f.flags.SetAnnotation(name, byRecipe, []string{fmt.Sprintf("quick: %s; photos: %s", flag.DefValue, own)}))
		}
	}
	f.flags.Lookup("data").DefValue = usual.Data.Source
}

// defaultText is a value as a flag takes it.
func defaultText(value string) string {
	if list, is := strings.CutPrefix(value, "["); is {
		return strings.ReplaceAll(strings.TrimSuffix(list, "]"), " ", ",")
	}
	return value
}
