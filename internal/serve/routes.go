package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"vicreg/internal/imagefile"
	"vicreg/internal/index"
	"vicreg/internal/show"
)

//go:embed openapi.json
var openapi []byte

//go:embed page.html
var page []byte

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
			fail(rec, err)
		}
	})
}

func isUnauthorized(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.status == http.StatusUnauthorized
}

// allowed checks host, token and method.
func (s *Server) allowed(r route, req *http.Request) error {
	if s.o.Token == "" {
		// A name that leads here from elsewhere would let any page ask.
		host := req.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if host != "localhost" && !(ip != nil && ip.IsLoopback()) {
			return faultf(http.StatusForbidden, "other_host", "requests must name this machine as localhost or 127.0.0.1, as no token is asked for")
		}
	} else if !r.open {
		given, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(s.o.Token)) // of the same length
		if !ok || subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
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

// work gives a request its place among those at work, and its time.
func (s *Server) work(r *http.Request) (context.Context, func(), error) {
	select {
	case s.working <- struct{}{}:
	default:
		return nil, nil, busy(fmt.Sprintf("%d requests are at work already", s.o.Concurrency))
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	return ctx, func() {
		cancel()
		<-s.working
	}, nil
}

// features returns those of images, each with the bits that it has alone.
func (s *Server) features(ctx context.Context, files []file) ([][]float32, error) {
	out := make([][]float32, len(files))
	errs := make(chan error, len(files))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, f := range files {
		go func() {
			var err error
			out[i], err = s.feature(ctx, f)
			errs <- err
		}()
	}
	var first error
	for range files {
		if err := <-errs; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	switch {
	case first == nil:
		return out, nil
	case errors.Is(first, context.DeadlineExceeded):
		return nil, busy(fmt.Sprintf("the request was not done after %v", s.o.Timeout))
	}
	return nil, first
}

// feature decodes an image and takes it through the network.
func (s *Server) feature(ctx context.Context, f file) (y []float32, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errInternal
		}
	}()
	select {
	case s.decoding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	img, err := imagefile.Decode(f.data, imagefile.Limits{Pixels: s.o.Pixels})
	if err != nil {
		<-s.decoding
		s.stats.bad.Add(1)
		return nil, faultf(http.StatusUnprocessableEntity, "bad_image", "%s: %v", show.Name(f.name), err)
	}
	values := s.model.Prepare(nil, img)
	img = imagefile.Image{}
	y, err = s.queue.embed(ctx, values, func() { <-s.decoding })
	if err != nil && ctx.Err() == nil && !errors.Is(err, errInternal) {
		return nil, faultf(http.StatusUnprocessableEntity, "bad_features", "%s: %v", show.Name(f.name), err)
	}
	return y, err
}

func (s *Server) embed(w http.ResponseWriter, r *http.Request) error {
	files, release, err := s.files(w, r)
	if err != nil {
		return err
	}
	defer release()
	ctx, done, err := s.work(r)
	if err != nil {
		return err
	}
	defer done()
	all, err := s.features(ctx, files)
	if err != nil {
		return err
	}
	a := embedAnswer{Model: s.about}
	for i, y := range all {
		a.Embeddings = append(a.Embeddings, embedding{files[i].name, y})
	}
	answer(w, http.StatusOK, a)
	return nil
}

func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	if s.index == nil {
		return faultf(http.StatusNotFound, "no_index", "this server has no index to search in; vicreg serve takes one by --index")
	}
	o := wanted{k: 12}
	for name, to := range map[string]*int{"k": &o.k, "probe": &o.probe} {
		if v := r.URL.Query().Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil {
				return faultf(http.StatusBadRequest, "bad_"+name, "%s is %.50q, but must be a whole number", name, v)
			}
			*to = n
		}
	}
	var queries []float32
	var names []string
	var files []file
	var err error
	release := func() {}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/json" {
		v, err := parseVector(http.MaxBytesReader(w, r.Body, min(s.o.Bytes, 4096+64*int64(s.index.D))), s.index.D, &o)
		if err != nil {
			return err
		}
		queries, names = v, []string{"vector"}
	} else if files, release, err = s.files(w, r); err != nil {
		return err
	}
	defer release()
	if err := o.check(s.index); err != nil {
		return err
	}
	ctx, done, err := s.work(r)
	if err != nil {
		return err
	}
	defer done()
	if files != nil {
		all, err := s.features(ctx, files)
		if err != nil {
			return err
		}
		for i, y := range all {
			queries, names = append(queries, y...), append(names, files[i].name)
		}
	}
	found, err := s.index.Search(ctx, queries, index.Options{K: o.k, Probe: o.probe})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return busy(fmt.Sprintf("the request was not done after %v", s.o.Timeout))
	case err != nil:
		return err
	}
	var a searchAnswer
	for i, all := range found {
		res := result{names[i], []match{}}
		for _, m := range all {
			res.Matches = append(res.Matches, match{m.Item, s.index.Items[m.Item].Name, s.index.Class(m.Item), m.Cosine})
		}
		a.Results = append(a.Results, res)
	}
	answer(w, http.StatusOK, a)
	return nil
}

// thumbnailSize is the longer side of a thumbnail, in pixels.
const thumbnailSize = 240

func (s *Server) thumbnail(w http.ResponseWriter, r *http.Request) error {
	item, err := strconv.Atoi(r.PathValue("item"))
	if s.index == nil || err != nil || item < 0 || item >= len(s.index.Items) {
		return faultf(http.StatusNotFound, "no_such_item", "there is no such image in the index")
	}
	ctx, done, err := s.work(r)
	if err != nil {
		return err
	}
	defer done()
	select {
	case s.decoding <- struct{}{}:
		defer func() { <-s.decoding }()
	case <-ctx.Done():
		return busy(fmt.Sprintf("the request was not done after %v", s.o.Timeout))
	}
	m, err := s.pictures.Image(item)
	if err != nil {
		return faultf(http.StatusNotFound, "no_picture", "the image is not where it was when the index was made")
	}
	b, err := index.Thumbnail(m, thumbnailSize)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "private, max-age=3600")
	send(w, http.StatusOK, "image/jpeg", b)
	return nil
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	a := healthAnswer{Status: "ok", Version: s.o.Version, Model: s.about}
	if s.index != nil {
		a.Images = len(s.index.Items)
	}
	answer(w, http.StatusOK, a)
	return nil
}

func (s *Server) openapi(w http.ResponseWriter, _ *http.Request) error {
	send(w, http.StatusOK, "application/json", openapi)
	return nil
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) error {
	var b bytes.Buffer
	s.stats.write(&b, s)
	send(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", b.Bytes())
	return nil
}

// policy lets the page run its own script and style, and ask this server alone.
var policy = func() string {
	hash := func(open, end string) string {
		_, rest, _ := bytes.Cut(page, []byte(open))
		inner, _, ok := bytes.Cut(rest, []byte(end))
		if !ok {
			panic("serve: the page has no " + open)
		}
		sum := sha256.Sum256(inner)
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; connect-src 'self'; img-src blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"style-src " + hash("<style>", "</style>") + "; script-src " + hash("<script>", "</script>")
}()

func (s *Server) page(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Security-Policy", policy)
	send(w, http.StatusOK, "text/html; charset=utf-8", page)
	return nil
}

// goroutines is a figure that grows if something leaks.
func goroutines() int { return runtime.NumGoroutine() }
