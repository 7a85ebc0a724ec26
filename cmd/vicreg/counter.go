package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"vicreg/internal/durable"
)

// counter shows how far a command is that prints its result at the end. It writes to
// standard error, if that is a terminal.
type counter struct {
	out  *printer // nil: not shown
	last time.Time
}

func newCounter() *counter {
	c := &counter{}
	if p := newPrinter(os.Stderr); p.canKeep() {
		followWidth(p)
		c.out = p
		c.describe("reading")
	}
	return c
}

// counting returns what do returns. Ctrl-C ends do's context. If do does not return
// within a moment then, it is left alone: the process is about to end, and nothing has
// been put in place. The counter is cleared before anything else is printed.
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
	if c.out != nil {
		c.out.keep(func(int) string { return what })
	}
}

func (c *counter) count(done, total int) { c.of("", done, total) }

// of is count with words on what is counted.
func (c *counter) of(what string, done, total int) {
	if now := time.Now(); c.out != nil && now.Sub(c.last) >= livePause {
		c.last = now
		c.out.keep(func(width int) string {
			share, count := float64(done)/float64(max(1, total)), fmt.Sprintf("%d of %d", done, total)
			return bar(share, fitting(width, strings.TrimPrefix(what+", "+count, ", "), count), width)
		})
	}
}

func (c *counter) clear() {
	if c.out != nil {
		c.out.keep(nil)
	}
}
