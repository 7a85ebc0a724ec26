package main

import (
	"context"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// counter shows on standard error, if that is a terminal, how far a command
// has come that prints its result at the end.
type counter struct{ bar *progressbar.ProgressBar }

func newCounter() *counter {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return &counter{}
	}
	return &counter{progressbar.NewOptions(-1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionThrottle(livePause),
		progressbar.OptionShowCount(), progressbar.OptionUseANSICodes(true), progressbar.OptionSetElapsedTime(false))}
}

// counting returns what do returns. Ctrl-C ends its context; its counter is
// cleared before anything else is printed.
func counting[T any](do func(context.Context, *counter) (T, error)) (T, error) {
	ctx, release := interruptible(context.Background(), nil)
	defer release()
	c := newCounter()
	defer c.clear()
	return do(ctx, c)
}

func (c *counter) describe(what string) {
	if c.bar != nil {
		c.bar.Describe(what)
	}
}

func (c *counter) count(done, total int) {
	if c.bar != nil {
		c.bar.ChangeMax(total)
		c.bar.Set(done)
	}
}

func (c *counter) clear() {
	if c.bar != nil {
		c.bar.Clear()
	}
}
