package serve

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"vicreg/internal/gate"
)

//go:embed openapi.json
var openapi []byte

// route is what answers requests of a path.
type route struct {
	path, method string
	open         bool // without the token: it tells nothing of the images
	handle       func(w http.ResponseWriter, r *http.Request) error
}

func (s *Server) all() []route {
	return []route{
		{"/{$}", http.MethodGet, true, s.page},
		{"/healthz", http.MethodGet, true, s.health},
		{"/openapi.json", http.MethodGet, true, s.openapi},
		{"/metrics", http.MethodGet, false, s.metrics},
		{"/v1/embed", http.MethodPost, false, s.embed},
		{"/v1/search", http.MethodPost, false, s.search},
		{"/v1/items/{item}/thumbnail", http.MethodGet, false, s.thumbnail},
	}
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.all() {
		mux.Handle(r.path, s.gate(r))
	}
	mux.Handle("/", s.gate(route{path: "other", open: true, handle: func(_ http.ResponseWriter, r *http.Request) error {
		return faultf(http.StatusNotFound, "no_such_path", "there is nothing at %.200q; /openapi.json tells what there is", r.URL.Path)
	}}))
	return mux
}

// gate checks who asks, answers errors, and counts.
func (s *Server) gate(r route) http.Handler {
	own := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := time.Now()
		s.stats.inFlight.Add(1)
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			if p := recover(); p != nil { // a mistake in the code, which is not to end the others
				s.failed(fmt.Errorf("%v", p))
				fail(rec, errInternal)
			}
			s.stats.inFlight.Add(-1)
			s.stats.count(r.path, rec.status, time.Since(began))
		}()
		err := s.allowed(r, req)
		if err == nil && s.o.Token == "" && own.Check(req) != nil {
			err = faultf(http.StatusForbidden, "other_origin", "the request comes from the page of another site")
		}
		if err == nil {
			err = r.handle(rec, req)
		}
		if err != nil {
			if s.o.Token != "" && rec.Header().Get("WWW-Authenticate") == "" && isUnauthorized(err) {
				rec.Header().Set("WWW-Authenticate", "Bearer")
			}
			var f *fault
			if !errors.As(err, &f) && !errors.Is(err, context.Canceled) {
				s.failed(err)
			}
			fail(rec, err)
		}
	})
}

// failed tells whoever runs the server of what no client is told.
func (s *Server) failed(err error) {
	if s.o.Failed != nil {
		s.o.Failed(err)
	}
}

func isUnauthorized(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.status == http.StatusUnauthorized
}

// allowed checks host, token and method.
func (s *Server) allowed(r route, req *http.Request) error {
	if s.o.Token == "" {
		if !gate.Local(req.Host) {
			return faultf(http.StatusForbidden, "other_host", "requests must name this machine as localhost or 127.0.0.1, as no token is asked for")
		}
	} else if !r.open {
		given, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		if !ok || !gate.Same(given, s.o.Token) {
			return faultf(http.StatusUnauthorized, "no_token", "the header Authorization must be Bearer and the token of this server")
		}
	}
	if r.method != "" && req.Method != r.method && !(r.method == http.MethodGet && req.Method == http.MethodHead) {
		return faultf(http.StatusMethodNotAllowed, "other_method", "this path takes %s", r.method)
	}
	return nil
}

// recorder keeps the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
