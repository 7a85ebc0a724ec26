package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// stdout is where every command writes its results. Characters that would control a
// terminal are escaped on the way. The first error of writing is kept, and run makes it
// the command's.
var stdout = newPrinter(os.Stdout)

// standard are the files that a command was started with.
var standard = []*os.File{os.Stdin, os.Stdout, os.Stderr}

// printer writes text that people or programs read. It alone writes the codes that
// control a terminal: colours, and those that keep a line up to date.
type printer struct {
	out    io.Writer
	width  func() int  // columns of the terminal that out is; nil: it is none
	colour func() bool // whether colours are wanted; nil: no

	mu     sync.Mutex
	begun  []byte                 // of a character whose rest is still to come
	line   string                 // of a line whose rest is still to come, where lines are wrapped or coloured
	whole  bool                   // lines stay as they are, for what people copy
	live   func(width int) string // the line kept up to date below all others; nil: none
	drawn  int                    // columns of it that are on the screen
	err    error                  // the first
	failed func(error)            // called once, at the first error; may be nil
}

// newPrinter returns the printer of a file.
func newPrinter(f *os.File) *printer {
	p := &printer{out: f}
	terminal := isTerminal(f)
	if terminal {
		p.width = func() int { return widthOf(f) }
	}
	p.colour = func() bool { return colours.wanted(terminal) }
	return p
}

// Write writes text, escaped as show.Text does. On a terminal a line is written
// when it has ended, in as many as its width asks for.
func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(p.begun, text...)
	whole := len(all) - unfinished(all)
	p.begun = append([]byte(nil), all[whole:]...)
	if err := p.text(string(all[:whole])); err != nil {
		return 0, err
	}
	return len(text), nil
}

// text writes whole characters. The caller has locked.
func (p *printer) text(s string) error {
	coloured := p.coloured()
	if p.width == nil && !coloured {
		return p.write(show.Text(s))
	}
	end := strings.LastIndexByte(s, '\n')
	if end < 0 {
		p.line += s
		return p.err
	}
	lines := p.line + s[:end]
	p.line = s[end+1:]
	var b strings.Builder
	for line := range strings.SplitSeq(lines, "\n") {
		b.WriteString(p.finished(line, coloured))
		b.WriteByte('\n')
	}
	return p.write(p.gone() + b.String() + p.drawing())
}

// finished is a line as the terminal gets it.
func (p *printer) finished(line string, coloured bool) string {
	line = escaped(line, coloured)
	if p.width != nil && !p.whole {
		line = strings.Join(wrap(line, p.width()), "\n")
	}
	if !coloured {
		return line
	}
	var b strings.Builder
	on := false
	for _, r := range line {
		if code, is := codes[r]; is {
			on = r != plain
			b.WriteString(code)
			continue
		}
		b.WriteRune(r)
	}
	if on {
		b.WriteString(codes[plain])
	}
	return b.String()
}

// escaped is show.Text, except that it keeps the marks of colours where they are wanted.
func escaped(s string, coloured bool) string {
	if !coloured {
		return show.Text(s)
	}
	var b strings.Builder
	for s != "" {
		at := strings.IndexFunc(s, func(r rune) bool { _, is := codes[r]; return is })
		if at < 0 {
			at = len(s)
		}
		b.WriteString(show.Text(s[:at]))
		_, n := utf8.DecodeRuneInString(s[at:])
		b.WriteString(s[at : at+n])
		s = s[at+n:]
	}
	return b.String()
}

// coloured reports whether colours are written.
func (p *printer) coloured() bool { return p.colour != nil && p.colour() }

// paint returns a text for this printer in a colour, if it writes colours.
func (p *printer) paint(colour rune, text string) string {
	if !p.coloured() || text == "" {
		return text
	}
	return string(colour) + text + string(plain)
}

// verbatim switches wrapping off from here on, for text that people copy into files.
func (p *printer) verbatim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whole = true
}

// unfinished returns how many bytes at the end of text begin a character that
// is not complete.
func unfinished(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if end := text[len(text)-n:]; utf8.RuneStart(end[0]) {
			if utf8.FullRune(end) {
				return 0
			}
			return n
		}
	}
	return 0
}

// canKeep reports whether a line can be kept up to date: out is a terminal that
// knows how.
func (p *printer) canKeep() bool { return p.width != nil && os.Getenv("TERM") != "dumb" }

// keep shows a line below all others until the next call, or ends it if line is
// nil. line is called with the columns there are, and again when they change.
func (p *printer) keep(line func(width int) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = line
	if line == nil {
		p.write(p.gone())
		return
	}
	p.write(p.drawing())
}

// redraw brings the line that is kept to the width that the terminal has now.
func (p *printer) redraw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.gone() + p.drawing())
}

// aside takes the line that is kept away while something else writes to the terminal.
func (p *printer) aside(write func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.gone())
	write()
	p.write(p.drawing())
}

// drawing is the line that is kept, written over what is there of it.
func (p *printer) drawing() string {
	if p.live == nil {
		return ""
	}
	width := p.width()
	line := shorten(show.Line(p.live(width)), width-1) // in the last column the cursor would not stay
	up := p.up()
	p.drawn = columns(line)
	if up != "" {
		return up + "\033[J" + line
	}
	return "\r" + line + "\033[K"
}

// gone are the codes that remove the line that is kept from the screen.
func (p *printer) gone() string {
	if p.drawn == 0 {
		return ""
	}
	up := p.up()
	p.drawn = 0
	if up != "" {
		return up + "\033[J"
	}
	return "\r\033[K"
}

// up are the codes that go to the beginning of the line that is kept where it is
// on several rows, as after its terminal became narrower; "" if it is on one.
func (p *printer) up() string {
	if rows := (p.drawn - 1) / p.width(); rows > 0 {
		return fmt.Sprintf("\r\033[%dA", rows)
	}
	return ""
}

// write writes text as it is, until the first error. The caller has locked.
func (p *printer) write(s string) error {
	if p.err == nil && s != "" {
		if _, err := io.WriteString(p.out, s); err != nil {
			p.fail(err)
		}
	}
	return p.err
}

func (p *printer) fail(err error) {
	if p.err != nil {
		return
	}
	p.err = unwritten{durable.Reason(err)}
	if p.failed != nil {
		p.failed(p.err)
	}
}

// finish writes what is left and returns the first error of all.
func (p *printer) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = nil
	p.write(p.gone())
	if p.line != "" {
		p.write(p.finished(p.line, p.coloured()))
		p.line = ""
	}
	p.write(show.Text(string(p.begun)))
	p.begun = nil
	return p.err
}

// onError makes printer call f at the first error, or at once if there was one already.
// finish returns that error.
func (p *printer) onError(f func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = f
	if p.err != nil {
		f(p.err)
	}
}

// unwritten is an error of standard output.
type unwritten struct{ error }

func (e unwritten) Error() string {
	return fmt.Sprintf("standard output cannot be written: %s", e.error)
}
func (e unwritten) Unwrap() error { return e.error }
