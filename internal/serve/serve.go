// Package serve answers HTTP requests with a model: the features of images, and the
// images of an index that are most like one. openapi.json describes what it answers.
//
// A request goes through these gates, in this order: the host that it names and the
// token, the size of its body and the room for all bodies, the number of requests at
// work, a place to decode, and the model's queue. Whoever waits holds nothing that the
// next one needs: a slow client holds a connection and what it has sent, until its time
// is up.
package serve

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"vicreg/internal/gate"
	"vicreg/internal/imagefile"
	"vicreg/internal/index"
	"vicreg/internal/pretrained"
)

// Options are the limits of a server. Zero fields are the usual ones.
type Options struct {
	Token       string        // that requests must carry; empty: none, and only this machine may ask
	Bytes       int64         // of a request's body; 0: 32 MiB
	Pixels      int64         // of an image; 0: 50 million
	Images      int           // of a request; 0: 64
	Concurrency int           // requests at work; 0: 256
	Timeout     time.Duration // of a request's work, once it has been read; 0: 30 seconds
	Reading     time.Duration // that a client may take to send a request; 0: 30 seconds
	Version     string        // of the program
	Failed      func(error)   // is told what is nobody's fault but the server's; may be nil

	header time.Duration // that a client may take to send a request's head; 0: 5 seconds
	room   int64         // bytes of all bodies together; 0: 512 MiB, or one body if that is more
}

func (o Options) filled() Options {
	o.Bytes = cmp.Or(o.Bytes, 32<<20)
	o.Pixels = cmp.Or(o.Pixels, 50_000_000)
	o.Images = cmp.Or(o.Images, 64)
	o.Concurrency = cmp.Or(o.Concurrency, 256)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.Reading = cmp.Or(o.Reading, 30*time.Second)
	o.header = cmp.Or(o.header, 5*time.Second)
	o.room = max(cmp.Or(o.room, 512<<20), o.Bytes)
	return o
}

// Server answers requests with a model.
type Server struct {
	o        Options
	model    *pretrained.Model
	about    modelInfo
	index    *index.File // nil: none
	pictures index.Pictures

	queue    *queue
	decoding chan struct{} // full while as many images are decoded as there are processors
	working  chan struct{} // full while as many requests are at work as may be
	room     atomic.Int64  // bytes that bodies may still take
	stats    stats
	handler  http.Handler
}

// New returns a server of a model and of an index that it made, or nil. It must be
// closed.
func New(m *pretrained.Model, x *index.File, o Options) (*Server, error) {
	o = o.filled()
	s := &Server{o: o, model: m, index: x,
		decoding: make(chan struct{}, runtime.GOMAXPROCS(0)), working: make(chan struct{}, o.Concurrency)}
	if x != nil {
		s.pictures = index.Pictures{Index: x, Limits: imagefile.Limits{Pixels: o.Pixels}}
	}
	s.about = modelInfo{Method: m.Method, Arch: m.Meta.Encoder.Arch, Size: m.Size, Features: m.Encoder.Dim(),
		Weights: m.Weights()}
	s.room.Store(o.room)
	s.stats.began = time.Now()
	var err error
	if s.queue, err = newQueue(m); err != nil {
		return nil, err
	}
	s.handler = s.routes()
	return s, nil
}

// Merged is how many waiting images go through the network together at most: 1 if their
// features would have other bits then.
func (s *Server) Merged() int { return s.queue.merge[0] }

// Close ends the queue. Requests at work fail.
func (s *Server) Close() { s.queue.close() }

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// mostConnections is how many connections there are at a time; more wait.
const mostConnections = 4096

// Serve answers what comes to a listener until ctx ends. Then it takes no more, and
// returns when the requests that are there have been answered. It calls ending then, with
// the number of these, which may be nil.
func (s *Server) Serve(ctx context.Context, l net.Listener, ending func(requests int)) error {
	if s.o.Token == "" && !gate.Loopback(l.Addr()) {
		l.Close()
		return fmt.Errorf("%s can be reached from other machines, and there is no token that requests must carry; set one, or take an address of this machine alone", l.Addr())
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: s.o.header, ReadTimeout: s.o.header + s.o.Reading,
		WriteTimeout: s.o.header + s.o.Reading + s.o.Timeout + 30*time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 32 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	var silent sync.Map // connections on which nothing has come yet
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			silent.Store(c, nil)
			return
		}
		silent.Delete(c)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(&limited{Listener: l, free: make(chan struct{}, mostConnections)}) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if ending != nil {
		ending(int(s.stats.inFlight.Load()))
	}
	grace, cancel := context.WithTimeout(context.Background(), s.o.Reading+s.o.Timeout)
	defer cancel()
	// Browsers hold connections ready, for which Shutdown would wait for seconds.
	defer time.AfterFunc(patience, func() {
		silent.Range(func(c, _ any) bool {
			c.(net.Conn).Close()
			return true
		})
	}).Stop()
	err := server.Shutdown(grace)
	if err != nil {
		server.Close()
		return errors.New("some requests took too long and were broken off")
	}
	return nil
}

// patience is how long a connection may be silent once the server ends.
const patience = 300 * time.Millisecond

// limited is a listener with so many connections at a time.
type limited struct {
	net.Listener
	free chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: c, release: func() { <-l.free }}, nil
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	once    sync.Once
	release func()
}

func (c *counted) Close() error {
	c.once.Do(c.release)
	return c.Conn.Close()
}
