package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vicreg/internal/durable"
)

// manMark begins every page that this command writes.
const manMark = `.\" of vicreg man`

// manPage is the kind of the pages.
var manPage = kind{"a manual page that vicreg wrote", func(path string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	line, _ := bufio.NewReader(f).ReadString('\n')
	return line == manMark+"\n"
}}

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write manual pages, one for each command",
		Long: `Writes a manual page for vicreg and one for each of its commands into a folder,
which is made if it is not there.`,
		Example: `  vicreg man ~/.local/share/man/man1 && man vicreg-pretrain`,
		Args:    oneArg("folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := args[0]
			if dir == "" {
				return usagef("the folder's name is empty")
			}
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return fmt.Errorf("%s cannot be made: %w", dir, durable.Reason(err))
			}
			pages := map[string]string{}
			manPages(cmd.Root(), pages)
			for name := range pages { // nothing is written where one may not be
				if _, err := new(guard).output("the page", filepath.Join(dir, name), manPage); err != nil {
					return err
				}
			}
			for name, text := range pages {
				path, err := new(guard).output("the page", filepath.Join(dir, name), manPage)
				if err != nil {
					return err
				}
				if err := durable.WriteFile(path, []byte(text)); err != nil {
					return fmt.Errorf("cannot write %s: %w", path, durable.Reason(err))
				}
			}
			_, err := fmt.Fprintf(stdout, "%d pages in %s\n", len(pages), dir)
			return err
		},
	}
}

// manPages adds the page of a command and those of the commands below it, by the
// names of their files.
func manPages(cmd *cobra.Command, pages map[string]string) {
	if cmd.Hidden || cmd.Name() == "completion" {
		return
	}
	pages[manName(cmd)+".1"] = manText(cmd)
	for _, c := range cmd.Commands() {
		manPages(c, pages)
	}
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manText is the page of a command, in the language of man.
func manText(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", manMark)
	line(".TH %s 1", strings.ToUpper(manName(cmd)))
	line(".SH NAME\n%s \\- %s", manName(cmd), roff(cmd.Short))
	line(".SH SYNOPSIS\n.B %s", roff(usageLine(cmd)))
	if cmd.Long != "" {
		line(".SH DESCRIPTION")
		for _, l := range flow(cmd.Long) {
			switch {
			case l == "":
				line(".PP")
			case l[0] == ' ':
				line(".nf\n%s\n.fi", roff(l))
			default:
				line("%s", roff(l))
			}
		}
	}
	sections, _ := sectionsOf(cmd, true)
	for _, s := range sections {
		line(".SH %s", strings.ToUpper(s.title))
		for _, e := range s.entries {
			name, value, _ := strings.Cut(e.name, " ")
			line(".TP\n\\fB%s\\fR \\fI%s\\fR\n%s", roff(name), roff(value), roff(e.about))
		}
	}
	if cmd.Example != "" {
		line(".SH EXAMPLES\n.nf")
		for l := range strings.SplitSeq(cmd.Example, "\n") {
			line("%s", roff(l))
		}
		line(".fi")
	}
	if grouped(cmd) {
		line(".SH DEFAULTS\n%s", roff(defaultsAre))
	}
	var also []string
	for _, c := range append(cmd.Commands(), cmd.Parent()) {
		if c != nil && !c.Hidden && c.Name() != "completion" {
			also = append(also, fmt.Sprintf("\\fB%s\\fR(1)", roff(manName(c))))
		}
	}
	line(".SH SEE ALSO\n%s", strings.Join(also, ", "))
	return b.String()
}

// roff is a text in which man sees no commands of its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}
