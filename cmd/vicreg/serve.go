package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/gate"
	"vicreg/internal/show"
)

// tokenVariable is the environment variable of --token, which does not show in lists of
// processes.
const tokenVariable = "VICREG_TOKEN"

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve RUN",
		Short: "Answer HTTP requests: features of images, and search in an index",
		Long: `Answers HTTP requests with the encoder of a run folder (or of a model.safetensors
file): POST /v1/embed gives the features of images, POST /v1/search the images of
--index that are most like one; GET /openapi.json describes all of it, GET /metrics
counts, and / is a page with a form. It listens on this machine alone; for another
address, requests must carry a token. The first Ctrl-C takes no more requests and
answers those that are there.`,
		Example: `  vicreg serve runs/photos --index photos.index
  curl --data-binary @cat.jpg 'http://127.0.0.1:8081/v1/search?k=5'
  VICREG_TOKEN=$(openssl rand -hex 16) vicreg serve runs/photos --addr 0.0.0.0:8081`,
		Args: oneArg("run folder"),
	}
	var (
		o              vicreg.ServeOptions
		from, addr     string
		threads        int
		bytes, seconds float64
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&from, "index", "", "`file` that vicreg index wrote, to search in; without it only features are given")
	flags.StringVar(&addr, "addr", "127.0.0.1:8081", "`address` to listen on; port 0: any that is free")
	flags.StringVar(&o.Token, "token", "", "`secret` that requests must carry, as in Authorization: Bearer secret (default the variable "+tokenVariable+", which other users do not see)")
	flags.Float64Var(&bytes, "max-body", 32, "`megabytes` that a request may have at most")
	flags.Float64Var(&o.MaxPixels, "max-pixels", 50, "`millions` of pixels that an image may have at most")
	flags.IntVar(&o.Concurrency, "concurrency", 256, "`requests` at work at once; more are told to try again")
	flags.Float64Var(&seconds, "timeout", 30, "`seconds` that sending a request, and then the work on it, may take at most")
	branch := newBranchFlag(flags)
	flags.IntVar(&threads, "threads", 0, "`processors` that compute; 0: all")
	where := newDeviceFlag(flags)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case !(bytes >= 0.001 && bytes <= 1024):
			return usagef("--max-body is %v, but must be from 0.001 to 1024", bytes)
		case !(o.MaxPixels > 0 && o.MaxPixels <= 1000):
			return usagef("--max-pixels is %v, but must be above 0 and at most 1000", o.MaxPixels)
		case o.Concurrency < 1 || o.Concurrency > 100_000:
			return usagef("--concurrency is %d, but must be from 1 to 100000", o.Concurrency)
		case !(seconds >= 0.1 && seconds <= 86_400):
			return usagef("--timeout is %v, but must be from 0.1 to 86400", seconds)
		case threads < 0:
			return usagef("--threads is %d, but must be 0 or more", threads)
		}
		o.MaxBytes, o.Timeout = int64(bytes*1e6), time.Duration(seconds*float64(time.Second))
		o.Reading, o.Device = o.Timeout, where.name
		if o.Token == "" && !flags.Changed("token") {
			o.Token = os.Getenv(tokenVariable)
		}
		if err := checkAddr("addr", addr, o.Token, flags.Changed("token"), "127.0.0.1:8081"); err != nil {
			return err
		}
		vicreg.SetThreads(threads)
		m, err := branch.model(args[0])
		if err != nil {
			return err
		}
		var x *vicreg.Index
		if from != "" {
			if x, err = vicreg.OpenIndex(from); err != nil {
				return err
			}
			defer x.Close()
			if err := m.Suits(x); err != nil {
				return err
			}
		}
		return listen(m, x, args[0], addr, o)
	}
	return cmd
}

// checkAddr finds what is wrong with the address to listen on that a flag names, one such as
// usual, and its token, which another flag may have given.
func checkAddr(flag, addr, token string, given bool, usual string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return usagef("--%s %q is not an address and a port, such as %s", flag, addr, usual)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return usagef("--%s %q: the port must be a number from 0 to 65535", flag, addr)
	}
	name := "the variable " + tokenVariable
	if given {
		name = "--token"
	}
	const least = 8
	strange := func(r rune) bool { return r <= ' ' || r > '~' }
	if (given || token != "") && (len(token) < least || strings.ContainsFunc(token, strange)) {
		return usagef("%s must have at least %d letters, digits or signs of ASCII, without spaces", name, least)
	}
	if token != "" {
		return nil
	}
	if a, err := net.ResolveTCPAddr("tcp", addr); host != "" && err == nil && gate.Loopback(a) {
		return nil
	}
	how := "the variable " + tokenVariable
	if flag == "addr" {
		how += " or --token"
	}
	return usagef("--%s %s can be reached from other machines: give a token that requests must carry, by %s, or take an address of this machine alone, such as %s",
		flag, addr, how, usual)
}

// listen serves until the first signal.
func listen(m *vicreg.Model, x *vicreg.Index, run, addr string, o vicreg.ServeOptions) error {
	ctx, release := interruptible(context.Background(), nil)
	defer release()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--addr %s cannot be listened on: %w", addr, durable.Reason(unwrapped(err)))
	}
	o.Ready = func(together int) {
		about := "no index"
		if x != nil {
			about = show.Count(x.Info().Images, "image")
		}
		if _, err := fmt.Fprintf(stdout, "Serving %s at http://%s: %s; Ctrl-C ends\n", show.Name(run), l.Addr(), about); err != nil {
			stop() // nobody learns where it is
		}
		if together == 1 {
			fmt.Fprintln(stdout, "note: images that wait go through the network one by one: together their features would have other last bits here")
		}
	}
	o.Failed = func(err error) { complain(red, "vicreg:", show.Text(err.Error())) }
	o.Ending = func(requests int) {
		if requests > 0 {
			complain(plain, "vicreg:", fmt.Sprintf("answering %s; again to leave at once", show.Count(requests, "request")))
		}
	}
	return m.Serve(ctx, l, x, o)
}

// unwrapped is an error of package net without the operation and the address.
func unwrapped(err error) error {
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
