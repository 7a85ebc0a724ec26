package vicreg

import (
	"context"
	"net"
	"time"

	"vicreg/internal/host"
	"vicreg/internal/index"
	"vicreg/internal/recipe"
	"vicreg/internal/serve"
)

// ServeOptions are the limits of [Model.Serve]. The zero value is what is usual.
type ServeOptions struct {
	Token       string        // that requests must carry; empty: none, and only this machine may ask
	MaxBytes    int64         // of a request's body; 0: 32 MiB
	MaxPixels   float64       // millions of pixels of an image; 0: 50
	Concurrency int           // requests at work at once, more are told to try again; 0: 256
	Timeout     time.Duration // of the work on a request; 0: 30 seconds
	Reading     time.Duration // that a client may take to send a request; 0: 30 seconds
	Device      string        // what the networks are computed on, as in WithDevice

	// Failed is told of errors that are nobody's fault but the server's, such as an index
	// that is damaged; clients are told no more than that it failed. May be nil.
	Failed func(error)
	// Ready is told, when requests are about to be taken, how many waiting images go
	// through the network together at most: 1 if their features would have other bits
	// then. May be nil.
	Ready func(together int)
	// Ending is told how many requests are still to be answered when ctx has ended; may
	// be nil.
	Ending func(requests int)
}

// Serve answers the HTTP requests that come to l until ctx ends; then it takes no more,
// and returns when those that are there have been answered. docs/serving.md tells what it
// answers. The index, of this model, may be nil: then there is nothing to search. Where no
// token is asked for, l must be of this machine alone.
func (m *Model) Serve(ctx context.Context, l net.Listener, x *Index, o ServeOptions) error {
	defer l.Close()
	if err := m.errImages(); err != nil {
		return err
	}
	on, err := m.On(o.Device)
	if err != nil {
		return err
	}
	var f *index.File
	if x != nil {
		if err := m.Suits(x); err != nil {
			return err
		}
		f = x.file
	}
	so := serve.Options{Token: o.Token, Bytes: o.MaxBytes, Concurrency: o.Concurrency, Timeout: o.Timeout,
		Reading: o.Reading, Version: host.Version(), Failed: o.Failed}
	if o.MaxPixels > 0 {
		so.Pixels = recipe.Data{MaxPixels: o.MaxPixels}.Pixels()
	}
	s, err := serve.New(on.file, f, so)
	if err != nil {
		return err
	}
	defer s.Close()
	if o.Ready != nil {
		o.Ready(s.Merged())
	}
	return s.Serve(ctx, l, o.Ending)
}
