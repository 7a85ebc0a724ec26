package runlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"vicreg/internal/durable"
)

// Log appends to the metrics of a run, a line at a time.
type Log struct {
	f    *os.File
	size int64
}

// Open opens the metrics in dir for appending, after cutting them to size
// bytes: what a run wrote after its last checkpoint, it will write again.
func Open(dir string, size int64) (*Log, error) {
	f, err := os.OpenFile(filepath.Join(dir, MetricsFile), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && st.Size() < size {
		err = fmt.Errorf("%s has %d bytes, fewer than the %d it had at the checkpoint; restore it, or start a new run", f.Name(), st.Size(), size)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Log{f, size}, nil
}

// Write appends a Step, an Epoch or a Warning.
func (l *Log) Write(event any) error {
	raw, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	n, err := l.f.Write(append(raw, '\n'))
	l.size += int64(n)
	if err != nil {
		return l.failed(err)
	}
	return nil
}

// Sync brings all lines to the disk and returns how many bytes they are.
func (l *Log) Sync() (int64, error) {
	if err := l.f.Sync(); err != nil {
		return 0, l.failed(err)
	}
	return l.size, nil
}

func (l *Log) failed(err error) error {
	return fmt.Errorf("cannot write %s: %w", l.f.Name(), durable.Reason(err))
}

// Close closes the log.
func (l *Log) Close() error { return l.f.Close() }

// Metrics are the events of a run.
type Metrics struct {
	Steps    []Step
	Epochs   []Epoch
	Warnings []Warning
}

// ReadMetrics reads the metrics in dir. A last line that is still being
// written is left out, and so are events of a kind it does not know.
func ReadMetrics(dir string) (*Metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &Metrics{}
	for line := 1; ; line++ {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			return m, nil
		}
		if err := m.add(raw[:end]); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, line, err)
		}
		raw = raw[end+1:]
	}
}

func (m *Metrics) add(line []byte) error {
	var kind struct{ Event string }
	if err := json.Unmarshal(line, &kind); err != nil {
		return err
	}
	switch kind.Event {
	case "step":
		return appendJSON(&m.Steps, line)
	case "epoch":
		return appendJSON(&m.Epochs, line)
	case "warning":
		return appendJSON(&m.Warnings, line)
	}
	return nil
}

func appendJSON[T any](list *[]T, line []byte) error {
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}

// WriteConfig saves the run's configuration.
func WriteConfig(dir string, yaml []byte) error { return writeFile(dir, ConfigFile, yaml) }

// WriteSummary saves what came of the run.
func WriteSummary(dir string, s *Summary) error {
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	return writeFile(dir, SummaryFile, append(raw, '\n'))
}

// ReadSummary reads what came of the run in dir. The error of a run that has
// not ended satisfies errors.Is(err, fs.ErrNotExist).
func ReadSummary(dir string) (*Summary, error) {
	path := filepath.Join(dir, SummaryFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Summary{}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Clean removes what a killed process left of files it was writing into dir.
func Clean(dir string) error {
	for _, name := range []string{ConfigFile, SummaryFile, ModelFiles[0], ModelFiles[1], CheckpointFile} {
		left, err := filepath.Glob(filepath.Join(escape(dir), "."+name+"*"))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// escape returns dir as a pattern that matches itself alone.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// writeFile saves durably: the file holds its old contents or the new ones.
func writeFile(dir, name string, data []byte) error {
	path := filepath.Join(dir, name)
	if err := durable.WriteFile(path, data); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
