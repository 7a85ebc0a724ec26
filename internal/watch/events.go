package watch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// What a stream tells. A page puts the HTML into its place.
type (
	// tableChange is what became of the table.
	tableChange struct {
		Rows  map[string]string `json:"rows,omitempty"`  // by run, those that are new or changed
		Gone  []string          `json:"gone,omitempty"`  // runs that are no longer there
		Order []string          `json:"order,omitempty"` // all runs, the one that was written to last first
		Notes string            `json:"notes"`
	}
	// runChange is what became of a run.
	runChange struct {
		Parts   map[string]string `json:"parts,omitempty"` // by the id of the element that holds it, those that changed
		Version int               `json:"version"`
		Gone    bool              `json:"gone,omitempty"`
	}
)

const (
	heartbeat   = 15 * time.Second
	slowestSend = 10 * time.Second // that a client may take to take an event
)

// events is a stream of what changes: of the table, or of the run that id names.
func (s *server) events(w http.ResponseWriter, req *http.Request) error {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return fault{http.StatusServiceUnavailable, fmt.Sprintf("more than %d pages are open", mostStreams)}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	send := func(event string, v any) error {
		text := ":\n\n"
		if event != "" {
			raw, err := json.Marshal(v)
			if err != nil {
				return err
			}
			text = fmt.Sprintf("event: %s\ndata: %s\n\n", event, raw)
		}
		if err := control.SetWriteDeadline(time.Now().Add(slowestSend)); err != nil {
			return err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
		return control.Flush()
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	next := s.tableChanges()
	if id := req.URL.Query().Get("id"); id != "" {
		next = s.runChanges(id)
	}
	tick := time.NewTicker(lookPause)
	defer tick.Stop()
	said := time.Now()
	for edition := -1; ; {
		s.look(time.Now())
		s.mu.Lock()
		var event string
		var v any
		if s.edition != edition {
			edition = s.edition
			event, v = next()
		}
		s.mu.Unlock()
		if event != "" || time.Since(said) > heartbeat {
			if send(event, v) != nil {
				return nil // nobody listens
			}
			said = time.Now()
		}
		select {
		case <-tick.C:
		case <-req.Context().Done():
			return nil
		case <-s.ending.Done():
			send("end", true)
			return nil
		}
	}
}

// tableChanges returns a function that says what changed in the table since its last call.
// The watcher must be locked then.
func (s *server) tableChanges() func() (string, any) {
	sent := map[string]int{}
	var order []string
	notes := "-"
	return func() (string, any) {
		c := tableChange{Rows: map[string]string{}}
		var now []string
		for _, r := range s.listed() {
			now = append(now, r.id)
			if v, ok := sent[r.id]; !ok || v != r.version {
				c.Rows[r.id] = fragment("row", s.row(r))
				sent[r.id] = r.version
			}
		}
		for id := range sent {
			if s.runs[id] == nil {
				c.Gone = append(c.Gone, id)
				delete(sent, id)
			}
		}
		if !slices.Equal(now, order) {
			order, c.Order = now, now
		}
		c.Notes = fragment("notes", s.about())
		if len(c.Rows) == 0 && c.Gone == nil && c.Order == nil && c.Notes == notes {
			return "", nil
		}
		notes = c.Notes
		return "table", c
	}
}

// runChanges is tableChanges for the page of a run.
func (s *server) runChanges(id string) func() (string, any) {
	version := -1
	sent := map[string]string{}
	return func() (string, any) {
		r := s.runs[id]
		if r == nil {
			if version == -2 {
				return "", nil
			}
			version = -2
			return "run", runChange{Gone: true}
		}
		if r.version == version {
			return "", nil
		}
		version = r.version
		c := runChange{Parts: map[string]string{}, Version: version}
		p := s.page(r)
		for _, part := range parts {
			if text := fragment(part, p); text != sent[part] {
				c.Parts[part], sent[part] = text, text
			}
		}
		return "run", c
	}
}

// fragment is a template's HTML.
func fragment(name string, v any) string {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, v); err != nil {
		panic("watch: " + err.Error())
	}
	return b.String()
}
