// Command vicreg pretrains image encoders with VICReg and looks at what they learned.
// Each subcommand has a file of its own. All of them are thin: flags become arguments of
// the library, results become text or JSON.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/cpu"
	"vicreg/internal/durable"
	"vicreg/internal/host"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/show"
	"vicreg/internal/train"
	"vicreg/internal/turbo"
)

// Exit codes, as the help of the root command states them.
const (
	exitFailure = 1   // the work could not be done
	exitUsage   = 2   // the command was called wrongly; nothing was done
	exitStopped = 130 // stopped by a signal, with everything saved
)

func main() { os.Exit(run(os.Args[1:])) }

// run executes one command line and returns the exit code.
func run(args []string) int {
	log.SetOutput(io.Discard) // the FLAC library writes there what it was not tested with
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout) // of help
	called, err := root.ExecuteC()
	durable.Abandon() // what a failure left half written
	if unwritten := stdout.finish(); err == nil {
		err = unwritten
	}
	if err == nil {
		depart(nil, 0, func(string) {})
		return 0
	}
	if errors.Is(err, context.Canceled) && !errors.Is(err, train.ErrInterrupted) {
		err = errStopped
	}
	var usage usageError
	if called.Name() == "pretrain" {
		_ = launched() // what is wrong with it is another error
	}
	message := err.Error()
	message += meantValue(called, message)
	if leaving.Load() {
		select {} // until the process ends, which says why
	}
	code := exitFailure
	switch {
	case errors.As(err, &usage):
		code = exitUsage
	case errors.Is(err, train.ErrInterrupted), errors.Is(err, errStopped):
		code = exitStopped
	}
	depart(err, code, func(whose string) { complain(red, "vicreg:", show.Text(whose+message)) })
	return code
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errStopped is the end of a command that had nothing to save.
var errStopped = errors.New("stopped by a signal; nothing was written")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "vicreg",
		Short: "Learn image representations without labels",
		Long: `vicreg learns image representations without labels (VICReg, arXiv:2105.04906)
and shows what the encoder learned.

Exit codes: 0 done; 1 the work failed; 2 the command was called wrongly;
130 stopped by a signal, with everything saved.`,
		Example: `  vicreg pretrain                            # the built-in sample, a few minutes
  vicreg pretrain --data ~/photos --out runs/photos
  vicreg pretrain --resume runs/photos
  vicreg eval runs/photos --data labelled/`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			message := fmt.Sprintf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				message += fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
			}
			return usagef("%s (see vicreg --help)", message)
		},
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       host.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := askedForAll(cmd); err != nil {
				return err
			}
			if cmd.HasParent() && cmd.Parent().Name() == "completion" {
				stdout.verbatim()
			}
			if err := cmp.Or(cpu.EnvError(), host.EnvError(), turbo.EnvError(), winograd.EnvError()); err != nil {
				return usageError{err}
			}
			host.MemoryLimit().Respect()
			return nil
		},
		SuggestionsMinimumDistance: 2,
	}
	colours = "auto"
	root.PersistentFlags().Var(&colours, "color", "`when` to colour: auto (on a terminal without NO_COLOR or TERM=dumb), always or never")
	root.SetVersionTemplate(versionLine())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		message := flagMessage(err)
		if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
			message += meantFlag(cmd.Flags(), unknown.GetSpecifiedName())
		}
		if refused := (*pflag.InvalidValueError)(nil); errors.As(err, &refused) {
			message += meantFor(refused.GetFlag(), refused.GetValue())
		}
		return usagef("%s (see %s --help)", message, cmd.CommandPath())
	})
	root.SetHelpCommand(newHelp())
	root.AddCommand(newPretrain(), newFinetune(), newCompare(), newEval(), newEmbed(), newIndex(), newSearch(),
		newMap(), newViews(), newServe(), newWatch(), newImport(), newExport(), newLoss(), newPack(), newInfo(),
		newPlot(), newReport(), newRecipes(), newBench(), newMan(), newVersion())
	strictly(root)
	withHelp(root)
	completing(root)
	return root
}

// newHelp is cobra's help command, for which a name that is none is a mistake.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q (see vicreg --help)", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// flagMessage turns pflag's errors into plain sentences.
func flagMessage(err error) string {
	var (
		unknown *pflag.NotExistError
		missing *pflag.ValueRequiredError
		invalid *pflag.InvalidValueError

		malformed *pflag.InvalidSyntaxError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		return fmt.Sprintf("there is no flag --%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return fmt.Sprintf("there is no flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &malformed):
		return fmt.Sprintf("%s is no flag", show.Name(malformed.GetSpecifiedFlag()))
	case errors.As(err, &missing) && missing.GetSpecifiedShortnames() == "":
		return fmt.Sprintf("--%s needs a value", missing.GetSpecifiedName())
	case errors.As(err, &invalid):
		value := invalid.GetValue()
		if r := []rune(value); len(r) > 60 {
			value = string(r[:60]) + "…"
		}
		var number notNumber
		switch {
		case errors.As(err, &number):
			return fmt.Sprintf("--%s %q is not %s", invalid.GetFlag().Name, value, number)
		case invalid.GetFlag().Value.Type() == "bool":
			return fmt.Sprintf("--%s %q is not true or false", invalid.GetFlag().Name, value)
		}
		return fmt.Sprintf("--%s %q: %s", invalid.GetFlag().Name, value, invalid.Unwrap())
	}
	return err.Error()
}

// noArgs refuses arguments that are no flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument besides flags, got %q (see %[1]s --help)", cmd.CommandPath(), args[0])
	}
	return nil
}

// oneArg demands exactly one argument, which usage calls name.
func oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s needs exactly one %s, got %d arguments (see %[1]s --help)", cmd.CommandPath(), name, len(args))
		}
		return nil
	}
}

// must is for mistakes in this command's own code.
func must(err error) {
	if err != nil {
		panic("vicreg: " + err.Error())
	}
}

// printJSON writes v to standard output, indented for people.
func printJSON(v any) error {
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	stdout.verbatim()
	_, err = fmt.Fprintf(stdout, "%s\n", show.JSON(out))
	return err
}
