package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"

	"vicreg/internal/index"
	"vicreg/internal/show"
)

// file is an image as it was sent.
type file struct {
	name string
	data []byte
}

// files reads the images of a request: its body, or the parts of a form. They take from
// the room for all bodies until the returned function is called.
func (s *Server) files(w http.ResponseWriter, r *http.Request) (all []file, release func(), err error) {
	m := &metered{s: s, r: http.MaxBytesReader(w, r.Body, s.o.Bytes)}
	defer func() {
		if err != nil {
			m.release()
			all, release = nil, func() {}
		}
	}()
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "application/json":
		return nil, m.release, faultf(http.StatusUnsupportedMediaType, "not_an_image", "the body is JSON, and an image is asked for: send the bytes of its file, or a form with files")
	case !strings.HasPrefix(kind, "multipart/"):
		data, err := m.all()
		if err == nil && len(data) == 0 {
			err = faultf(http.StatusBadRequest, "no_image", "the body is empty: send the bytes of an image, or a form with files")
		}
		return []file{{"image", data}}, m.release, err
	case params["boundary"] == "":
		return nil, m.release, faultf(http.StatusBadRequest, "bad_form", "the form has no boundary in its Content-Type")
	}
	all, err = m.form(r, s.o.Images)
	return all, m.release, err
}

// form reads the files of a form.
func (m *metered) form(r *http.Request, most int) (all []file, err error) {
	r.Body = io.NopCloser(m)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, faultf(http.StatusBadRequest, "bad_form", "the form cannot be read")
	}
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, m.fault("the form", err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return nil, m.fault("the form", err)
		}
		name := path.Base(strings.ReplaceAll(p.FileName(), `\`, "/"))
		if p.FileName() == "" {
			if name = p.FormName(); len(data) == 0 || name == "k" || name == "probe" {
				continue // of a form that was left empty, or what the address says
			}
		}
		if len(all) == most {
			return nil, faultf(http.StatusRequestEntityTooLarge, "too_many_images", "the form has more than %d images", most)
		}
		all = append(all, file{name[:min(len(name), 200)], data})
	}
	if len(all) == 0 {
		return nil, faultf(http.StatusBadRequest, "no_image", "the form has no files")
	}
	return all, nil
}

// metered reads a body and takes what it reads from the room for all.
type metered struct {
	s     *Server
	r     io.Reader
	taken int64
	full  bool
}

func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.taken += int64(n)
	if m.s.room.Add(-int64(n)) < 0 {
		m.full = true
		return 0, errFull
	}
	return n, err
}

var errFull = errors.New("no room")

func (m *metered) release() {
	m.s.room.Add(m.taken)
	m.taken = 0
}

// all reads the body.
func (m *metered) all() ([]byte, error) {
	data, err := io.ReadAll(m)
	if err != nil {
		return nil, m.fault("the body", err)
	}
	return data, nil
}

// fault says why something of a body cannot be read.
func (m *metered) fault(what string, err error) error {
	var large *http.MaxBytesError
	switch {
	case m.full:
		return busy("the bodies of all requests together are too large just now")
	case errors.As(err, &large):
		return faultf(http.StatusRequestEntityTooLarge, "too_large", "the body has more than %d bytes", large.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return faultf(http.StatusRequestTimeout, "too_slow", "%s did not come within %v", what, m.s.o.Reading)
	}
	return faultf(http.StatusBadRequest, "cut_short", "%s cannot be read to its end", what)
}

// wanted is what a search asks for besides what it looks for.
type wanted struct{ k, probe int }

// parameters reads what the address asks for.
func (o *wanted) parameters(r *http.Request) error {
	all := r.URL.Query()
	for _, p := range []struct {
		name string
		to   *int
	}{{"k", &o.k}, {"probe", &o.probe}} {
		v := all.Get(p.name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil {
			return faultf(http.StatusBadRequest, "bad_"+p.name, "%s is %.50q, but must be a whole number", p.name, v)
		}
		*p.to = n
	}
	return nil
}

// vectorQuery is a search by features.
type vectorQuery struct {
	Vector []float32 `json:"vector"`
	K      *int      `json:"k"`
	Probe  *int      `json:"probe"`
}

// parseVector reads the JSON of a search by features, d of them.
func parseVector(body io.Reader, d int, o *wanted) ([]float32, error) {
	bad := func(format string, args ...any) ([]float32, error) {
		return nil, faultf(http.StatusBadRequest, "bad_vector", format, args...)
	}
	j := json.NewDecoder(body)
	j.DisallowUnknownFields()
	var q vectorQuery
	if err := j.Decode(&q); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, faultf(http.StatusRequestEntityTooLarge, "too_large", "the body has more than %d bytes", large.Limit)
		}
		return bad(`the body is not JSON such as {"vector": [0.1, 0.2], "k": 12}: %s`, plainJSON(err))
	}
	if _, err := j.Token(); err != io.EOF {
		return bad("something follows the JSON of the body")
	}
	if len(q.Vector) != d {
		return bad("the vector has %d numbers, and features have %d", len(q.Vector), d)
	}
	zero := true
	for _, v := range q.Vector {
		zero = zero && v == 0
	}
	if zero {
		return bad("the vector is all zeros, which has no direction")
	}
	if q.K != nil {
		o.k = *q.K
	}
	if q.Probe != nil {
		o.probe = *q.Probe
	}
	return q.Vector, nil
}

// plainJSON words an error of package json without the names of Go's types.
func plainJSON(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("%s does not belong at byte %d", brief(kind.Value), kind.Offset)
	}
	return brief(strings.TrimPrefix(err.Error(), "json: "))
}

// brief cuts what quotes a request off after 100 bytes.
func brief(s string) string {
	const most = 100
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return show.Line(s)
}

// check is what is wrong with what is asked for.
func (o *wanted) check(x *index.File) error {
	switch {
	case o.k < 1 || o.k > index.MostNearest:
		return faultf(http.StatusBadRequest, "bad_k", "k is %d, but must be from 1 to %d", o.k, index.MostNearest)
	case o.probe < 0 || o.probe > x.Lists:
		return faultf(http.StatusBadRequest, "bad_probe", "probe is %d, but must be from 0 to the %d lists of the index", o.probe, x.Lists)
	}
	return nil
}
