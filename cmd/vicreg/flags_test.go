package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// nasty are values that people and scripts give flags of a kind, and hardly any of
// them means.
func nasty(kind string) []string {
	texts := []string{"", " ", "x", "-1", "10-20", "8--8", "\x00", "a\nb", "text=a,b", strings.Repeat("9", 400), strings.Repeat("x", 5000),
		"8-99999999999999999999", "1000000000-1000000000", "9223372036854775807-9223372036854775807", "/dev/zero"}
	switch kind {
	case "bool":
		return []string{"", "x", "2", "nan", "a\nb"}
	case "int", "uint64", "float64", "intSlice", "float64Slice":
		return []string{"", "x", "3.5", "1e3", "010", "0x10", "1__0", "99999999999999999999", "-99999999999999999999", "9223372036854775807", "-1",
			"1000000000000", "NaN", "-Inf", "1e400", "50%", "0,5", "10-20", "true", "a\nb", "\u2028", "1 2", strings.Repeat("9", 400)}
	}
	return texts
}

// stopped are arguments with which a command ends before it works: what it is to
// read is not there.
func stopped(cmd *cobra.Command, flag string) []string {
	switch cmd.CommandPath() {
	case "vicreg pretrain", "vicreg compare", "vicreg views":
		return []string{"--data", "nosuch"}
	case "vicreg finetune", "vicreg map":
		return []string{"nosuch", "--data", "nosuch"}
	case "vicreg eval", "vicreg info":
		return []string{"nosuch"}
	case "vicreg embed":
		return []string{"nosuch", "--data", "nosuch", "--out", "e.npy"}
	case "vicreg export":
		return []string{"nosuch", "--out", "e.onnx"}
	case "vicreg pack":
		return []string{"--data", "nosuch", "--out", "p.pack"}
	case "vicreg loss", "vicreg plot", "vicreg watch":
		return []string{"nosuch"}
	case "vicreg bench step", "vicreg bench embed", "vicreg bench loss", "vicreg bench views", "vicreg bench peak":
		if flag == "warmup" {
			return []string{"--steps", "0"}
		}
		return []string{"--warmup", "-1"}
	}
	return nil
}

// No value of any flag is answered with anything but one plain line, soon. Numbers
// that are none are a mistake in the use of the command.
func TestNastyValuesOfEveryFlag(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("VICREG_MEMORY", "2GB")
	was := stdout
	stdout = &printer{out: new(bytes.Buffer)}
	defer func() { stdout = was }()
	commands, flags := 0, 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, below := range cmd.Commands() {
			visit(below)
		}
		if !cmd.Runnable() || cmd.HasSubCommands() || cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		commands++
		seen := map[string]bool{}
		each := func(f *pflag.Flag) {
			if seen[f.Name] || f.Name == "help" {
				return
			}
			seen[f.Name] = true
			flags++
			for _, value := range nasty(f.Value.Type()) {
				args := append(strings.Fields(cmd.CommandPath())[1:], stopped(cmd, f.Name)...)
				tryFlag(t, append(args, "--"+f.Name+"="+value), f.Value.Type(), value)
			}
		}
		cmd.Flags().VisitAll(each)
		cmd.InheritedFlags().VisitAll(each)
	}
	visit(newRoot())
	if commands < 12 || flags < 100 {
		t.Errorf("%d commands and %d flags were found", commands, flags)
	}
}

func tryFlag(t *testing.T, args []string, kind, value string) {
	t.Helper()
	began := time.Now()
	code, message := silently(t, args)
	shown := strings.Join(args, " ")
	if len(shown) > 200 {
		shown = shown[:200] + "…"
	}
	switch {
	case code != 0 && code != exitFailure && code != exitUsage:
		t.Errorf("%q ends with code %d: %s", shown, code, message)
	case code != 0 && (strings.Count(message, "\n") != 1 || !strings.HasPrefix(message, "vicreg: ")):
		t.Errorf("%q: %q is not one line", shown, message)
	case len(message) > 12_000:
		t.Errorf("%q: a message of %d bytes", shown, len(message))
	case time.Since(began) > 10*time.Second:
		t.Errorf("%q took %v", shown, time.Since(began))
	}
	for _, jargon := range []string{"strconv", "parsing", "invalid syntax", "value out of range", "goroutine", "panic", "pflag", "<nil>", "unmarshal", "%!"} {
		if strings.Contains(message, jargon) {
			t.Errorf("%q: the message holds %q: %s", shown, jargon, message)
		}
	}
	number := kind == "int" || kind == "uint64" || kind == "float64" || kind == "intSlice" || kind == "float64Slice"
	if bad := strings.Trim(value, "0123456789.+-e_x,") != "" || value == "" || value == "8--8" ||
		value == "x"; number && bad && code != exitUsage {
		t.Errorf("%q ends with code %d: %s", shown, code, message)
	}
}

// silently runs a command line and returns its exit code and what it wrote to
// standard error.
func silently(t *testing.T, args []string) (code int, message string) {
	t.Helper()
	const path = ".stderr"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	was := os.Stderr
	os.Stderr = f
	code = run(args)
	os.Stderr = was
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return code, string(raw)
}
