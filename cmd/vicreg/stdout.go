package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// stdout is where every command writes its results. Characters that would drive
// a terminal are escaped on the way, and the first error of writing is kept: run
// makes it the command's.
var stdout = &printer{out: os.Stdout}

// standard are the files that a command was started with.
var standard = []*os.File{os.Stdin, os.Stdout, os.Stderr}

// printer writes text that people or programs read.
type printer struct {
	out io.Writer

	mu     sync.Mutex
	begun  []byte      // of a character whose rest is still to come
	err    error       // the first
	failed func(error) // called once, at the first error; may be nil
}

// Write writes text, escaped as show.Text does.
func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(p.begun, text...)
	whole := len(all) - unfinished(all)
	p.begun = append([]byte(nil), all[whole:]...)
	if err := p.write([]byte(show.Text(string(all[:whole])))); err != nil {
		return 0, err
	}
	return len(text), nil
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

// write writes bytes as they are, until the first error. The caller has locked.
func (p *printer) write(b []byte) error {
	if p.err == nil && len(b) > 0 {
		if _, err := p.out.Write(b); err != nil {
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
	p.write([]byte(show.Text(string(p.begun))))
	p.begun = nil
	return p.err
}

// onError has f called at the first error, at once if there was one. The error of
// finish says the rest.
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

// plainOutput writes to a printer what is not to be escaped: the codes that keep
// a line of a terminal up to date.
type plainOutput struct{ *printer }

func (p plainOutput) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}
