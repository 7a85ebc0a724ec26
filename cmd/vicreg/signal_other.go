//go:build !unix

package main

import "os"

// timeIsUp is how a scheduler says that a process must soon end: none does here.
var timeIsUp []os.Signal
