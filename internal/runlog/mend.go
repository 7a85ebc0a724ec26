package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"

	"vicreg/internal/durable"
)

// Mend repairs what others have done to the file since it was opened. If it was removed
// or replaced, it is written anew from what it held; if it was cut short or written to,
// only its own lines stay. The note says what was done; it is empty if the file is as it
// should be. Whatever has taken the file's place is moved aside.
func (l *Log) Mend() (note string, err error) {
	there, size, err := l.f.Standing()
	if err != nil {
		return "", l.failed(err)
	}
	if there && size == l.size {
		return "", nil
	}
	had := l.size
	what := "was changed"
	if !there {
		what = "was removed"
		aside, err := moveAside(l.path)
		if err != nil {
			return "", l.failed(err)
		}
		if aside != "" {
			what = fmt.Sprintf("was replaced, by what is now %s,", aside)
		}
	}
	if err := l.rewrite(); err != nil {
		return "", l.failed(err)
	}
	left := "with all that it held"
	if l.size != had {
		left = fmt.Sprintf("with what was left of it, %d of %d bytes", l.size, had)
	}
	return fmt.Sprintf("%s %s by another program while the run wrote it; the run goes on %s", l.path, what, left), nil
}

// rewrite copies the lines of the open file to a new one, without those that no run
// writes, and goes on with the new file.
func (l *Log) rewrite() error {
	f, err := durable.Create(l.path)
	if err != nil {
		return err
	}
	defer f.Discard()
	size, sum, err := copyLines(f, l.f.Reader())
	if err != nil {
		return err
	}
	if err := f.Commit(); err != nil {
		return err
	}
	tail, err := durable.Append(l.path, size)
	if err != nil {
		return err
	}
	old := l.f
	l.f, l.size, l.sum = tail, size, sum
	return old.Close()
}

// copyLines copies the lines that are events of a run, and returns their size and
// checksum.
func copyLines(w io.Writer, r io.Reader) (size int64, sum uint32, err error) {
	var failed error
	_, err = scan(r, func(line []byte) error {
		var e struct{ Event string }
		if json.Unmarshal(line, &e) != nil || !ofRun(e.Event) || new(Metrics).add(line) != nil {
			return nil
		}
		line = append(line, '\n')
		size += int64(len(line))
		sum = crc32.Update(sum, castagnoli, line)
		_, failed = w.Write(line)
		return failed
	})
	if failed != nil {
		err = durable.Reason(failed)
	}
	return size, sum, err
}

// moveAside renames what stands at a path and returns its new name, "" if nothing is
// there.
func moveAside(path string) (string, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for i := 1; ; i++ {
		aside := fmt.Sprintf("%s.other%d", path, i)
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			return aside, os.Rename(path, aside)
		} else if err != nil {
			return "", err
		}
	}
}
