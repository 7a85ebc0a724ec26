package serve

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Whatever is sent as a vector is one of the right length, or the client's fault.
func FuzzVector(f *testing.F) {
	f.Add([]byte(`{"vector":[1,2,3],"k":5}`))
	f.Add([]byte(`{"vector":[1e38,-0,3e-45],"k":-5,"probe":1}`))
	f.Add([]byte(`{"vector":[1,2,3]} x`))
	f.Add([]byte(`{"vector":[null,[],3]}`))
	f.Add([]byte(`[[[[[[`))
	f.Add([]byte(`{"` + strings.Repeat("v", 2000) + `":1}`))
	f.Add([]byte(`{"k":` + strings.Repeat("1", 2000) + `}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		check.Bounded(t, 2+len(body)>>14, time.Second, func() {
			o := wanted{k: 12}
			v, err := parseVector(bytes.NewReader(body), 3, &o)
			if err == nil {
				if len(v) != 3 || !json.Valid(body) {
					t.Errorf("%v of %q", v, body)
				}
				return
			}
			if fault, ok := err.(*fault); !ok || fault.status < 400 || fault.status > 499 || len(fault.message) > 1000 {
				t.Errorf("%v", err)
			}
		})
	})
}

// Whatever is sent as a form gives files, or is the client's fault, and takes no more
// memory than was sent.
func FuzzForm(f *testing.F) {
	kind, body := form([]byte("one"), []byte("two"))
	f.Add(kind, body)
	f.Add(kind, body[:len(body)-20])
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\n\r\n--x--"))
	f.Add("multipart/mixed; boundary=\"\"", []byte("--\r\n\r\n"))
	f.Add("image/png", []byte("x"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		s := &Server{o: Options{Bytes: 1 << 16}.filled()}
		s.room.Store(s.o.room)
		check.Bounded(t, 4+len(body)>>14, time.Second, func() {
			r := httptest.NewRequest("POST", "/v1/embed", bytes.NewReader(body))
			r.Header["Content-Type"] = []string{kind}
			files, release, err := s.files(httptest.NewRecorder(), r)
			sent := 0
			for _, file := range files {
				sent += len(file.data)
				if len(file.name) > 200 {
					t.Errorf("a name of %d bytes", len(file.name))
				}
			}
			if err == nil && (len(files) == 0 || len(files) > s.o.Images) || sent > len(body) {
				t.Errorf("%d files with %d bytes of %d", len(files), sent, len(body))
			}
			if fault, ok := err.(*fault); err != nil && (!ok || fault.status/100 != 4 || files != nil) {
				t.Errorf("%v", err)
			}
			release()
			if s.room.Load() != s.o.room {
				t.Error("room is still taken")
			}
		})
	})
}
