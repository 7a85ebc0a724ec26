package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"vicreg/internal/gate"
)

//go:generate ./_web/generate

// bundle is what _web builds.
//
//go:embed bundle
var bundle embed.FS

// bundleName changes with what is in the bundle.
var bundleName = func() string {
	sum := fnv.New64a()
	for _, name := range []string{"app.js", "app.css"} {
		raw, err := bundle.ReadFile("bundle/" + name)
		if err != nil {
			panic("watch: " + err.Error())
		}
		sum.Write(raw)
	}
	return hex.EncodeToString(sum.Sum(nil))
}()

// cookie holds what stands for the token.
const cookie = "vicreg-watch"

// server answers requests.
type server struct {
	*Watcher
	token   string
	ending  context.Context
	streams chan struct{} // full while as many streams are open as may be

	mapMu sync.Mutex
	kept  keptMap
}

const mostStreams = 128

// Serve shows the runs to whoever asks at a listener, until ctx ends. Without a token only
// this machine may ask.
func (w *Watcher) Serve(ctx context.Context, l net.Listener, token string) error {
	if token == "" && !gate.Loopback(l.Addr()) {
		l.Close()
		return fmt.Errorf("%s can be reached from other machines, and there is no token that requests must carry; set one, or take an address of this machine alone", l.Addr())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &http.Server{Handler: w.handler(ctx, token), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if s.Shutdown(grace) != nil {
		s.Close()
	}
	return nil
}

// handler answers requests until ending is done.
func (w *Watcher) handler(ending context.Context, token string) http.Handler {
	s := &server{Watcher: w, token: token, ending: ending, streams: make(chan struct{}, mostStreams)}
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":                  s.table,
		"GET /run":                  s.run,
		"GET /events":               s.events,
		"GET /curves":               s.curves,
		"GET /settings":             s.differences,
		"GET /map":                  s.chart,
		"GET /map/data":             s.mapData,
		"GET /map/neighbours":       s.neighbours,
		"GET /map/sheet":            s.sheet,
		"GET /bundle/{name}/{file}": s.file,
		"GET /favicon.ico":          nothing,
		"GET /login":                s.login,
		"POST /login":               s.enter,
	} {
		mux.Handle(pattern, s.gate(pattern, handle))
	}
	mux.Handle("/", s.gate("", func(http.ResponseWriter, *http.Request) error {
		return fault{http.StatusNotFound, "there is no such page"}
	}))
	return mux
}

// fault is an error that a client is told.
type fault struct {
	status int
	text   string
}

func (f fault) Error() string { return f.text }

// policy lets pages run the bundle, and ask this server alone.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// gate checks who asks, and answers errors.
func (s *server) gate(pattern string, handle func(http.ResponseWriter, *http.Request) error) http.Handler {
	own := http.NewCrossOriginProtection()
	open := strings.HasSuffix(pattern, "/login") || strings.Contains(pattern, "/bundle/") || strings.HasSuffix(pattern, ".ico")
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		var err error
		switch {
		case s.token == "" && !gate.Local(req.Host):
			err = fault{http.StatusForbidden, "requests must name this machine as localhost or 127.0.0.1, as no token is asked for"}
		case own.Check(req) != nil || req.Header.Get("Sec-Fetch-Site") == "cross-site" && req.Header.Get("Sec-Fetch-Mode") != "navigate":
			err = fault{http.StatusForbidden, "the request comes from the page of another site"}
		case s.token != "" && !open && !s.known(req):
			if pattern == "GET /{$}" || pattern == "GET /run" || pattern == "GET /map" {
				http.Redirect(w, req, "/login", http.StatusSeeOther)
				return
			}
			err = fault{http.StatusUnauthorized, "the header Authorization must be Bearer and the token of this server"}
		default:
			err = handle(w, req)
		}
		var f fault
		switch {
		case err == nil || req.Context().Err() != nil:
		case errors.As(err, &f):
			http.Error(w, f.text, f.status)
		default:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// pass is what the cookie of somebody who knows the token holds.
func (s *server) pass() string {
	sum := sha256.Sum256([]byte("vicreg watch " + s.token))
	return hex.EncodeToString(sum[:])
}

// known reports whether a request carries the token, or the cookie that stands for it.
func (s *server) known(req *http.Request) bool {
	if given, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
		return gate.Same(given, s.token)
	}
	c, err := req.Cookie(cookie)
	return err == nil && gate.Same(c.Value, s.pass())
}

// enter gives the cookie to who knows the token.
func (s *server) enter(w http.ResponseWriter, req *http.Request) error {
	req.Body = http.MaxBytesReader(w, req.Body, 8<<10)
	if s.token != "" && !gate.Same(req.PostFormValue("token"), s.token) {
		w.WriteHeader(http.StatusForbidden)
		return render(w, "login", "That is not the token.")
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: s.pass(), Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode})
	http.Redirect(w, req, "/", http.StatusSeeOther)
	return nil
}

func (s *server) login(w http.ResponseWriter, _ *http.Request) error { return render(w, "login", "") }

func nothing(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// file answers with a part of the bundle, which browsers keep.
func (s *server) file(w http.ResponseWriter, req *http.Request) error {
	name := req.PathValue("file")
	raw, err := bundle.ReadFile("bundle/" + name)
	if err != nil || req.PathValue("name") != bundleName {
		return fault{http.StatusNotFound, "there is no such file"}
	}
	kind := map[string]string{".js": "text/javascript", ".css": "text/css"}[path.Ext(name)]
	kind = cmp.Or(kind, "text/plain") + "; charset=utf-8"
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, err = w.Write(raw)
	return err
}

// curves answers with the curves of a run: id, how many pixels wide they are drawn, and from
// which step to which.
func (s *server) curves(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	pixels, err := strconv.Atoi(q.Get("pixels"))
	if err != nil || pixels < 16 {
		pixels = 600
	}
	limit := func(name string, otherwise float64) float64 {
		v, err := strconv.ParseFloat(q.Get(name), 64)
		if err != nil || math.IsNaN(v) {
			return otherwise
		}
		return v
	}
	s.look(time.Now())
	c, ok, err := s.history(q.Get("id"), min(pixels, 4000), limit("from", 0), limit("to", math.Inf(1)))
	if !ok {
		return fault{http.StatusNotFound, "there is no such run"}
	}
	if err != nil {
		return err
	}
	return answer(w, c)
}

// differences answers with the settings that the runs named by id do not share.
func (s *server) differences(w http.ResponseWriter, req *http.Request) error {
	const most = 12
	ids := req.URL.Query()["id"]
	if len(ids) > most {
		return fault{http.StatusBadRequest, fmt.Sprintf("more than %d runs at once", most)}
	}
	s.look(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	var all [][]Setting
	for _, id := range ids {
		r := s.runs[id]
		if r == nil {
			return fault{http.StatusNotFound, "there is no such run"}
		}
		names, all = append(names, r.name()), append(all, r.params)
	}
	return answer(w, map[string]any{"names": names, "differences": differences(all)})
}

func answer(w http.ResponseWriter, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(raw)
	return err
}
