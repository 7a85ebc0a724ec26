//go:build unix

package main

import (
	"os"
	"syscall"
)

// timeIsUp is how a scheduler says that a process must soon end (Slurm's --signal).
var timeIsUp = []os.Signal{syscall.SIGUSR1}
