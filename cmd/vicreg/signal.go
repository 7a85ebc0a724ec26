package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vicreg/internal/durable"
)

// interruptible returns a context that ends at the first SIGINT or SIGTERM. A
// second one leaves at once.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		durable.Abandon()
		fmt.Fprintln(os.Stderr, "\nvicreg: left at once")
		os.Exit(exitStopped)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}
