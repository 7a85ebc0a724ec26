package runlog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Metrics that can be read can be written and read again, and a log goes on
// behind them.
func FuzzMetrics(f *testing.F) {
	dir := f.TempDir()
	logged(f, dir)
	good, err := os.ReadFile(filepath.Join(dir, MetricsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-5])
	f.Add([]byte("null\n{}\n[]\n"))
	f.Add([]byte(`{"event":"step","event":"epoch","loss":1,"loss":2,"x":1,"x":2,"":3}` + "\n"))
	f.Add([]byte(`{"event":"step","epoch":1e2,"terms":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + "}\n"))
	f.Add([]byte(`{"event":"epoch","knn":null,"collapsed":true,"EVENT":"step"}` + "\n"))
	f.Add([]byte("{\"event\":\"warning\",\"message\":\"\x1b[31m\\u0000\"}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m *Metrics
		check.Bounded(t, 32, 2*time.Second, func() {
			m, err = readMetrics(bytes.NewReader(raw))
			freshLines(bytes.NewReader(raw))
		})
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("error %v", err)
			}
			return
		}
		size := int64(bytes.LastIndexByte(raw, '\n') + 1)
		sum, err := verifyLines(bytes.NewReader(raw), Mark{Size: size})
		if err != nil {
			t.Fatalf("what can be read cannot be gone on with: %v", err)
		}
		if _, err := verifyLines(bytes.NewReader(raw), Mark{size, hex(sum + 1)}); size > 0 && err == nil {
			t.Error("another checksum is accepted")
		}
		var all []byte
		write := func(event any) {
			b, err := line(event)
			if err != nil {
				t.Errorf("%+v cannot be written: %v", event, err)
			}
			all = append(all, b...)
		}
		for _, s := range m.Steps {
			write(s)
		}
		for _, e := range m.Epochs {
			write(e)
		}
		for _, w := range m.Warnings {
			write(w)
		}
		again, err := readMetrics(bytes.NewReader(all))
		if err != nil || len(again.Steps)+len(again.Epochs)+len(again.Warnings) != bytes.Count(all, []byte("\n")) {
			t.Errorf("read again: %v\n%s", err, all)
		}
	})
}

// A summary that can be read can be written and read again.
func FuzzSummary(f *testing.F) {
	dir := f.TempDir()
	knn := 0.5
	if err := WriteSummary(dir, &Summary{Method: "vicreg", Loss: 1, Terms: terms, Scores: Scores{KNN: &knn},
		Notes: []string{"n"}, Retrieval: &Retrieval{}}); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, SummaryFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("crc32c"), []byte("CRC32C"), 1))
	f.Add([]byte(`{"method":"vicreg","a":1,"a":2,"loss":3,"terms":[]}`))
	f.Add([]byte(`{"loss":3,"x":1}`))
	f.Add([]byte(`{"bad_image_list":["","",null]}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s *Summary
		check.Bounded(t, 32, 2*time.Second, func() { s, err = parseSummary(raw) })
		if err != nil {
			if len(err.Error()) > 200 {
				t.Errorf("error %v", err)
			}
			return
		}
		b, err := formatSummary(s)
		if err != nil {
			t.Skip(err) // a time that JSON has no text for
		}
		again, err := parseSummary(b)
		if err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, b)
		}
		if c, err := formatSummary(again); err != nil || !bytes.Equal(b, c) {
			t.Errorf("written again it is\n%s\nand was\n%s", c, b)
		}
	})
}
