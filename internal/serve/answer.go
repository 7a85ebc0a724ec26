package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// What is sent, as openapi.json describes it.
type (
	modelInfo struct {
		Method   string `json:"method"`
		Arch     string `json:"arch"`
		Size     int    `json:"size"`
		Features int    `json:"features"`
		Weights  string `json:"weights"`
	}
	embedding struct {
		Name     string    `json:"name"`
		Features []float32 `json:"features"`
	}
	embedAnswer struct {
		Model      modelInfo   `json:"model"`
		Embeddings []embedding `json:"embeddings"`
	}
	match struct {
		Item   int     `json:"item"`
		Name   string  `json:"name"`
		Class  string  `json:"class,omitempty"`
		Cosine float32 `json:"cosine"`
	}
	result struct {
		Query   string  `json:"query"`
		Matches []match `json:"matches"`
	}
	searchAnswer struct {
		Results []result `json:"results"`
	}
	healthAnswer struct {
		Status  string    `json:"status"`
		Version string    `json:"version"`
		Model   modelInfo `json:"model"`
		Images  int       `json:"images"`
	}
	errorAnswer struct {
		Error errorInfo `json:"error"`
	}
	errorInfo struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

// fault is an error as a client is told it.
type fault struct {
	status        int
	code, message string
}

func (f *fault) Error() string { return f.message }

func faultf(status int, code, format string, args ...any) error {
	return &fault{status, code, fmt.Sprintf(format, args...)}
}

// busy is a fault that is over soon.
func busy(message string) error {
	return &fault{http.StatusServiceUnavailable, "busy", message + "; try again"}
}

// retryAfter is how many seconds a client should wait that was told to try again.
const retryAfter = 1

// statusGone is what servers count where nobody waits for the answer any more.
const statusGone = 499

// fail answers with an error. What is not a client's fault is not told in detail.
func fail(w http.ResponseWriter, err error) {
	var f *fault
	switch {
	case errors.As(err, &f):
	case errors.Is(err, context.Canceled):
		f = &fault{statusGone, "gone", "the client went away"}
	default:
		f = &fault{http.StatusInternalServerError, "internal", "the server failed"}
	}
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	answer(w, f.status, errorAnswer{errorInfo{f.code, f.message}})
}

// answer sends JSON.
func answer(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the server failed"}}`)
	}
	send(w, status, "application/json", append(raw, '\n'))
}

// send sends what a browser is not to take for anything else.
func send(w http.ResponseWriter, status int, kind string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) // the client may be gone
}
