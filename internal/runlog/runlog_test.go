package runlog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var terms = Terms{{"invariance", 0.25}, {"variance", 0.5}, {"covariance", 1e-9}}

func TestTermsAreKeysInTheirOrder(t *testing.T) {
	raw, err := json.Marshal(Step{Event: "step", Epoch: 1, Step: 10, Loss: 3, Terms: terms})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"event":"step","epoch":1,"step":10,"loss":3,"invariance":0.25,"variance":0.5,"covariance":1e-9,"lr":0,`
	if !strings.HasPrefix(string(raw), want) {
		t.Errorf("got  %s\nwant %s...", raw, want)
	}
}

func TestMetricsAreCutAtTheCheckpoint(t *testing.T) {
	dir := t.TempDir()
	knn := 0.75
	step := Step{Event: "step", Epoch: 1, Step: 1, Loss: 2.5, Terms: terms, LR: 0.1, GradNorm: 3, Images: 100,
		WaitShare: 0.01}
	epoch := Epoch{Event: "epoch", Epoch: 1, Step: 2, Loss: 2, Terms: terms, Rank: 30, KNN: &knn, Seconds: 1.5}
	warning := Warning{Event: "warning", Epoch: 2, Step: 3, Message: "collapse"}

	l, _, err := Open(dir, Mark{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(events ...any) {
		t.Helper()
		for _, e := range events {
			if err := l.Write(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(step, epoch)
	mark, err := l.Sync()
	if err != nil {
		t.Fatal(err)
	}
	write(warning, step)
	l.f.Write([]byte(`{"event":"st`)) // killed while writing
	l.Close()

	if l, _, err = Open(dir, mark); err != nil {
		t.Fatal(err)
	}
	write(warning)
	l.f.Write([]byte(`{"event":"st`))
	l.Close()
	got, err := ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := &Metrics{[]Step{step}, []Epoch{epoch}, []Warning{warning}, nil}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSummaryRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadSummary(dir); !os.IsNotExist(err) {
		t.Fatalf("no summary: %v", err)
	}
	knn := 0.5
	s := &Summary{Method: "vicreg", Images: 8000, Loss: 12, Terms: terms, Scores: Scores{KNN: &knn}, Version: "v",
		Bad: []string{"a.jpg: truncated"}, Started: time.Unix(10, 0).UTC(), Finished: time.Unix(20, 0).UTC()}
	if err := WriteSummary(dir, s); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSummary(dir)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, s)
	}
	raw, _ := os.ReadFile(filepath.Join(dir, SummaryFile))
	if !strings.Contains(string(raw), `"random_init_linear": null`) {
		t.Errorf("scores without labels are null:\n%s", raw)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("temporary files stayed: %v", left)
	}
}

func TestCleanRemovesWhatAKilledProcessLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*c")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".checkpoint.123.vicreg-tmp", ".model.safetensors.9.vicreg-tmp", ".checkpoint.previous.1a.vicreg-tmp",
		".checkpoint.123", ".checkpoint-mine", ".config.yaml.swp", ".mine", "checkpoint", "checkpoint.previous"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	Clean(dir)
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{".checkpoint-mine", ".checkpoint.123", ".config.yaml.swp", ".mine", "checkpoint", "checkpoint.previous"}; !reflect.DeepEqual(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}
