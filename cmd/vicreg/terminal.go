package main

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// Colours are used sparingly: for what went wrong, and for what is better or worse
// than it was.
const (
	red    = '\ufdd0'
	green  = '\ufdd1'
	yellow = '\ufdd2'
	plain  = '\ufdd3'
)

// codes are what a printer writes for the marks of colours. The marks are
// characters that no text holds and that package show escapes.
var codes = map[rune]string{red: "\033[1;31m", green: "\033[32m", yellow: "\033[1;33m", plain: "\033[0m"}

// colourMode is the value of --color.
type colourMode string

// colours is what --color says for all that is printed.
var colours colourMode = "auto"

var colourModes = []string{"auto", "always", "never"}

func (m *colourMode) String() string { return string(*m) }
func (*colourMode) Type() string     { return "string" }

func (m *colourMode) Set(s string) error {
	for _, known := range colourModes {
		if s == known {
			*m = colourMode(s)
			return nil
		}
	}
	return notNumber("auto, always or never")
}

// wanted reports whether colours are to be written, to a terminal or elsewhere.
func (m colourMode) wanted(terminal bool) bool {
	if m != "auto" {
		return m == "always"
	}
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return terminal && os.Getenv("CLICOLOR") != "0" && os.Getenv("TERM") != "dumb"
}

// environment says to a process that writes to the same terminal what --color says.
func (m colourMode) environment() []string {
	switch m {
	case "always":
		return []string{"NO_COLOR=", "CLICOLOR_FORCE=1"}
	case "never":
		return []string{"NO_COLOR=1"}
	}
	return nil
}

// isTerminal reports whether a file is one.
func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// widthOf returns how many columns a terminal has.
func widthOf(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// complain writes a line to standard error: what went wrong, after a prefix in
// colour.
func complain(colour rune, prefix, message string) {
	stdout.aside(func() {
		p := newPrinter(os.Stderr)
		fmt.Fprintf(p, "%s %s\n", p.paint(colour, prefix), message)
		p.finish()
	})
}
