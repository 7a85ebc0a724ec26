package main

import (
	"context"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"vicreg/internal/durable"
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

// counting returns what do returns. Ctrl-C ends its context, and what does not
// end within a moment then is left where it is: the process is about to end, and
// nothing has been put in place. The counter is cleared before anything else is
// printed.
func counting[T any](do func(context.Context, *counter) (T, error)) (T, error) {
	ctx, release := interruptible(context.Background(), nil)
	defer release()
	c := newCounter()
	defer c.clear()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do(ctx, c)
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(moment):
		durable.Abandon()
		var none T
		return none, ctx.Err()
	}
}

// moment is how long work that was told to stop may take to end.
const moment = 600 * time.Millisecond

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
