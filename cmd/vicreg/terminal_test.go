package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	for _, x := range []struct {
		line  string
		width int
		want  string
	}{
		{"short", 60, "short"},
		{"", 60, ""},
		{"no width is known, so nothing is cut", 0, "no width is known, so nothing is cut"},
		{"one two three four", 10, "one two\n  three\n  four"},
		{"  one two three", 10, "  one two\n    three"},
		{"a /very/long/path/that/is/copied b", 12, "a\n  /very/long/path/that/is/copied\n  b"},
		{"encoder  resnet18, 12 in, 512 out", 24, "encoder  resnet18, 12\n         in, 512 out"},
		{"epoch  2/10  loss 12.5  std 0.900  corr 0.050", 26, "epoch  2/10  loss 12.5\n  std 0.900  corr 0.050"},
		{"日本 日本 日本", 10, "日本 日本\n  日本"},
		{"12345 789 ", 10, "12345 789 "},
	} {
		got := strings.Join(wrap(x.line, x.width), "\n")
		if got != x.want {
			t.Errorf("%q in %d columns:\n%s\nwant\n%s", x.line, x.width, got, x.want)
		}
	}
}

// terminal returns a printer to a terminal, and what it wrote.
func terminal(width *int, coloured bool) (*printer, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return &printer{out: out, width: func() int { return *width }, colour: func() bool { return coloured }}, out
}

// A line has all its pieces before it is cut; names are escaped, also where they
// hold the marks of colours.
func TestPrinterOnATerminal(t *testing.T) {
	width := 20
	p, out := terminal(&width, true)
	for _, piece := range []string{"a name with \x1b[2J i", "n it\n", "\ufdd0rest"} {
		fmt.Fprint(p, piece)
	}
	fmt.Fprintf(p, " %s\n", p.paint(yellow, "warning:"))
	if err := p.finish(); err != nil {
		t.Fatal(err)
	}
	if want := "a name with \\x1b[2J\n  in it\n\x1b[1;31mrest \x1b[1;33mwarning:\x1b[0m\n"; out.String() != want {
		t.Errorf("%q, want %q", out, want)
	}

	p, out = terminal(&width, false)
	fmt.Fprintf(p, "%s a\ufdd0b\n", p.paint(red, "vicreg:"))
	p.verbatim()
	fmt.Fprintln(p, "key: a value that is longer than that")
	if want := "vicreg: a\\ufdd0b\nkey: a value that is longer than that\n"; out.String() != want {
		t.Errorf("%q, want %q", out, want)
	}
}

// The line that is kept stays below all others, and is as wide as the terminal is
// now.
func TestKeptLine(t *testing.T) {
	width := 40
	p, out := terminal(&width, false)
	says := func(want string) {
		t.Helper()
		if out.String() != want {
			t.Errorf("%q, want %q", out, want)
		}
		out.Reset()
	}
	p.keep(func(width int) string { return bar(0.5, "half", width) })
	says("\r 50% ████████████░░░░░░░░░░░░  half\x1b[K")
	fmt.Fprint(p, "a li")
	says("")
	fmt.Fprintln(p, "ne")
	says("\r\x1b[Ka line\n\r 50% ████████████░░░░░░░░░░░░  half\x1b[K")
	width = 21 // which shows it on two rows
	p.redraw()
	says("\r\x1b[1A\x1b[J\r 50% ████░░░░░  half\x1b[K")
	p.aside(func() { out.WriteString("!\n") })
	says("\r\x1b[K!\n\r 50% ████░░░░░  half\x1b[K")
	p.keep(nil)
	says("\r\x1b[K")
	p.redraw()
	says("")
	p.keep(func(int) string { return "\x1b]0;x\a" + strings.Repeat("é", 30) })
	says("\r\\x1b]0;x\\aéééééééééé\x1b[K")
}

func TestColours(t *testing.T) {
	for _, x := range []struct {
		mode     colourMode
		env      string
		terminal bool
		want     bool
	}{
		{"auto", "", true, true},
		{"auto", "", false, false},
		{"auto", "NO_COLOR=1", true, false},
		{"auto", "TERM=dumb", true, false},
		{"auto", "CLICOLOR=0", true, false},
		{"auto", "CLICOLOR_FORCE=1", false, true},
		{"auto", "CLICOLOR_FORCE=0", false, false},
		{"always", "NO_COLOR=1", false, true},
		{"never", "CLICOLOR_FORCE=1", true, false},
	} {
		t.Run(string(x.mode)+" "+x.env, func(t *testing.T) {
			for _, name := range []string{"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"} {
				t.Setenv(name, "")
			}
			t.Setenv("TERM", "xterm")
			if name, value, ok := strings.Cut(x.env, "="); ok {
				t.Setenv(name, value)
			}
			if got := x.mode.wanted(x.terminal); got != x.want {
				t.Errorf("terminal %v: %v", x.terminal, got)
			}
		})
	}
}

// A table has its rows again for the columns that do not fit; what is worse than
// untrained is red.
func TestTableOnATerminal(t *testing.T) {
	const markdown = "| run | kNN | linear probe | collapsed | beside the gradient |\n|---|---|---|---|---|\n" +
		"| untrained | 70.00 | 71.00 | | |\n| a\\|b | 69.00 ± 1.00 | 80.00 | **yes** | nothing |\n"
	width := 40
	p, out := terminal(&width, true)
	writeTable(p, markdown)
	want := "run                 kNN  linear probe\nuntrained         70.00         71.00\n" +
		"a|b        \x1b[1;31m69.00 ± 1.00\x1b[0m  \x1b[32m       80.00\x1b[0m\n\n" +
		"run        collapsed\nuntrained\na|b        \x1b[1;31m      yes\x1b[0m\n\n" +
		"run        beside the gradient\nuntrained\na|b        nothing\n"
	if out.String() != want {
		t.Errorf("%q, want\n%q", out, want)
	}
	out.Reset()
	p.width = nil
	if writeTable(p, markdown); out.String() != markdown {
		t.Errorf("%q", out)
	}
}

// What is said below a table of runs is wrapped, and whole.
func TestTableTellsAllBelowIt(t *testing.T) {
	const below = "a: kNN and linear probe are below the untrained encoder's: likely it was trained too little, 90 steps; give it more --epochs, to some thousand steps.\n"
	var b bytes.Buffer
	p := &printer{out: &b, width: func() int { return 60 }}
	writeTable(p, "| run | kNN | linear probe |\n|---|---|---|\n| untrained | 1 | 2 |\n| a | 0 | 1 |\n\n"+below+"\nb: "+below[3:])
	got := b.String()
	whole := strings.Join(strings.Fields(got), " ")
	if !strings.Contains(whole, strings.TrimSpace(below)) || !strings.Contains(whole, "b: kNN") {
		t.Errorf("it is cut:\n%s", got)
	}
	for line := range strings.Lines(got) {
		if columns(strings.TrimSuffix(line, "\n")) > 60 {
			t.Errorf("too wide: %s", line)
		}
	}
}
