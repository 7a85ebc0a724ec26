package watch

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/atlas"
)

func TestMapPages(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a")
	testRun(t, dir, smallConfig)
	testRun(t, filepath.Join(root, "b"), smallConfig)
	folder := filepath.Join(dir, atlas.Folder)
	if err := os.CopyFS(folder, os.DirFS("../atlas/testdata/map")); err != nil {
		t.Fatal(err)
	}
	w := New(root)
	h := w.handler(context.Background(), "")
	for path, want := range map[string]string{
		"/map?id=a":                    "240 of 1200 images of squares",
		"/map/data?id=a":               `"classes":["red","yellow"`,
		"/map/neighbours?id=a&point=3": `"now":[`,
		"/map/sheet?id=a&n=0":          "\xff\xd8",
		"/run?id=a":                    `href="/map?id=a"`,
	} {
		if r := get(h, path); r.Code != http.StatusOK || !strings.Contains(r.Body.String(), want) {
			t.Errorf("%s: %d, without %q", path, r.Code, want)
		}
	}
	for _, path := range []string{"/map?id=b", "/map?id=c", "/map/neighbours?id=a&point=240", "/map/neighbours?id=a&point=-1",
		"/map/sheet?id=a&n=9", "/map/sheet?id=a&n=x"} {
		if r := get(h, path); r.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.Code)
		}
	}
	if r := get(h, "/run?id=b"); strings.Contains(r.Body.String(), "/map?id") {
		t.Error("a run without a map has a link to it")
	}
	if p := get(h, "/run?id=a").Header().Get("Content-Security-Policy"); strings.Contains(p, "unsafe") {
		t.Errorf("the policy of a page without a map is %q", p)
	}
	// A map that is another one, or damaged.
	os.WriteFile(filepath.Join(folder, atlas.FileName), []byte("{}"), 0o644)
	w.mu.Lock()
	w.looked = time.Time{}
	w.mu.Unlock()
	if r := get(h, "/map?id=a"); r.Code != 500 || !strings.Contains(r.Body.String(), "is no map that can be shown") {
		t.Errorf("a damaged map: %d %s", r.Code, r.Body)
	}
}
