//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// followWidth has a printer's live line drawn anew whenever the terminal's size
// changes.
func followWidth(p *printer) {
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGWINCH)
	go func() {
		for range changes {
			p.redraw()
		}
	}()
}
