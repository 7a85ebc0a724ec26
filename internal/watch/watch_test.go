package watch

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/runlog"
)

// testRun writes the folder of a run that is under way, and returns its log.
func testRun(t testing.TB, dir, config string) *testLog {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, runlog.ConfigFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	l := &testLog{t: t, path: filepath.Join(dir, runlog.MetricsFile)}
	l.write("")
	return l
}

const smallConfig = "method: vicreg\ndata:\n  source: /data/photos\nbatch: 64\nepochs: 10\nlog_every: 10\nloss:\n  lambda: 25\n"

type testLog struct {
	t    testing.TB
	path string
}

func (l *testLog) write(text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func stepLine(epoch, step int, loss float64) string {
	return fmt.Sprintf(`{"event":"step","epoch":%d,"step":%d,"loss":%g,"invariance":%g,"variance":0.5,"covariance":1.5,"lr":0.1,"grad_norm":2,"images_per_second":640,"wait_share":0.01}`+"\n",
		epoch, step, loss, loss/100)
}

func epochLine(epoch, step int, loss, knn float64) string {
	return fmt.Sprintf(`{"event":"epoch","epoch":%d,"step":%d,"loss":%g,"invariance":%g,"variance":0.5,"covariance":1.5,"lr":0.1,"images_per_second":640,"wait_share":0.01,"embedding_std":0.5,"correlation":0.1,"rank":40,"collapsed":false,"knn":%g,"spectrum":{"ranks":[1,2,3],"eigenvalues":[3,2,1]},"seconds":%d}`+"\n",
		epoch, step, loss, loss/100, knn, 10*epoch)
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{".", "a", "a/epochs-2", "b/c/d", "b/.hidden", "deep/1/2/3"} {
		testRun(t, filepath.Join(root, dir), smallConfig)
	}
	os.WriteFile(filepath.Join(root, "b", runlog.ConfigFile), []byte("x"), 0o644) // a configuration alone is no run
	os.Symlink(root, filepath.Join(root, "b", "loop"))
	ids, notes := find(root, usual)
	if want := []string{".", "a", "a/epochs-2", "b/c/d", "deep/1/2/3"}; !slices.Equal(ids, want) || notes != nil {
		t.Errorf("found %v, want %v; notes %v", ids, want, notes)
	}
	for _, c := range []struct {
		most limits
		runs int
		note string
	}{
		{limits{depth: 2, folders: 100, entries: 100, runs: 100}, 4, "too deep"},
		{limits{depth: 8, folders: 3, entries: 100, runs: 100}, 2, "more than 3 folders"},
		{limits{depth: 8, folders: 100, entries: 2, runs: 100}, 2, "of more than 2 entries"},
		{limits{depth: 8, folders: 100, entries: 100, runs: 2}, 2, "more than 2 runs"},
	} {
		ids, notes := find(root, c.most)
		if len(ids) > c.runs || !strings.Contains(strings.Join(notes, "\n"), c.note) {
			t.Errorf("%+v: found %v; notes %q", c.most, ids, notes)
		}
	}
	if ids, notes := find(filepath.Join(root, "nothing"), usual); ids != nil || notes != nil {
		t.Errorf("nothing: %v, %v", ids, notes)
	}
}

func TestStates(t *testing.T) {
	now := time.Unix(1e9, 0)
	ended := &runlog.Summary{}
	judged := &runlog.Summary{Verdict: &runlog.Verdict{Is: runlog.Collapsed}}
	for _, c := range []struct {
		what string
		f    facts
		want State
		live bool
	}{
		{"a process writes", facts{held: true, known: true, written: now.Add(-time.Minute)}, Running, true},
		{"it is silent", facts{held: true, known: true, written: now.Add(-time.Hour)}, Stalled, false},
		{"its epochs are long", facts{held: true, known: true, written: now.Add(-time.Hour), epoch: 2 * time.Hour}, Running, true},
		{"its lines are rare", facts{held: true, known: true, written: now.Add(-time.Hour), line: 4 * time.Minute}, Running, true},
		{"it is being scored", facts{held: true, known: true, written: now.Add(-10 * time.Minute), trained: true}, Running, true},
		{"nobody holds the lock", facts{known: true, written: now}, Stopped, false},
		{"it collapses", facts{held: true, known: true, written: now, collapsed: true}, Collapsed, true},
		{"it was stopped collapsed", facts{known: true, written: now, collapsed: true}, Collapsed, false},
		{"it failed", facts{known: true, written: now, failed: true}, Failed, false},
		{"it was resumed after it failed", facts{held: true, known: true, written: now, failed: true}, Running, true},
		{"locks are not known", facts{written: now}, Running, true},
		{"nor does it write", facts{written: now.Add(-time.Hour)}, Stopped, false},
		{"it has ended", facts{known: true, summary: ended}, Finished, false},
		{"collapsed", facts{known: true, summary: &runlog.Summary{Collapsed: true}}, Collapsed, false},
		{"by its verdict", facts{known: true, summary: judged}, Collapsed, false},
	} {
		c.f.now = now
		if s, live := c.f.state(); s != c.want || live != c.live {
			t.Errorf("%s: %s, live %v", c.what, s, live)
		}
	}
}

func TestDifferences(t *testing.T) {
	dir := t.TempDir()
	read := func(text string) []Setting {
		t.Helper()
		testRun(t, dir, text)
		s, err := readSettings(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := read(smallConfig + "views:\n  - crop: 0.2\n    ratio: [0.75, 1.5]\n  - crop: 0.3\n")
	b := read(strings.Replace(smallConfig, "25", "10", 1) + "views:\n  - crop: 0.2\n    ratio: [0.75, 1]\n  - crop: 0.3\ntune: true\n")
	got := differences([][]Setting{a, b, a})
	want := []Difference{{"loss.lambda", []string{"25", "10", "25"}}, {"views.1.ratio", []string{"0.75, 1.5", "0.75, 1", "0.75, 1.5"}},
		{"tune", []string{"", "true", ""}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, text := range []string{"", "- 1", "a: [", "null"} {
		testRun(t, dir, text)
		if _, err := readSettings(dir); err == nil || !strings.Contains(err.Error(), "config.yaml is damaged") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is drawn keeps every peak, however many rows there are, and is no larger than what
// pixels show.
func TestDrawKeepsPeaks(t *testing.T) {
	var c columns
	const n = 50_000
	for i := range n {
		v := math.Sin(float64(i) / 5000)
		if i == 31_234 {
			v = 9
		}
		values := []float64{v, 1}
		c.add(i*10, []string{"a", "b"}[:1+min(1, i%2)], values[:1+min(1, i%2)])
	}
	c.add(5, []string{"a"}, []float64{100}) // goes back
	d := c.draw(300, 0, math.Inf(1))
	if len(d.X) > 602 || len(d.Y[0]) != len(d.X) || len(d.Y[1]) != len(d.X) {
		t.Fatalf("%d points", len(d.X))
	}
	if m := slices.Max(d.Y[0]); m != 9 {
		t.Errorf("the largest is %v", m)
	}
	if !slices.IsSorted(d.X) || d.X[0] != 0 || d.X[len(d.X)-1] != 10*(n-1) {
		t.Errorf("from %v to %v", d.X[0], d.X[len(d.X)-1])
	}
	near := c.draw(300, 312_300, 312_400)
	if len(near.X) != 13 || slices.Max(near.Y[0]) != 9 {
		t.Errorf("near the peak: %v %v", near.X, near.Y[0])
	}
	raw, err := numbers{1, math.NaN(), math.Inf(1), 1e-9}.MarshalJSON()
	if string(raw) != "[1,null,null,1e-09]" || err != nil {
		t.Errorf("%s, %v", raw, err)
	}
	var none columns
	if d := none.draw(300, 0, 1); len(d.X) != 0 {
		t.Errorf("of nothing: %v", d)
	}
}

// get asks a handler as a browser on this machine would.
func get(h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8080"+path, nil)
	for _, c := range change {
		c(req)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestPages(t *testing.T) {
	root := t.TempDir()
	l := testRun(t, filepath.Join(root, "a <b>"), smallConfig)
	l.write(stepLine(1, 10, 20) + epochLine(1, 20, 18, 0.5) + stepLine(2, 30, 16) +
		`{"event":"warning","epoch":2,"step":25,"message":"<script>alert(1)</script>"}` + "\nnonsense\n")
	testRun(t, filepath.Join(root, "other"), strings.Replace(smallConfig, "64", "128", 1))
	unlock, err := runlog.Lock(filepath.Join(root, "a <b>"))
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	h := New(root).handler(context.Background(), "")
	id := url.QueryEscape("a <b>")
	for path, want := range map[string][]string{
		"/":             {"2 runs below", "a &lt;b&gt;", "1.5 of 10", "photos", "50.0%", "metrics.jsonl is damaged: 1 line"},
		"/run?id=" + id: {"loss.lambda", "&lt;script&gt;alert", "step 25", "nonsense", "epoch 1.5 of 10", "running", "1 min left"},
		"/curves?id=" + id: {`"per":20`, `"x":[10,30],"names":["loss","term invariance"`, `"y":[[20,16]`, `"names":["loss","term invariance","term variance","term covariance","std"`,
			`"ranks":[1,2,3],"values":[3,2,1]`, `{"x":25,"text":"\u003cscript`},
		"/settings?id=other&id=" + id: {`{"key":"batch","values":["128","64"]}`},
	} {
		w := get(h, path)
		for _, text := range want {
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %d, without %q:\n%s", path, w.Code, text, w.Body)
			}
		}
		if p := w.Header().Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") {
			t.Errorf("%s: policy %q", path, p)
		}
	}
	for path, status := range map[string]int{"/run?id=none": 404, "/curves": 404, "/settings?id=none": 404, "/x": 404,
		"/bundle/old/app.js": 404, "/bundle/" + bundleName + "/app.js": 200, "/bundle/" + bundleName + "/licences.txt": 200,
		"/run?id=..": 404, "/settings?" + strings.Repeat("id=a&", 13): 400} {
		if w := get(h, path); w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
	}
}

// A run that is taught classes has no figures of embeddings, and its classifier's in a column of its
// own; one without labels has views found. What a new plan takes back is no longer told.
func TestFiguresOfKinds(t *testing.T) {
	root := t.TempDir()
	tuned := testRun(t, filepath.Join(root, "tuned"), smallConfig)
	tuned.write(`{"event":"epoch","epoch":1,"step":5,"loss":1,"embedding_std":0,"correlation":0,"rank":0,"classified":{"top1":0.5,"scored":80},"seconds":1}` + "\n")
	bare := testRun(t, filepath.Join(root, "bare"), smallConfig)
	bare.write(`{"event":"warning","epoch":1,"step":0,"message":"few steps"}` + "\n" +
		strings.Replace(epochLine(1, 5, 12, 0), `"knn":0`, `"views":{"r1":0.125}`, 1) +
		`{"event":"replan","epoch":1,"step":5,"from_epochs":1,"to_epochs":9,"withdrawn":["few steps"]}` + "\n")
	w := New(root)
	w.look(time.Now())
	for id, want := range map[string]map[string]string{
		"tuned": {"top 1": "50.0%", "linear": "", "rank": "", "std": "", "views": ""},
		"bare":  {"views": "12.5%", "top 1": "", "kNN": "", "rank": "40", "std": "0.5"},
	} {
		row := w.row(w.runs[id])
		for i, c := range figureColumns {
			if text, ok := want[c.Name]; ok && row.Cells[i].Text != text {
				t.Errorf("%s, %s: %q, want %q", id, c.Name, row.Cells[i].Text, text)
			}
		}
	}
	h := New(root).handler(context.Background(), "")
	for path, want := range map[string]string{"/curves?id=tuned": `"top 1"`, "/curves?id=bare": `"rank"`, "/run?id=bare": "now for 9"} {
		body := get(h, path).Body.String()
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s:\n%s", path, want, body)
		}
		if path == "/curves?id=tuned" && strings.Contains(body, `"rank"`) {
			t.Errorf("a rank of no embedding:\n%s", body)
		}
		if marks, _, _ := strings.Cut(body, "End of the log"); path == "/run?id=bare" && strings.Contains(marks, "few steps") {
			t.Errorf("a warning that is taken back:\n%s", marks)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	root := t.TempDir()
	testRun(t, root, smallConfig)
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	open := New(root).handler(context.Background(), "")
	if w := get(open, "/", host("evil.example")); w.Code != http.StatusForbidden {
		t.Errorf("another host's name: %d", w.Code)
	}
	if w := get(open, "/curves?id=.", header("Sec-Fetch-Site", "cross-site")); w.Code != http.StatusForbidden {
		t.Errorf("another site: %d", w.Code)
	}
	const token = "a long secret"
	h := New(root).handler(context.Background(), token)
	for path, status := range map[string]int{"/": 303, "/run?id=.": 303, "/curves?id=.": 401, "/events": 401, "/login": 200} {
		if w := get(h, path, host("anywhere.example")); w.Code != status {
			t.Errorf("%s without a token: %d", path, w.Code)
		}
		if status == 200 {
			continue
		}
		if w := get(h, path, header("Authorization", "Bearer another")); w.Code != status {
			t.Errorf("%s with another token: %d", path, w.Code)
		}
	}
	if w := get(h, "/", header("Authorization", "Bearer "+token)); w.Code != http.StatusOK {
		t.Errorf("with the token: %d", w.Code)
	}
	enter := func(token string) *http.Response {
		req := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		return w.Result()
	}
	if r := enter("another"); r.StatusCode != http.StatusForbidden || len(r.Cookies()) > 0 {
		t.Errorf("another token: %s", r.Status)
	}
	r := enter(token)
	if len(r.Cookies()) != 1 || !r.Cookies()[0].HttpOnly {
		t.Fatalf("the token: %s, %v", r.Status, r.Cookies())
	}
	if w := get(h, "/", func(q *http.Request) { q.AddCookie(r.Cookies()[0]) }); w.Code != http.StatusOK {
		t.Errorf("with the cookie: %d", w.Code)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Skip(err)
	}
	if err := New(root).Serve(context.Background(), l, ""); err == nil || !strings.Contains(err.Error(), "there is no token") {
		t.Errorf("open to all without a token: %v", err)
	}
}

// A stream tells what is new in the table and of a run, that runs came and went, and its end.
func TestEvents(t *testing.T) {
	root := t.TempDir()
	l := testRun(t, filepath.Join(root, "a"), smallConfig)
	w := New(root)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, listener, "") }()
	stream := func(path string) func(want string) {
		answer, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		texts := make(chan string, 99)
		go func() {
			buf := make([]byte, 1<<20)
			for {
				n, err := answer.Body.Read(buf)
				texts <- string(buf[:n])
				if err != nil {
					close(texts)
					return
				}
			}
		}()
		return func(want string) {
			t.Helper()
			var all strings.Builder
			late := time.After(20 * time.Second)
			for !strings.Contains(all.String(), want) {
				select {
				case text, ok := <-texts:
					if all.WriteString(text); !ok {
						t.Fatalf("%s ended without %q:\n%s", path, want, all.String())
					}
				case <-late:
					t.Fatalf("%s did not say %q:\n%s", path, want, all.String())
				}
			}
		}
	}
	table, one := stream("/events"), stream("/events?id=a")
	table("0 of 10")
	one("epoch 0 of 10")
	l.write(stepLine(1, 10, 20) + epochLine(1, 20, 18, 0.625))
	table("62.5%")
	one("epoch 1 of 10")
	testRun(t, filepath.Join(root, "b"), smallConfig)
	w.mu.Lock()
	w.found = time.Time{} // do not wait for the next search
	w.mu.Unlock()
	table(`"order":["b","a"]`)
	os.RemoveAll(filepath.Join(root, "a"))
	w.mu.Lock()
	w.found = time.Time{}
	w.mu.Unlock()
	table(`"gone":["a"]`)
	one(`"gone":true`)
	cancel()
	table("event: end")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A watcher reads on in a log, never anew, and takes one that was cut for another.
func TestReadsOn(t *testing.T) {
	root := t.TempDir()
	l := testRun(t, root, smallConfig)
	var all strings.Builder
	for i := range 2000 {
		all.WriteString(stepLine(1+i/20, 10*(i+1), 5))
	}
	l.write(all.String())
	w := New(root)
	w.look(time.Now())
	points := func() []float64 {
		t.Helper()
		c, ok, err := w.history(".", 4000, 0, math.Inf(1))
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		return c.Step.X
	}
	if n := len(points()); n != 2000 {
		t.Fatalf("%d points", n)
	}
	h := w.runs["."].full
	h.steps.step = h.steps.step[:0:0] // whoever reads anew would bring them back
	h.steps.value, h.steps.names = nil, nil
	l.write(stepLine(100, 20_010, 5))
	if x := points(); !slices.Equal(x, []float64{20_010}) {
		t.Errorf("read on: %v", x[:min(5, len(x))])
	}
	os.Truncate(l.path, int64(len(stepLine(1, 10, 5))))
	l.write(stepLine(1, 20, 5))
	if x := points(); !slices.Equal(x, []float64{10, 20}) {
		t.Errorf("after a cut: %v", x)
	}
}

func TestHistoriesAreForgotten(t *testing.T) {
	root := t.TempDir()
	for i := range 3 {
		testRun(t, filepath.Join(root, fmt.Sprint(i)), smallConfig).write(stepLine(1, 10, 5))
	}
	w := New(root)
	w.look(time.Now())
	for i := range 3 {
		w.history(fmt.Sprint(i), 100, 0, 1)
		w.runs[fmt.Sprint(i)].full.steps.step = make([]int32, mostMemory/8)
	}
	w.mu.Lock()
	w.forget()
	w.mu.Unlock()
	if w.runs["0"].full != nil || w.runs["2"].full == nil {
		t.Error("the history that was looked at last must stay, the first go")
	}
}
