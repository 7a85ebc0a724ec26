package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// peers is peer.py, which waits for workloads: it imports PyTorch once, which takes up to a quarter of a minute, and
// runs each workload in a process of its own that it forks. Such a process has not all pages of the libraries.
type peers struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	errs *strings.Builder
}

// theirs has PyTorch run a workload.
func (b *bench) theirs(ctx context.Context, args []string) (timing, error) {
	if !b.serve {
		return timed(ctx, b.python, append([]string{b.peer}, args...))
	}
	var answer struct {
		timing
		Error string `json:"error"`
	}
	err := b.ask(ctx, args, &answer)
	switch {
	case err != nil:
	case answer.Error != "":
		err = errors.New(answer.Error)
	case len(answer.Times) == 0:
		err = errors.New("no times_s in its output")
	default:
		return answer.timing, nil
	}
	return timing{}, fmt.Errorf("peer.py %s: %w", strings.Join(args, " "), err)
}

// ask sends a line of arguments and reads a line of JSON.
func (b *bench) ask(ctx context.Context, args []string, answer any) error {
	p := &b.waiting
	if p.cmd == nil {
		cmd, errs := exec.CommandContext(ctx, b.python, b.peer, "serve"), new(strings.Builder)
		cmd.Stderr = errs
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		*p = peers{cmd, in, bufio.NewReader(out), errs}
	}
	line, err := json.Marshal(args)
	if err != nil {
		return err
	}
	p.in.Write(append(line, '\n')) // a script that has ended may have answered all the same
	if line, err = p.out.ReadBytes('\n'); err != nil {
		errs := p.errs
		b.dismiss()
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(errs.String()))
	}
	return json.Unmarshal(line, answer)
}

// dismiss ends the script, if it runs.
func (b *bench) dismiss() {
	if p := b.waiting; p.cmd != nil {
		p.in.Close()
		p.cmd.Wait() // however it ends
	}
	b.waiting = peers{}
}
