package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"vicreg/internal/durable"
)

// interruptible returns a context that ends at the first signal to stop, of a user or of a
// scheduler, or, in a run of a comparison, when the comparison is gone. A second signal ends
// the process at once, after atOnce if that is not nil. Meanwhile a reader of the output that
// is gone leads to an error of writing, not to a signal.
func interruptible(parent context.Context, atOnce func()) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(timeIsUp, os.Interrupt, syscall.SIGTERM)...)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(signals, syscall.SIGHUP)
	}
	broken := make(chan os.Signal, 1) // nobody reads it
	signal.Notify(broken, syscall.SIGPIPE)
	orphaned := make(chan struct{})
	if os.Getenv(tied) != "" {
		go awaitParent(orphaned)
	}
	go func() {
		var deaf time.Time // until then
		select {
		case <-signals:
			if ranks.launch.Size > 1 { // a scheduler signals the launcher as well, which passes it on
				deaf = time.Now().Add(passedOn)
			}
		case <-orphaned:
			deaf = time.Now().Add(sameSignal)
		}
		cancel()
		again := func(s os.Signal) bool { // a shell repeats that its terminal was closed
			return s == syscall.SIGHUP || slices.Contains(timeIsUp, s) || time.Now().Before(deaf)
		}
		for again(<-signals) {
		}
		leaving.Store(true)
		durable.Abandon()
		if atOnce != nil {
			atOnce()
		}
		fmt.Fprintln(os.Stderr, "\nvicreg: left at once")
		os.Exit(exitStopped)
	}()
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(broken)
		cancel()
	}
}

// leaving is true once the second signal came: nothing more is said but that.
var leaving atomic.Bool

// tied is the environment variable that ties a run to the comparison that started it.
// The run's standard input is then a pipe, which closes when the comparison ends in any
// way.
const tied = "VICREG_TIED"

// sameSignal is how long after the end of a comparison a signal is taken for the one
// that ended it: a terminal sends it to both.
const sameSignal = 500 * time.Millisecond

// passedOn is how long after a signal another one to a process of many is taken for the same.
const passedOn = 2 * time.Second

// awaitParent closes gone when standard input ends.
func awaitParent(gone chan<- struct{}) {
	for b := make([]byte, 1); ; {
		if _, err := os.Stdin.Read(b); err != nil {
			close(gone)
			return
		}
	}
}
