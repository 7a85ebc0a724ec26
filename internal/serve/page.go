package serve

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
)

//go:embed page.html
var page []byte

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
