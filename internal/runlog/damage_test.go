package runlog

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// logged writes a few lines and returns the place behind them.
func logged(t testing.TB, dir string) Mark {
	t.Helper()
	l, _, err := Open(dir, Mark{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, e := range []any{
		Warning{Event: "warning", Epoch: 1, Message: "skipped"},
		Step{Event: "step", Epoch: 1, Step: 1, Loss: 2.5, Terms: terms, LR: 0.1, GradNorm: 3, Images: 100},
		Epoch{Event: "epoch", Epoch: 1, Step: 1, Loss: 2.5, Terms: terms, Rank: 30, Seconds: 1.5},
	} {
		if err := l.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	mark, err := l.Sync()
	if err != nil {
		t.Fatal(err)
	}
	return mark
}

// No byte of the metrics before a checkpoint changes or goes unseen.
func TestDamagedMetrics(t *testing.T) {
	dir := t.TempDir()
	mark := logged(t, dir)
	path := filepath.Join(dir, MetricsFile)
	good, _ := os.ReadFile(path)
	if mark.Size != int64(len(good)) {
		t.Fatalf("the mark is at %d of %d bytes", mark.Size, len(good))
	}
	refused := func(raw []byte, at Mark, want string) {
		t.Helper()
		os.WriteFile(path, raw, 0o644)
		if l, _, err := Open(dir, at); err == nil {
			l.Close()
			t.Errorf("accepted:\n%s", raw)
		} else if !strings.Contains(err.Error(), path+want) || !strings.Contains(err.Error(), "touch "+path) {
			t.Errorf("%v, want %s", err, want)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, raw) {
			t.Error("what was refused was changed")
		}
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		refused(append(b, good...), mark, " is damaged: ")
		if i%9 == 1 {
			refused(good[:i], mark, " has ")
		}
	}
	refused(bytes.Replace(good, []byte(`"loss":2.5`), []byte(`"loss":2.4`), 1), mark, " is damaged: the checksum of its first ")
	refused(bytes.Replace(good, []byte(`"loss":2.5`), []byte(`"loss":2,5`), 1), mark, ` is damaged: line 2 is not what a run writes: "{\"event\":\"step\"`)

	// Older versions left no checksum.
	old := Mark{Size: mark.Size}
	refused(bytes.Replace(good, []byte(`"rank":30`), []byte(`"rank":x0`), 1), old, " is damaged: line 3 ")
	refused(good, Mark{Size: mark.Size - 1}, " is damaged: a line goes on ")
	os.WriteFile(path, good, 0o644)
	l, _, err := Open(dir, old)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := l.Sync(); err != nil || now != mark {
		t.Errorf("an old log goes on at %v, want %v: %v", now, mark, err)
	}
	l.Close()

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, mark); err == nil || !strings.Contains(err.Error(), path+" is missing; ") {
		t.Errorf("no metrics: %v", err)
	}
	os.WriteFile(path, nil, 0o644)
	l, anew, err := Open(dir, mark)
	if err != nil || !anew {
		t.Fatalf("an empty file in place of the old one: %v, %v", anew, err)
	}
	l.Close()
}

// Metrics that are a link are never written to.
func TestMetricsThatAreALink(t *testing.T) {
	dir := t.TempDir()
	mark := logged(t, dir)
	path, precious := filepath.Join(dir, MetricsFile), filepath.Join(dir, "precious")
	if err := os.Rename(path, precious); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("precious", path); err != nil {
		t.Skip(err)
	}
	before, _ := os.ReadFile(precious)
	for _, at := range []Mark{{}, mark} {
		if _, _, err := Open(dir, at); err == nil || !strings.Contains(err.Error(), path+": it is a link") {
			t.Errorf("%v: %v", at, err)
		}
	}
	if now, _ := os.ReadFile(precious); !bytes.Equal(now, before) {
		t.Error("a link was written through")
	}
	if _, err := ReadMetrics(dir); err != nil {
		t.Errorf("reading through a link: %v", err)
	}
}

func TestDamagedSummary(t *testing.T) {
	dir := t.TempDir()
	knn := 0.5
	s := &Summary{Method: "vicreg", Images: 8000, Loss: 12, Terms: terms, Scores: Scores{KNN: &knn}, Version: "v",
		Bad: []string{"a.jpg: truncated"}, Started: time.Unix(10, 0).UTC(), Finished: time.Unix(20, 0).UTC()}
	if err := WriteSummary(dir, s); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, SummaryFile)
	good, _ := os.ReadFile(path)
	for what, raw := range map[string]string{
		"another score":  strings.Replace(string(good), `"knn": 0.5`, `"knn": 0.9`, 1),
		"another key":    strings.Replace(string(good), `"knn"`, `"kmn"`, 1),
		"half":           string(good[:len(good)/2]),
		"nothing":        "",
		"null":           "null",
		"something else": "[1]",
	} {
		os.WriteFile(path, []byte(raw), 0o644)
		if _, err := ReadSummary(dir); err == nil || !strings.Contains(err.Error(), path+" is damaged: ") ||
			!strings.Contains(err.Error(), "pretrain --resume "+dir) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Laid out otherwise, or without a checksum, it is the same summary.
	for _, raw := range []string{strings.ReplaceAll(string(good), "\n", ""),
		string(good[:bytes.LastIndexByte(good, ',')]) + "}"} {
		os.WriteFile(path, []byte(raw), 0o644)
		if got, err := ReadSummary(dir); err != nil || *got.KNN != knn {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// A log that holds more than the warnings a run begins with is not begun anew.
func TestFresh(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MetricsFile)
	if err := Fresh(dir); err != nil {
		t.Errorf("no metrics: %v", err)
	}
	const skipped = `{"event":"warning","epoch":1,"step":0,"message":"skipped: a.jpg"}` + "\n"
	for _, text := range []string{"", skipped, skipped + skipped, skipped + skipped[:7], skipped[:30]} {
		os.WriteFile(path, []byte(text), 0o644)
		if err := Fresh(dir); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		skipped + `{"event":"step","epoch":1,"step":40,"loss":1}` + "\n":                                "2 lines, the last of them of step 40",
		`{"event":"epoch","epoch":1,"step":5,"loss":1}` + "\n" + `{"event":"warning","epoch":1}` + "\n": "2 lines, the last of them of step 5",
		`{"event":"warning","epoch":2,"step":7,"message":"x"}` + "\n":                                   "1 line, the last of them of step 7",
		`{"event":"step","epoch":1,"step":9,"loss":1}` + "\n" + `{"event":"replan","step":9}` + "\n":    "2 lines, the last of them of step 9",
		`{"time":1}` + "\n": "line 1 is not what a run writes",
		"notes\n":           "line 1 is not what a run writes",
		"notes":             "its last line is not what a run writes",
	} {
		os.WriteFile(path, []byte(text), 0o644)
		if err := Fresh(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Lines and summaries of any kind take little more memory than their bytes.
func TestLargeLines(t *testing.T) {
	var keys strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&keys, `"%d":1,`, i)
	}
	for what, text := range map[string]string{
		"keys":    `{"event":"step",` + keys.String() + `"loss":1}` + "\n",
		"nesting": `{"event":"epoch","x":` + strings.Repeat("[", 1<<20) + "\n",
		"one":     strings.Repeat("x", 10<<20),
		"none":    strings.Repeat("\n", 4<<20),
	} {
		check.Bounded(t, 300, 5*time.Second, func() {
			m, err := readMetrics(strings.NewReader(text))
			if err == nil && len(m.Steps) == 0 {
				t.Errorf("%s: accepted", what)
			} else if err != nil && len(err.Error()) > 400 {
				t.Errorf("%s: %v", what, err)
			}
		})
		check.Bounded(t, 300, 5*time.Second, func() {
			if _, err := parseSummary([]byte(text)); err == nil && what != "keys" {
				t.Errorf("%s: accepted as a summary", what)
			}
		})
	}
}
