package main

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// child is the run of a comparison that goes on, a process of its own. It does
// not outlive the comparison, however that ends: see tied.
type child struct {
	mu      sync.Mutex
	process *os.Process   // nil: none
	done    chan struct{} // closed when it has ended
}

// run starts a command and waits for it. When ctx ends, it is told to save and end.
func (c *child) run(ctx context.Context, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(append(os.Environ(), colours.environment()...), tied+"=1")
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
