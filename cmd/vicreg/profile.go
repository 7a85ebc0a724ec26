package main

import (
	"fmt"
	"runtime/pprof"

	"vicreg/internal/durable"
)

// startProfile writes a processor profile to path, which g must let pass, when
// the returned function is called; an empty path does nothing.
func startProfile(path string, g *guard) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	if path, err = g.output("--cpuprofile", path, profile); err != nil {
		return nil, err
	}
	out, err := durable.Create(path)
	if err != nil {
		return nil, fmt.Errorf("--cpuprofile %s cannot be written: %w", path, err)
	}
	if err := pprof.StartCPUProfile(out); err != nil {
		out.Discard()
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		if err := out.Commit(); err != nil {
			return fmt.Errorf("--cpuprofile %s cannot be written: %w", path, err)
		}
		return nil
	}, nil
}
