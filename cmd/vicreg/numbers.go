package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg/internal/settings"
)

// strictly makes all number flags of a command, and of those below it, take numbers as
// files of settings do: decimal unless they say otherwise, finite, and refused in plain
// words.
func strictly(cmd *cobra.Command) {
	for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
		strictFlags(flags)
	}
	for _, below := range cmd.Commands() {
		strictly(below)
	}
}

func strictFlags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		switch f.Value.Type() {
		case "int", "uint64", "float64", "intSlice", "float64Slice":
			number := strictNumber{f.Value, f.Name}
			switch inner := f.Value.(type) {
			case strictNumber, strictNumbers:
			case pflag.SliceValue:
				f.Value = strictNumbers{number, inner}
				f.DefValue = strings.TrimPrefix(f.DefValue, "[]") // no default, for the help
			default:
				f.Value = number
			}
		}
	})
}

// strictNumber is the number of a flag.
type strictNumber struct {
	pflag.Value
	name string
}

// strictNumbers are the numbers of a flag.
type strictNumbers struct {
	strictNumber
	pflag.SliceValue
}

// mostTasks is how many threads or workers a command may be asked for.
const mostTasks = 4096

// notNumber is what is wrong with a value: what it is not.
type notNumber string

func (n notNumber) Error() string { return string(n) }

// Set gives the inner value digits that it reads alike.
func (v strictNumber) Set(s string) error {
	plain, err := v.plain(strings.TrimSpace(s))
	if err != nil {
		return notNumber(err.Error())
	}
	if n, err := strconv.Atoi(plain); err == nil && n > mostTasks && (v.name == "threads" || v.name == "workers") {
		return notNumber(fmt.Sprintf("a number of at most %d", mostTasks))
	}
	return v.Value.Set(plain)
}

func (v strictNumber) plain(s string) (string, error) {
	switch v.Type() {
	case "int":
		n, err := settings.ParseInt(s)
		return strconv.Itoa(n), err
	case "uint64":
		n, err := settings.ParseUint(s)
		return strconv.FormatUint(n, 10), err
	case "float64":
		x, err := settings.ParseFloat(s)
		return strconv.FormatFloat(x, 'g', -1, 64), err
	case "float64Slice":
		return joined(s, "a list of numbers joined by commas, such as 0.5,0.25", func(part string) (string, error) {
			x, err := settings.ParseFloat(part)
			return strconv.FormatFloat(x, 'g', -1, 64), err
		})
	}
	return joined(s, "a list of whole numbers joined by commas, such as 10,20", func(part string) (string, error) {
		n, err := settings.ParseInt(part)
		return strconv.Itoa(n), err
	})
}

// joined gives each part of a list its plain form; what says what the list should be.
func joined(s, what string, plain func(string) (string, error)) (string, error) {
	var all []string
	for part := range strings.SplitSeq(s, ",") {
		p, err := plain(strings.TrimSpace(part))
		if err != nil {
			return "", notNumber(what)
		}
		all = append(all, p)
	}
	return strings.Join(all, ","), nil
}
