package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vicreg/internal/durable"
)

// Follower reads the metrics of a run as they grow: every call of Next reads on from where
// the last one ended.
type Follower struct {
	Damaged int    // lines that are not what a run writes
	First   string // the first of them, a sentence

	path string
	tail int64 // how many bytes before the end it begins at; 0: at the beginning
	at   int64 // where it stands,
	file os.FileInfo
	end  []byte // and the last bytes before, by which a log that was cut and went on is known
}

// Follow follows the metrics in dir from their beginning.
func Follow(dir string) *Follower { return FollowEnd(dir, 0) }

// FollowEnd follows the metrics in dir from a line that begins at most so many bytes before
// their end. 0 is from the beginning.
func FollowEnd(dir string, tail int64) *Follower {
	return &Follower{path: filepath.Join(dir, MetricsFile), tail: tail}
}

// Line is a line of the metrics. At most one of its events is there: none if it is of a kind
// that is not known.
type Line struct {
	Raw    []byte // without the line's end; valid until the next line
	Step   *Step
	Epoch  *Epoch
	Warn   *Warning
	Replan *Replan
}

const endBytes = 128

// Next calls add with every whole line that came since the last call. If the file is another
// one now, or was cut, reset is called first: what came before is void, and all of it comes
// again. A file that is not there has no lines.
func (f *Follower) Next(reset func(), add func(Line)) error {
	st, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		if f.file != nil {
			f.again(nil)
			reset()
		}
		return nil
	}
	if err != nil {
		return durable.Reason(err)
	}
	if f.file != nil && os.SameFile(st, f.file) && st.Size() == f.file.Size() && st.ModTime().Equal(f.file.ModTime()) {
		return nil
	}
	file, err := open(f.path)
	if err != nil {
		return durable.Reason(err)
	}
	defer file.Close()
	if f.file == nil || !os.SameFile(st, f.file) || st.Size() < f.at || !f.held(file) {
		if f.file != nil {
			reset()
		}
		f.again(st)
		if f.tail > 0 && st.Size() > f.tail {
			f.at = st.Size() - f.tail
			if err := f.skip(file); err != nil {
				return err
			}
		}
	}
	f.file = st
	var last []byte
	n, err := scan(io.NewSectionReader(file, f.at, max(0, st.Size()-f.at)), func(raw []byte) error {
		last = append(last[:0], raw...)
		add(f.line(raw))
		return nil
	})
	if f.at += n; n > 0 {
		last = append(last, '\n')
		f.end = bytes.Clone(last[max(0, len(last)-endBytes):])
	}
	return err
}

// again begins anew.
func (f *Follower) again(st os.FileInfo) {
	f.at, f.end, f.file, f.Damaged, f.First = 0, nil, st, 0, ""
}

// held reports whether the file still has what was read last.
func (f *Follower) held(file io.ReaderAt) bool {
	now := make([]byte, len(f.end))
	n, _ := file.ReadAt(now, f.at-int64(len(f.end)))
	return bytes.Equal(now[:n], f.end)
}

// skip goes on to the beginning of a line.
func (f *Follower) skip(file io.ReaderAt) error {
	buf := make([]byte, 1<<16)
	for from := f.at - 1; ; from += int64(len(buf)) { // the byte before may end a line
		n, err := file.ReadAt(buf, from)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			f.at = from + int64(i) + 1
			return nil
		}
		if err == io.EOF {
			f.at = from + int64(n)
			return nil
		}
		if err != nil {
			return durable.Reason(err)
		}
	}
}

// line is what a line holds.
func (f *Follower) line(raw []byte) Line {
	var m Metrics
	l := Line{Raw: raw}
	if err := m.add(raw); err != nil {
		if f.Damaged++; f.First == "" {
			f.First = fmt.Sprintf("a line is not what a run writes: %.60q", raw)
		}
		return l
	}
	switch {
	case m.Steps != nil:
		l.Step = &m.Steps[0]
	case m.Epochs != nil:
		l.Epoch = &m.Epochs[0]
	case m.Warnings != nil:
		l.Warn = &m.Warnings[0]
	case m.Replans != nil:
		l.Replan = &m.Replans[0]
	}
	return l
}
