package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"vicreg/internal/durable"
)

// Log appends to the metrics of a run, a line at a time.
type Log struct {
	f    *durable.Tail
	path string
	size int64  // of its lines
	sum  uint32 // of them
}

// Mark is a place in the metrics and a checksum of all before it.
type Mark struct {
	Size int64  // bytes
	Sum  string // CRC-32C; empty in what older versions left
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func hex(sum uint32) string { return fmt.Sprintf("%08x", sum) }

// Open opens the metrics in dir to append after a mark: a run will write again what it
// wrote after its last checkpoint. What is before the mark must be as it was. If
// somebody has left an empty file instead, the log begins anew, and anew is true.
func Open(dir string, at Mark) (l *Log, anew bool, err error) {
	path := filepath.Join(dir, MetricsFile)
	if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && st.Size() == 0 && at.Size > 0 {
		at, anew = Mark{}, true
	}
	sum, err := verify(path, at)
	if err != nil {
		return nil, false, err
	}
	f, err := durable.Append(path, at.Size)
	if err != nil {
		return nil, false, fmt.Errorf("cannot write %s: %w", path, err)
	}
	return &Log{f, path, at.Size, sum}, anew, nil
}

// verify checks what is before a mark: that each line is an event of a run, and
// their checksum, which it returns.
func verify(path string, at Mark) (uint32, error) {
	if at.Size == 0 {
		return 0, nil
	}
	const repair = "put it back as it was, or go on without what it held: "
	f, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s is missing; %stouch %s", path, repair, path)
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	away := fmt.Sprintf("%smv %s %[2]s.damaged; touch %[2]s", repair, path)
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() < at.Size {
		return 0, fmt.Errorf("%s has %d bytes, fewer than the %d it had at the checkpoint; %s", path, st.Size(), at.Size, away)
	}
	sum, err := verifyLines(f, at)
	if err != nil {
		return 0, fmt.Errorf("%s is damaged: %w; %s", path, err, away)
	}
	return sum, nil
}

// verifyLines is verify for what r holds, which is at least at.Size bytes.
func verifyLines(r io.Reader, at Mark) (uint32, error) {
	sum := crc32.New(castagnoli)
	whole, err := scan(io.TeeReader(io.LimitReader(r, at.Size), sum),
		func(line []byte) error { return new(Metrics).add(line) })
	if err != nil {
		return 0, err
	}
	if whole != at.Size {
		return 0, errors.New("a line goes on where the checkpoint was")
	}
	if got := hex(sum.Sum32()); at.Sum != "" && got != at.Sum {
		return 0, fmt.Errorf("the checksum of its first %d bytes is %s, but was %s at the checkpoint", at.Size, got, at.Sum)
	}
	return sum.Sum32(), nil
}

// Write appends a Step, an Epoch, a Warning or a Replan.
func (l *Log) Write(event any) error {
	raw, err := line(event)
	if err != nil {
		return fmt.Errorf("runlog: %w", err)
	}
	if _, err := l.f.Write(raw); err != nil {
		return l.failed(err)
	}
	l.size += int64(len(raw))
	l.sum = crc32.Update(l.sum, castagnoli, raw)
	return nil
}

// line is an event as it is written.
func line(event any) ([]byte, error) {
	raw, err := json.Marshal(event)
	return append(raw, '\n'), err
}

// Sync brings all lines to the disk and returns the place after them.
func (l *Log) Sync() (Mark, error) {
	if err := l.f.Sync(); err != nil {
		return Mark{}, l.failed(err)
	}
	return Mark{l.size, hex(l.sum)}, nil
}

func (l *Log) failed(err error) error { return fmt.Errorf("cannot write %s: %w", l.path, err) }

// Close closes the log.
func (l *Log) Close() error { return l.f.Close() }

// Metrics are the events of a run.
type Metrics struct {
	Steps    []Step
	Epochs   []Epoch
	Warnings []Warning
	Replans  []Replan
}

// ReadMetrics reads the metrics in dir. A last line that is still being
// written is left out, and so are events of a kind it does not know.
func ReadMetrics(dir string) (*Metrics, error) {
	path := filepath.Join(dir, MetricsFile)
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := readMetrics(f)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return m, nil
}

func readMetrics(r io.Reader) (*Metrics, error) {
	m := &Metrics{}
	_, err := scan(r, m.add)
	return m, err
}

// Fresh returns an error if the metrics in dir hold anything but the warnings
// that a run begins with, before its first checkpoint.
func Fresh(dir string) error {
	path := filepath.Join(dir, MetricsFile)
	f, err := open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := freshLines(f); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	return nil
}

// ofRun reports whether an event is one that a run writes.
func ofRun(event string) bool {
	return slices.Contains([]string{"step", "epoch", "warning", "replan"}, event)
}

// freshLines is Fresh for what r holds. Its error is to follow the file's name.
func freshLines(r io.ReaderAt) error {
	const start = `{"event":"`
	lines, step := 0, 0
	whole, err := scan(io.NewSectionReader(r, 0, math.MaxInt64), func(line []byte) error {
		var e struct {
			Event string
			Step  int
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if !ofRun(e.Event) {
			return errors.New("unknown event")
		}
		if lines++; e.Event != "warning" || e.Step != 0 {
			step = max(step, e.Step, 1)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("holds something else than a run's log: %w", err)
	}
	if step > 0 {
		s := "s"
		if lines == 1 {
			s = ""
		}
		return fmt.Errorf("holds %d line%s, the last of them of step %d", lines, s, step)
	}
	rest := make([]byte, len(start))
	n, _ := r.ReadAt(rest, whole)
	if !bytes.HasPrefix([]byte(start), rest[:n]) {
		return errors.New("holds something else than a run's log: its last line is not what a run writes")
	}
	return nil
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
	case "replan":
		return appendJSON(&m.Replans, line)
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

// longest is how many bytes a line may have.
const longest = 1 << 22

// scan calls add for every whole line, and returns how many bytes they are.
func scan(r io.Reader, add func(line []byte) error) (whole int64, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var buf []byte
	for n := 1; ; n++ {
		buf = buf[:0]
		for {
			part, err := in.ReadSlice('\n')
			buf = append(buf, part...)
			if err == io.EOF {
				return whole, nil
			}
			if err == nil {
				break
			}
			if err != bufio.ErrBufferFull {
				return whole, durable.Reason(err)
			}
			if len(buf) > longest {
				return whole, fmt.Errorf("line %d is longer than any that a run writes", n)
			}
		}
		if err := add(buf[:len(buf)-1]); err != nil {
			return whole, fmt.Errorf("line %d is not what a run writes: %.60q", n, buf[:len(buf)-1])
		}
		whole += int64(len(buf))
	}
}
