package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/imagefile"
	"vicreg/internal/index"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
)

// tiny is a model that was saved before its first step.
func tiny(t testing.TB) *pretrained.Model { return tinyOf(t, 3) }

// tinyOf is tiny of images of so many channels.
func tinyOf(t testing.TB, channels int) *pretrained.Model {
	t.Helper()
	meta := pretrained.Meta{
		Method: "vicreg", Encoder: model.Config{Arch: "resnet10", Width: 4, Stem: "small", Input: model.ImageInput(16, channels)},
		Expander: model.Head{Widths: "8", Last: model.Plain}, Size: 16, Raw: channels > 3,
		Mean: slices.Repeat([]float64{0.5}, channels), Std: slices.Repeat([]float64{0.25}, channels), Seed: 1,
	}
	encoder, err := method.NewEncoder(meta.Encoder, meta.Seed, 0)
	if err != nil {
		t.Fatal(err)
	}
	expander, err := model.NewHead(encoder.Dim(), meta.Expander, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := pretrained.Save(path, meta, encoder, expander); err != nil {
		t.Fatal(err)
	}
	m, err := pretrained.Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestManyChannels: a model of five channels takes arrays and TIFF files, gives what it gives
// without a server, and says of pictures what is wrong with them.
func TestManyChannels(t *testing.T) {
	m := tinyOf(t, 5)
	s, err := New(m, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	data, err := os.ReadFile("../imagefile/testdata/bands/u8.tif")
	if err != nil {
		t.Fatal(err)
	}
	got := decoded[embedAnswer](t, ask(s, "POST", "/v1/embed", "image/tiff", data))
	if want := features(t, m, data); len(got.Embeddings) != 1 || !slices.Equal(got.Embeddings[0].Features, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if w := ask(s, "POST", "/v1/embed", "image/png", picture(1, 9, 9)); w.Code != 422 ||
		!strings.Contains(w.Body.String(), "it has 3 channels, but 5 are wanted") {
		t.Errorf("a picture: %d: %s", w.Code, w.Body)
	}
}

// picture is a PNG file, another for each number.
func picture(number, w, h int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(i*(2*number+7) + i*i>>6)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// features are those of a file that its model gives alone.
func features(t testing.TB, m *pretrained.Model, data []byte) []float32 {
	t.Helper()
	img, err := imagefile.Decode(data, imagefile.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := m.Image(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// started is a server of a tiny model and an index of n pictures.
func started(t testing.TB, n int, o Options) *Server {
	t.Helper()
	m := tiny(t)
	var x *index.File
	if n > 0 {
		var items []index.Item
		var all []float32
		for i := range n {
			items = append(items, index.Item{Name: fmt.Sprint(i, ".png"), Label: i%3 - 1})
			all = append(all, features(t, m, picture(i, 20, 18))...)
		}
		x = index.Of(index.Meta{Classes: []string{"even", "odd"}}, items, all, m.Encoder.Dim())
	}
	s, err := New(m, x, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// ask sends a request and returns the answer.
func ask(s *Server, method, target, kind string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.Host = "127.0.0.1:8081"
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for i := 0; i < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// form is a form with files.
func form(files ...[]byte) (kind string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i, f := range files {
		part, err := w.CreateFormFile("image", fmt.Sprintf(`C:\x\%d.png`, i))
		if err != nil {
			panic(err)
		}
		part.Write(f)
	}
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func decoded[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// An image has the bits that it has alone, however it is sent.
func TestEmbed(t *testing.T) {
	s := started(t, 0, Options{})
	files := [][]byte{picture(1, 40, 30), picture(2, 16, 16), picture(3, 9, 70)}
	var want [][]float32
	for _, f := range files {
		want = append(want, features(t, s.model, f))
	}
	one := decoded[embedAnswer](t, ask(s, "POST", "/v1/embed", "image/png", files[0]))
	if len(one.Embeddings) != 1 || !slices.Equal(one.Embeddings[0].Features, want[0]) || one.Model != s.about ||
		one.Embeddings[0].Name != "image" {
		t.Errorf("%+v", one)
	}
	kind, body := form(files...)
	all := decoded[embedAnswer](t, ask(s, "POST", "/v1/embed", kind, body))
	for i, e := range all.Embeddings {
		if e.Name != fmt.Sprint(i, ".png") || !slices.Equal(e.Features, want[i]) {
			t.Errorf("image %d: %+v", i, e)
		}
	}
	if len(all.Embeddings) != 3 {
		t.Errorf("%d embeddings", len(all.Embeddings))
	}
}

func TestSearch(t *testing.T) {
	s := started(t, 30, Options{})
	byImage := decoded[searchAnswer](t, ask(s, "POST", "/v1/search?k=4", "", picture(7, 20, 18)))
	vector, _ := json.Marshal(map[string]any{"vector": features(t, s.model, picture(7, 20, 18)), "k": 4})
	byVector := decoded[searchAnswer](t, ask(s, "POST", "/v1/search", "application/json", vector))
	for what, a := range map[string]searchAnswer{"image": byImage, "vector": byVector} {
		if len(a.Results) != 1 || a.Results[0].Query != what || len(a.Results[0].Matches) != 4 {
			t.Fatalf("%s: %+v", what, a)
		}
		first := a.Results[0].Matches[0]
		if first.Item != 7 || first.Name != "7.png" || first.Class != "even" || first.Cosine < 0.99999 {
			t.Errorf("%s: the first is %+v", what, first)
		}
	}
	if !slices.Equal(byImage.Results[0].Matches, byVector.Results[0].Matches) {
		t.Error("an image and its features find different images")
	}
	kind, body := form(picture(3, 20, 18), picture(4, 20, 18))
	two := decoded[searchAnswer](t, ask(s, "POST", "/v1/search", kind, body))
	if len(two.Results) != 2 || two.Results[1].Query != "1.png" || two.Results[1].Matches[0].Item != 4 ||
		len(two.Results[1].Matches) != 12 {
		t.Errorf("%+v", two)
	}
}

// What is wrong with a request is said, with a status that fits.
func TestFaults(t *testing.T) {
	s := started(t, 30, Options{Bytes: 20_000, Pixels: 10_000, Images: 3})
	good := picture(1, 20, 20)
	bomb := slices.Clone(picture(1, 8, 8))
	copy(bomb[16:], []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60})
	kind, body := form(good, good)
	manyKind, many := form(good, good, good, good)
	secondKind, second := form(good, []byte("no image"))
	empty, none := form()
	vector := func(format string) string {
		return strings.ReplaceAll(format, "V", "["+strings.Repeat("1,", s.index.D-1)+"1]")
	}
	for _, c := range []struct {
		what, method, target, kind, body string
		status                           int
		code                             string
	}{
		{"text", "POST", "/v1/embed", "", "no image at all", 422, "bad_image"},
		{"broken", "POST", "/v1/embed", "image/png", string(good[:len(good)/2]), 422, "bad_image"},
		{"claims too much", "POST", "/v1/search", "image/png", string(bomb), 422, "bad_image"},
		{"too many pixels", "POST", "/v1/embed", "image/png", string(grey(101, 100)), 422, "bad_image"},
		{"nothing", "POST", "/v1/embed", "image/png", "", 400, "no_image"},
		{"too large", "POST", "/v1/embed", "image/png", strings.Repeat("x", 20_001), 413, "too_large"},
		{"JSON", "POST", "/v1/embed", "application/json", "{}", 415, "not_an_image"},
		{"no boundary", "POST", "/v1/embed", "multipart/form-data", "x", 400, "bad_form"},
		{"cut form", "POST", "/v1/embed", kind, string(body[:len(body)/2]), 400, "cut_short"},
		{"large form", "POST", "/v1/embed", kind, string(body) + strings.Repeat("x", 20_000), 200, ""},
		{"empty form", "POST", "/v1/embed", empty, string(none), 400, "no_image"},
		{"many", "POST", "/v1/embed", manyKind, string(many), 413, "too_many_images"},
		{"second is bad", "POST", "/v1/search", secondKind, string(second), 422, "bad_image"},
		{"k of 0", "POST", "/v1/search?k=0", "", string(good), 400, "bad_k"},
		{"k of 1001", "POST", "/v1/search?k=1001", "", string(good), 400, "bad_k"},
		{"k of x", "POST", "/v1/search?k=x", "", string(good), 400, "bad_k"},
		{"probe", "POST", "/v1/search?probe=1", "", string(good), 400, "bad_probe"},
		{"short vector", "POST", "/v1/search", "application/json", `{"vector":[1,2]}`, 400, "bad_vector"},
		{"zeros", "POST", "/v1/search", "application/json", strings.ReplaceAll(vector(`{"vector":V}`), "1", "0"), 400, "bad_vector"},
		{"no JSON", "POST", "/v1/search", "application/json", `{"vector":[1,`, 400, "bad_vector"},
		{"too large a number", "POST", "/v1/search", "application/json", `{"vector":[1e99]}`, 400, "bad_vector"},
		{"unknown key", "POST", "/v1/search", "application/json", vector(`{"vector":V,"n":3}`), 400, "bad_vector"},
		{"more JSON", "POST", "/v1/search", "application/json", vector(`{"vector":V} {}`), 400, "bad_vector"},
		{"k in JSON", "POST", "/v1/search", "application/json", vector(`{"vector":V,"k":-3}`), 400, "bad_k"},
		{"long JSON", "POST", "/v1/search", "application/json", strings.Repeat(" ", 20_000), 413, "too_large"},
		{"GET", "GET", "/v1/embed", "", "", 405, "other_method"},
		{"POST", "POST", "/healthz", "", "", 405, "other_method"},
		{"nowhere", "GET", "/v2/embed", "", "", 404, "no_such_path"},
		{"no item", "GET", "/v1/items/30/thumbnail", "", "", 404, "no_such_item"},
		{"item of x", "GET", "/v1/items/x/thumbnail", "", "", 404, "no_such_item"},
		{"lost item", "GET", "/v1/items/3/thumbnail", "", "", 404, "no_picture"},
	} {
		w := ask(s, c.method, c.target, c.kind, []byte(c.body))
		if w.Code != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.what, w.Code, c.status, w.Body)
		}
		if c.status == 200 {
			continue
		}
		var e errorAnswer
		err := json.Unmarshal(w.Body.Bytes(), &e)
		if err != nil || e.Error.Code != c.code || len(e.Error.Message) < 10 || len(e.Error.Message) > 500 {
			t.Errorf("%s: %s, want code %s", c.what, w.Body, c.code)
		}
		for _, jargon := range []string{"goroutine", "panic", "json:", "serve.", "multipart:", "0x"} {
			if strings.Contains(e.Error.Message, jargon) {
				t.Errorf("%s: the message holds %q: %s", c.what, jargon, e.Error.Message)
			}
		}
	}
	if got := s.room.Load(); got != s.o.room {
		t.Errorf("%d bytes of the room are still taken", s.o.room-got)
	}
	bare := started(t, 0, Options{})
	if w := ask(bare, "POST", "/v1/search", "", good); w.Code != 404 || !strings.Contains(w.Body.String(), "no_index") {
		t.Errorf("without an index: %d %s", w.Code, w.Body)
	}
}

// grey is a JPEG file of one colour.
func grey(w, h int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, w, h)), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestWhoMayAsk(t *testing.T) {
	good := picture(1, 20, 20)
	open, closed := started(t, 3, Options{}), started(t, 3, Options{Token: "correct horse"})
	for _, c := range []struct {
		what   string
		s      *Server
		method string
		target string
		status int
		header []string
	}{
		{"localhost", open, "POST", "/v1/embed", 200, []string{"Host", "localhost:8081"}},
		{"IPv6", open, "POST", "/v1/embed", 200, []string{"Host", "[::1]:8081"}},
		{"bare IPv6", open, "POST", "/v1/embed", 200, []string{"Host", "[::1]"}},
		{"a name that leads here", open, "POST", "/v1/embed", 403, []string{"Host", "evil.example:8081"}},
		{"a page elsewhere", open, "POST", "/v1/embed", 403, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}},
		{"the own page", open, "POST", "/v1/embed", 200, []string{"Origin", "http://127.0.0.1:8081", "Sec-Fetch-Site", "same-origin"}},
		{"no token", closed, "POST", "/v1/embed", 401, nil},
		{"no token", closed, "GET", "/metrics", 401, nil},
		{"no token", closed, "GET", "/v1/items/0/thumbnail", 401, nil},
		{"health needs none", closed, "GET", "/healthz", 200, []string{"Host", "photos.example"}},
		{"the page needs none", closed, "GET", "/", 200, nil},
		{"wrong", closed, "POST", "/v1/search", 401, []string{"Authorization", "Bearer correct horsf"}},
		{"shorter", closed, "POST", "/v1/search", 401, []string{"Authorization", "Bearer correct"}},
		{"no Bearer", closed, "POST", "/v1/search", 401, []string{"Authorization", "correct horse"}},
		{"right", closed, "POST", "/v1/search", 200, []string{"Authorization", "Bearer correct horse", "Host", "photos.example"}},
	} {
		w := ask(c.s, c.method, c.target, "image/png", good, c.header...)
		if w.Code != c.status {
			t.Errorf("%s: %s is %d, want %d: %s", c.what, c.target, w.Code, c.status, w.Body)
		}
		if (w.Header().Get("WWW-Authenticate") == "Bearer") != (c.status == 401) {
			t.Errorf("%s: WWW-Authenticate is %q", c.what, w.Header().Get("WWW-Authenticate"))
		}
	}
}

// Who comes when there is no room is told to try again, and nobody waits for ever.
func TestBusy(t *testing.T) {
	s := started(t, 3, Options{Concurrency: 1, Timeout: 100 * time.Millisecond, Bytes: 5_000, room: 5_000})
	for range cap(s.decoding) {
		s.decoding <- struct{}{} // as if large images were decoded
	}
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- ask(s, "POST", "/v1/embed", "", picture(1, 20, 20)) }()
	for len(s.working) == 0 {
		time.Sleep(time.Millisecond)
	}
	again := func(what string, w *httptest.ResponseRecorder) {
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), `"busy"`) {
			t.Errorf("%s: %d %s, Retry-After %q", what, w.Code, w.Body, w.Header().Get("Retry-After"))
		}
	}
	again("too many at once", ask(s, "POST", "/v1/embed", "", picture(1, 20, 20)))
	again("took too long", <-first)
	for range cap(s.decoding) {
		<-s.decoding
	}
	s.room.Add(-4_900)
	again("no room", ask(s, "POST", "/v1/embed", "", picture(1, 20, 20)))
	s.room.Add(4_900)
	if w := ask(s, "POST", "/v1/embed", "", picture(1, 20, 20)); w.Code != 200 {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

// Images that wait go together, and get the bits that each has alone.
func TestQueueMerges(t *testing.T) {
	s := started(t, 0, Options{})
	if s.Merged() != together {
		t.Skipf("on this processor %d images may go together", s.Merged())
	}
	const n = 40
	var want [n][]float32
	for i := range n {
		want[i] = features(t, s.model, picture(i, 16, 16))
	}
	var files [][]byte
	for i := range n {
		files = append(files, picture(i, 16, 16))
	}
	kind, body := form(files...)
	a := decoded[embedAnswer](t, ask(s, "POST", "/v1/embed", kind, body))
	for i, e := range a.Embeddings {
		if !slices.Equal(e.Features, want[i]) {
			t.Errorf("image %d has other features in company", i)
		}
	}
	if got := s.queue.images.Load(); got != n {
		t.Errorf("%d images went through the network", got)
	}
}

// What is the server's own fault is told to whoever runs it, and to no client.
func TestDamagedIndex(t *testing.T) {
	m := tiny(t)
	path := filepath.Join(t.TempDir(), "x.index")
	w, err := index.Create(path, index.Meta{}, 1, m.Encoder.Dim(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(features(t, m, picture(1, 20, 18))); err != nil {
		t.Fatal(err)
	}
	x, err := w.Close(t.Context(), []index.Item{{Name: "a", Label: -1}}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var told []error
	s, err := New(m, x, Options{Failed: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.Truncate(path, 70); err != nil {
		t.Fatal(err)
	}
	got := ask(s, "POST", "/v1/search", "", picture(1, 20, 18))
	if got.Code != 500 || strings.Contains(got.Body.String(), path) || len(told) != 1 ||
		!strings.Contains(told[0].Error(), path) {
		t.Errorf("%d %s, told %v", got.Code, got.Body, told)
	}
}

// The page asks this server alone, and runs no script but its own.
func TestPage(t *testing.T) {
	w := ask(started(t, 3, Options{}), "GET", "/", "", nil)
	csp := w.Header().Get("Content-Security-Policy")
	kind := w.Header().Get("Content-Type")
	if w.Code != 200 || !strings.HasPrefix(kind, "text/html") || !strings.HasPrefix(csp, "default-src 'none'") ||
		strings.Contains(w.Body.String(), "http://") || strings.Contains(w.Body.String(), "https://") {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}

func TestMetrics(t *testing.T) {
	s := started(t, 3, Options{Version: "1.2"})
	ask(s, "POST", "/v1/embed", "", picture(1, 20, 20))
	ask(s, "POST", "/v1/embed", "", []byte("none"))
	raw, err := io.ReadAll(ask(s, "GET", "/metrics", "", nil).Body)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, want := range []string{
		`vicreg_requests_total{path="/v1/embed",code="200"} 1`, `vicreg_requests_total{path="/v1/embed",code="422"} 1`,
		`vicreg_request_seconds_bucket{path="/v1/embed",le="+Inf"} 2`, `vicreg_request_seconds_count{path="/v1/embed"} 2`,
		"vicreg_images_total 1", "vicreg_bad_images_total 1", "vicreg_index_images 3", `vicreg_build_info{version="1.2"} 1`,
		"vicreg_requests_in_flight 1", "# TYPE vicreg_request_seconds histogram",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(text) { // each family once, its type before its values
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if seen[name] {
				t.Errorf("%s comes twice", name)
			}
			seen[name] = true
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		for _, end := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, end)
		}
		if !strings.HasPrefix(line, "#") && !seen[name] {
			t.Errorf("%s has no type", line)
		}
	}
}
