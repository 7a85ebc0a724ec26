package serve

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stats are what /metrics tells, in Prometheus's text format: version 0.0.4,
// prometheus/docs, content/docs/instrumenting/exposition_formats.md.
type stats struct {
	began    time.Time
	inFlight atomic.Int64
	bad      atomic.Int64 // images that could not be read

	mu       sync.Mutex
	answers  map[reply]int64
	duration map[string]*histogram // by path
}

// reply is a kind of answer.
type reply struct {
	path   string
	status int
}

// bounds are those of the buckets of durations, in seconds.
var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

type histogram struct {
	buckets []int64 // of each bound, and above all
	sum     float64
	n       int64
}

// count adds an answer.
func (s *stats) count(path string, status int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers == nil {
		s.answers, s.duration = map[reply]int64{}, map[string]*histogram{}
	}
	path = strings.TrimSuffix(path, "{$}")
	s.answers[reply{path, status}]++
	h := s.duration[path]
	if h == nil {
		h = &histogram{buckets: make([]int64, len(bounds)+1)}
		s.duration[path] = h
	}
	seconds := took.Seconds()
	at, _ := slices.BinarySearch(bounds, seconds)
	h.buckets[at]++
	h.sum += seconds
	h.n++
}

// write writes all figures.
func (s *stats) write(w io.Writer, server *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	number := func(name, kind, help string, v float64) {
		head(name, kind, help)
		fmt.Fprintf(w, "%s %s\n", name, decimal(v))
	}
	head("vicreg_requests_total", "counter", "Requests answered, by path and status.")
	replies := slices.SortedFunc(maps.Keys(s.answers), func(a, b reply) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return a.status - b.status
	})
	for _, r := range replies {
		fmt.Fprintf(w, "vicreg_requests_total{path=%q,code=\"%d\"} %d\n", r.path, r.status, s.answers[r])
	}
	head("vicreg_request_seconds", "histogram", "Time from the head of a request to the end of its answer.")
	for _, path := range slices.Sorted(maps.Keys(s.duration)) {
		h := s.duration[path]
		var sum int64
		for i, n := range h.buckets {
			sum += n
			le := "+Inf"
			if i < len(bounds) {
				le = decimal(bounds[i])
			}
			fmt.Fprintf(w, "vicreg_request_seconds_bucket{path=%q,le=%q} %d\n", path, le, sum)
		}
		fmt.Fprintf(w, "vicreg_request_seconds_sum{path=%q} %s\nvicreg_request_seconds_count{path=%q} %d\n", path, decimal(h.sum), path, h.n)
	}
	number("vicreg_requests_in_flight", "gauge", "Requests that are being read or answered.", float64(s.inFlight.Load()))
	number("vicreg_images_total", "counter", "Images that went through the network.", float64(server.queue.images.Load()))
	number("vicreg_batches_total", "counter", "Batches in which they did.", float64(server.queue.batches.Load()))
	number("vicreg_bad_images_total", "counter", "Images that could not be read.", float64(s.bad.Load()))
	if x := server.index; x != nil {
		number("vicreg_index_images", "gauge", "Images of the index.", float64(len(x.Items)))
	}
	head("vicreg_build_info", "gauge", "The version of the program.")
	fmt.Fprintf(w, "vicreg_build_info{version=%q} 1\n", server.o.Version)
	number("go_goroutines", "gauge", "Goroutines of the process.", float64(runtime.NumGoroutine()))
	if rss := resident(); rss > 0 {
		number("process_resident_memory_bytes", "gauge", "Memory that the process takes.", float64(rss))
	}
	number("process_start_time_seconds", "gauge", "When the server began, in seconds since 1970.", float64(s.began.UnixMilli())/1000)
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
