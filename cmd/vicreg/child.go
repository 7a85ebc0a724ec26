package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is a run of a comparison, a process of its own. It never outlives the
// comparison, however that ends: see tied.
type child struct {
	mu      sync.Mutex
	process *os.Process   // nil: none
	done    chan struct{} // closed when it has ended
}

// run starts a command and waits for it. When ctx ends, it is told to save and end.
func (c *child) run(ctx context.Context, args []string) error {
	return c.start(ctx, args, os.Stdout, os.Stderr, colours.environment())
}

// output is run for a command whose output is to be read; what it writes to standard
// error is its error's.
func (c *child) output(ctx context.Context, args []string) ([]byte, error) {
	var out, wrong bytes.Buffer
	err := c.start(ctx, args, &out, &wrong, colourMode("never").environment())
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		exit.Stderr = wrong.Bytes()
	}
	return out.Bytes(), err
}

func (c *child) start(ctx context.Context, args []string, out, wrong io.Writer, environment []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = out, wrong
	cmd.Env = append(append(os.Environ(), environment...), tied+"=1")
	tie, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	c.mu.Lock()
	if err := cmd.Start(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.process, c.done = cmd.Process, make(chan struct{})
	c.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { tie.Close() })
	err = cmd.Wait()
	stop()
	close(c.done)
	return err
}

// leave has the process end at once, without saving.
func (c *child) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return
	}
	for range 10 {
		c.process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	c.process.Kill()
}
