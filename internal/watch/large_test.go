package watch

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/runlog"
)

// manyRuns writes the folders of n runs of so many epochs. All share the bytes of one log.
func manyRuns(t testing.TB, root string, n, epochs int) {
	t.Helper()
	first := testRun(t, filepath.Join(root, "run-000"), smallConfig)
	var text strings.Builder
	for e := 1; e <= epochs; e++ {
		for s := 1; s <= 3; s++ {
			text.WriteString(stepLine(e, 30*(e-1)+10*s, 10+10/float64(e)))
		}
		line := epochLine(e, 30*e, 10+10/float64(e), 0.5)
		ranks, values := "1", "0.9876"
		for k := range 31 {
			ranks, values = fmt.Sprintf("%s,%d", ranks, k+2), fmt.Sprintf("%s,%.4g", values, 0.9/float64(k+2))
		}
		line = strings.Replace(line, "[1,2,3]", "["+ranks+"]", 1)
		text.WriteString(strings.Replace(line, "[3,2,1]", "["+values+"]", 1))
	}
	first.write(text.String())
	for i := 1; i < n; i++ {
		dir := filepath.Join(root, fmt.Sprintf("run-%03d", i))
		config := strings.Replace(smallConfig, "25", fmt.Sprint(i), 1)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, runlog.ConfigFile), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(first.path, filepath.Join(dir, runlog.MetricsFile)); err != nil {
			t.Skip(err)
		}
	}
}

// The page of many long runs opens at once, and the server stays small.
func TestManyLongRuns(t *testing.T) {
	root := t.TempDir()
	manyRuns(t, root, 200, 1000)
	w := New(root)
	h := w.handler(context.Background(), "")
	check.Bounded(t, 400, time.Second, func() {
		if r := get(h, "/"); r.Code != http.StatusOK || strings.Count(r.Body.String(), "<tr data-id") != 200 {
			t.Errorf("%d, %d rows", r.Code, strings.Count(r.Body.String(), "<tr data-id"))
		}
	})
	for i := range 12 { // more than a page shows at once
		c, ok, err := w.history(fmt.Sprintf("run-%03d", i), 600, 0, math.Inf(1))
		if !ok || err != nil || len(c.Step.X) > 1202 || len(c.Epoch.X) != 1000 || len(c.Spectra) != mostDrawnSpectra {
			t.Fatalf("run %d: %v, %v, %d and %d points", i, ok, err, len(c.Step.X), len(c.Epoch.X))
		}
	}
	w.mu.Lock()
	w.forget()
	w.mu.Unlock()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 50<<20 {
		t.Errorf("%d MiB are held", m.HeapAlloc>>20)
	}
	t.Logf("%d MiB are held, %d MiB of the system", m.HeapAlloc>>20, m.Sys>>20)
	// To look again costs little: nothing has changed.
	w.mu.Lock()
	w.looked = time.Time{}
	w.mu.Unlock()
	check.Bounded(t, 20, 200*time.Millisecond, func() { w.look(time.Now()) })
}
